"""What compress writes: weights as floats, or integer codes in a format of another runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..terminal.console import CallError, tell

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Wish", "wish_of", "writes"]

FLOATS = "floats"
TRACED = ("onnx", "matmulnbits")


@dataclass(frozen=True)
class Wish:
    """Where and how to write.

    Attributes:
        out: path.
        format: of `suites.save`, or "floats".
        leave: globs of parameters that stay floats.
    """

    out: Path
    format: str
    leave: tuple[str, ...]

    def called_on(self, network: nn.Module, data: Any, samples: int) -> tuple[Any, Any]:
        """The data, and where they are needed the first of its samples as the network is called on them."""
        from ...problems import own_task

        if self.format not in TRACED:
            return data, None
        if hasattr(data, "__next__"):  # it gives its batches once
            data = [*islice(data, samples)]
        inputs: Any = own_task(network, data, samples=2).inputs
        if not hasattr(inputs, "batches"):
            return data, inputs[:2]
        first = inputs.batches[0]
        return data, dict(first.kwargs) or tuple(first.args)


def wish_of(out: Path, name: str, leave: Iterable[str]) -> Wish:
    """What is asked for, checked before anything is compressed.

    Raises:
        CallError: there is no such format, or nothing that could stay floats.
    """
    from ..exporting.saving import ENDINGS, FORMATS, check_packages

    known = (FLOATS, *FORMATS)
    if name and name not in known:
        raise CallError(f"--as must be one of {', '.join(known)}, got {name!r}")
    by_ending = FLOATS if out.suffix == ".safetensors" else ENDINGS.get(out.suffix, FLOATS)
    wish = Wish(out, name or by_ending, tuple(leave))
    check_packages(wish.format)
    if wish.leave and wish.format == FLOATS:
        raise CallError("--leave must come with a format of integer codes, got floats; add --as packed")
    return wish


def writes(network: nn.Module, wish: Wish, example: Any) -> tuple[str, Callable[[], nn.Module]]:
    """Write a network; a line that says where, and the way to the module that the file gives back."""
    from ..exporting.loading import load_network
    from ..exporting.saving import save
    from .weights import write_weights

    if wish.format == FLOATS:
        write_weights(network, wish.out)
        return f"weights in {wish.out}", lambda: network
    saved = save(network, wish.out, format=wish.format, example=example, leave=wish.leave)
    for note in saved.notes:
        tell(f"qubopress: {saved.path}: {note}")
    return str(saved), lambda: load_network(saved.path, network)
