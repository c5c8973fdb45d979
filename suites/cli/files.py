"""What compress writes: weights as floats, or integer codes in a format of another runtime."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..terminal.console import CallError, tell

if TYPE_CHECKING:
    from torch import nn

    from ...problems import Task

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
        tolerance: largest relative error that shorter numbers may make of a step.
    """

    out: Path
    format: str
    leave: tuple[str, ...]
    tolerance: float = 0.0

    def called_on(
        self, network: nn.Module, data: Any, samples: int, *, forward: Callable[..., Any] | None = None
    ) -> tuple[Any, Any]:
        """The data, and where they are needed the first of its samples as the network is called on them.

        Raises:
            CallError: a `forward` of the caller's does not call the network itself.
        """
        from ...problems import own_task

        if self.format not in TRACED:
            return data, None
        if hasattr(data, "__next__"):  # it gives its batches once
            data = [*islice(data, samples)]
        task = own_task(network, data, samples=2, forward=forward)
        inputs: Any = task.inputs
        if forward is not None:
            return data, self._heard(task)
        if not hasattr(inputs, "batches"):
            return data, inputs[:2]
        first = inputs.batches[0]
        return data, dict(first.kwargs) or tuple(first.args)

    def _heard(self, task: Task) -> Any:
        """What the caller's own forward calls the network on: arguments by place, or all by name."""
        from ...problems.layers.samples import forward

        made: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        hook = task.network.register_forward_pre_hook(
            lambda _, args, named: made.append((args, named)), with_kwargs=True
        )
        try:
            forward(task.network, task.inputs)
        finally:
            hook.remove()
        if not made:
            raise CallError(
                f"--forward must call the network itself to be written as {self.format}, got one that calls "
                "a part or a method of it; write --as packed"
            )
        args, named = made[0]
        return inspect.signature(task.network.forward).bind(*args, **named).arguments if named else args


def wish_of(out: Path, name: str, leave: Iterable[str], tolerance: float | None) -> Wish:
    """What is asked for, checked before anything is compressed.

    Raises:
        CallError: there is no such format, nothing that could stay floats, or no steps that are shortened.
    """
    from ..exporting.formats import ENDINGS, FORMATS, SHORTENING, check_packages, check_tolerance

    known = (FLOATS, *FORMATS)
    if name and name not in known:
        raise CallError(f"--as must be one of {', '.join(known)}, got {name!r}")
    by_ending = FLOATS if out.suffix == ".safetensors" else ENDINGS.get(out.suffix, FLOATS)
    wish = Wish(out, name or by_ending, tuple(leave), tolerance or 0.0)
    if tolerance is not None and wish.format not in SHORTENING:
        shorter = " or ".join(SHORTENING)
        raise CallError(
            f"--tolerance must come with a format that shortens steps, {shorter}, got {wish.format}; "
            "leave it out"
        )
    if tolerance is not None:
        check_tolerance(tolerance)
    if wish.leave and wish.format == FLOATS:
        raise CallError("--leave must come with a format of integer codes, got floats; add --as packed")
    check_packages(wish.format)
    return wish


def writes(network: nn.Module, wish: Wish, example: Any) -> tuple[str, Callable[[], nn.Module]]:
    """Write a network; a line that says where, and the way to the module that the file gives back."""
    from ..exporting.loading import load_network
    from ..exporting.saving import save
    from .weights import write_weights

    if wish.format == FLOATS:
        write_weights(network, wish.out)
        return f"weights in {wish.out}", lambda: network
    saved = save(
        network,
        wish.out,
        format=wish.format,
        example=example,
        leave=wish.leave,
        tolerance=wish.tolerance,
    )
    for note in saved.notes:
        tell(f"qubopress: {saved.path}: {note}")
    return str(saved), lambda: load_network(saved.path, network)
