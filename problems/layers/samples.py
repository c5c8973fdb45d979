"""How a network is called on samples: a tensor of them, or batches of arguments of any form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ..errors import InputError

__all__ = ["Batch", "Inputs", "Samples", "described", "forward", "pieces", "tensor_of"]


@dataclass(frozen=True, eq=False)
class Batch:
    """The arguments of one call; every tensor among them has its samples in front.

    Attributes:
        args: positional arguments.
        kwargs: arguments by keyword, such as what a tokenizer puts out.
        size: number of samples.
        raw: what the caller passed, for a `forward` of the caller's own.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    size: int
    raw: Any = None

    def __getitem__(self, rows: Any) -> Batch:
        """The samples at `rows`: a slice, or a tensor of flags or of places."""

        def taken(value: Any) -> Any:
            return value[rows] if isinstance(value, Tensor) and value.shape[:1] == (self.size,) else value

        args, kwargs = tuple(map(taken, self.args)), {name: taken(one) for name, one in self.kwargs.items()}
        return Batch(args, kwargs, len(torch.arange(self.size)[rows]), _mapped(taken, self.raw))


def _mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """A batch of the caller's with a function of each of its tensors in its place."""
    if isinstance(value, Mapping):
        return {name: _mapped(function, one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_mapped(function, one) for one in value)
    return function(value)


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples in batches of their own shapes, and how a network is called on one.

    Indexed like a tensor of samples: by a slice, or by flags or places of samples. Batches are never joined,
    because samples of unlike lengths have no common shape.

    Attributes:
        batches: in order.
        call: (network, the caller's batch) → outputs; None to pass the arguments as they stand.
    """

    batches: Sequence[Batch]
    call: Callable[[nn.Module, Any], Any] | None = field(default=None)

    def __len__(self) -> int:
        return sum(batch.size for batch in self.batches)

    def __getitem__(self, rows: Any) -> Samples:
        """The samples at `rows`, those of one batch still together."""
        chosen = torch.arange(len(self))[rows]
        kept, start = [], 0
        for batch in self.batches:
            inside = chosen[(chosen >= start) & (chosen < start + batch.size)] - start
            if len(inside) == batch.size and bool((inside == torch.arange(batch.size)).all()):
                kept.append(batch)
            elif len(inside):
                kept.append(batch[inside])
            start += batch.size
        return Samples(kept, self.call)


Inputs: TypeAlias = Tensor | Samples
"""Samples of a network: a tensor (N, ...), or `Samples`."""


def described(inputs: Inputs) -> str:
    """Shapes and types of inputs, for messages."""
    if isinstance(inputs, Tensor):
        return f"shape {tuple(inputs.shape)} and {inputs.dtype}"
    batch = inputs.batches[0]
    named = [*((str(place), one) for place, one in enumerate(batch.args)), *batch.kwargs.items()]
    told = [f"{name} {tuple(one.shape)} {one.dtype}" for name, one in named if isinstance(one, Tensor)]
    return f"{batch.size} samples ({', '.join(told)})"


def tensor_of(inputs: Inputs, what: str) -> Tensor:
    """The inputs, of which `what` takes a plain tensor.

    Raises:
        InputError: they are batches of arguments.
    """
    if isinstance(inputs, Tensor):
        return inputs
    raise InputError(f"{what} takes one tensor of samples, got {described(inputs)}; pass (x, y) of tensors")


def pieces(inputs: Inputs, size: int) -> Iterator[Inputs]:
    """The inputs, at most `size` samples at a time, in order; each piece is one call."""
    if isinstance(inputs, Tensor):
        yield from torch.split(inputs, size)
        return
    for batch in inputs.batches:
        for start in range(0, batch.size, size):
            yield Samples([batch[start : start + size]], inputs.call)


def forward(network: nn.Module, inputs: Inputs) -> Tensor:
    """What a network puts out for inputs, as one tensor (N, ...): of several outputs the first.

    Raises:
        InputError: it puts out no tensor, or outputs of unlike shapes for several batches.
    """
    if isinstance(inputs, Tensor):
        return _tensor(network(inputs))
    outputs = [_tensor(_called(network, batch, inputs.call)) for batch in inputs.batches]
    if len({output.shape[1:] for output in outputs}) > 1:
        raise InputError("the network must put out equal shapes for all batches here; pass one batch a call")
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _called(network: nn.Module, batch: Batch, call: Callable[[nn.Module, Any], Any] | None) -> Any:
    return network(*batch.args, **batch.kwargs) if call is None else call(network, batch.raw)


def _tensor(outputs: Any) -> Tensor:
    """The first tensor that a network puts out, in a tuple, mapping or dataclass; logits before others."""
    if isinstance(outputs, Tensor):
        return outputs
    if isinstance(outputs, Mapping):
        inside: Any = [outputs["logits"]] if "logits" in outputs else list(outputs.values())
    elif is_dataclass(outputs):
        inside = [getattr(outputs, "logits", None), *vars(outputs).values()]
    else:
        inside = outputs if isinstance(outputs, tuple | list) else []
    for one in inside:
        if isinstance(one, Tensor | Mapping | tuple | list):
            return _tensor(one)
    raise InputError(f"the network must put out a tensor, got {type(outputs).__name__}; pass forward=")
