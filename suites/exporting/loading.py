"""load_network: what `save` wrote, as a module again."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from ...problems.errors import InputError
from .packed import load_packed

__all__ = ["load_network"]


def load_network(path: Path, into: nn.Module | None) -> nn.Module:
    """A module from a file by its ending; see `suites.load`."""
    if not path.exists():
        raise InputError(f"no file at {path}; name one that suites.save wrote")
    if path.suffix == ".onnx":
        from .runtime import InRuntime

        return InRuntime(path)
    if into is None:
        raise InputError(f"into must be the module that {path} is of, got none; its file holds numbers alone")
    if not isinstance(into, nn.Module):
        raise InputError(f"into must be a torch module, got a {type(into).__name__}")
    if path.is_dir():
        from .compressed import load_compressed

        return load_compressed(path, into)
    if path.suffix == ".gguf":
        from .blocks import load_blocks

        return load_blocks(path, into)
    return load_packed(path, into)
