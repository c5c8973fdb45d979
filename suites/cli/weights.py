"""The weights of a compressed network as a safetensors file that its architecture loads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...results.storage.whole_files import write_whole
from ..terminal.console import tell

if TYPE_CHECKING:
    from torch import nn

__all__ = ["write_weights"]


def write_weights(network: nn.Module, out: Path) -> None:
    """Write the tensors of a network's state; `safetensors.torch.load_model` reads them into its like.

    Tied tensors are stored once, under the first of their names, and the metadata names the others. What is
    no tensor, such as an extra state, has no place in such a file: a note names it.
    """
    from safetensors.torch import save
    from torch import Tensor, contiguous_format

    from ..exporting.packed import untied

    state = network.state_dict()
    others = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if others:
        tell(f"qubopress: {out} leaves out {', '.join(others)}: no tensor, so set it again after loading")
    kept, tied = untied({name: value for name, value in state.items() if name not in others})
    # A copy of each, in order: parts of one storage, or a transposed view, cannot be written as they are.
    copies = {name: value.detach().clone(memory_format=contiguous_format) for name, value in kept.items()}
    write_whole(out, save(copies, metadata={"format": "pt", **tied}))
