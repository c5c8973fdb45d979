"""load: a suite by its name or file, or a compressed network from its file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import suite as suites_own

if TYPE_CHECKING:
    from torch import nn

__all__ = ["load"]

NETWORKS = (".safetensors", ".onnx", ".gguf")


def load(name: str | Path, into: nn.Module | None = None) -> Any:
    """A suite, or a compressed network that `suites.save` wrote, by the ending of its file.

    Parameters:
        name: of a built-in suite, or the path of a suite's TOML file, of a network's .safetensors or .onnx
            file or of a folder that compressed-tensors reads.
        into: module that the weights are for, as it was before it was compressed or after; a network in
            ONNX needs none, as its file says what it computes.

    Returns:
        A `Suite`, or a torch module in eval mode; one from an ONNX file runs in onnxruntime.

    Raises:
        InputError: there is no such suite or file, or it is not what its ending says.
    """
    path = Path(name)
    folder = path.is_dir() and str(name) not in suites_own.suite_names()
    if into is None and path.suffix not in NETWORKS and not folder:
        return suites_own.load(name)
    from .exporting.loading import load_network

    return load_network(path, into)
