"""How a network is called on samples: a tensor of them, or batches of arguments of any form."""

from __future__ import annotations

import copy
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ..errors import InputError

__all__ = [
    "Batch",
    "Inputs",
    "Samples",
    "described",
    "entries",
    "forward",
    "is_leaf",
    "leaves",
    "mapped",
    "pieces",
    "tensor_of",
]


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
        places = torch.arange(self.size)[rows]

        def taken(value: Any) -> Any:
            if isinstance(value, Tensor):
                return value[rows] if value.shape[:1] == (self.size,) else value
            alike = isinstance(value, list) and len(value) == self.size
            return [value[place] for place in places] if alike else value

        args, kwargs = _arguments(taken, self)
        return Batch(args, kwargs, len(places), mapped(taken, self.raw))


def _arguments(function: Callable[[Any], Any], batch: Batch) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A function of each of a batch's arguments."""
    args = tuple(mapped(function, one) for one in batch.args)
    return args, {name: mapped(function, one) for name, one in batch.kwargs.items()}


def is_leaf(value: Any) -> bool:
    """Whether this is one array, number, word or list of numbers or words, no structure of several."""
    if isinstance(value, Mapping) or is_dataclass(value) or hasattr(value, "_fields"):
        return False
    if not isinstance(value, tuple | list) or not value:
        return True
    inside = (isinstance(one, Mapping) or getattr(one, "shape", ()) != () for one in value)
    return not any(inside) and is_leaf(value[0])


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """A structure of the same kind with a function of each of its leaves in its place."""
    if is_leaf(value):
        return function(value)
    if isinstance(value, tuple | list):
        made = [mapped(function, one) for one in value]
        return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
    named = {name: mapped(function, one) for name, one in entries(value).items()}
    if not is_dataclass(value) and not isinstance(value, UserDict):
        return named
    same = copy.copy(value)
    if isinstance(same, UserDict):  # such as a tokenizer's, whose entries are attributes too
        same.data = named
        return same
    for name, one in named.items():
        object.__setattr__(same, name, one)  # it may be frozen
    return same


def entries(value: Any) -> dict[str, Any]:
    """Values by name of a mapping or a dataclass."""
    if isinstance(value, Mapping):
        return dict(value)
    return {one.name: getattr(value, one.name) for one in fields(value)}


def leaves(value: Any) -> Iterator[Any]:
    """The leaves of a structure, in order."""
    if is_leaf(value):
        yield value
        return
    for one in value if isinstance(value, tuple | list) else entries(value).values():
        yield from leaves(one)


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
        """The samples at `rows`, in that order; neighbours of one batch stay together."""
        chosen = torch.arange(len(self))[rows].contiguous()
        starts = torch.tensor([0, *(batch.size for batch in self.batches)]).cumsum(0)
        owners = torch.bucketize(chosen, starts[1:], right=True)
        runs, counts = torch.unique_consecutive(owners, return_counts=True)
        parts = torch.split(chosen - starts[owners], counts.tolist())
        kept = [_some(self.batches[owner], places) for owner, places in zip(runs, parts, strict=True)]
        return Samples(kept, self.call)


def _some(batch: Batch, places: Tensor) -> Batch:
    """A batch's samples at places; itself where it is whole, and without a copy where they are neighbours."""
    first, size = int(places[0]), len(places)
    if not torch.equal(places, torch.arange(first, first + size)):
        return batch[places]
    return batch if size == batch.size else batch[first : first + size]


Inputs: TypeAlias = Tensor | Samples
"""Samples of a network: a tensor (N, ...), or `Samples`."""


def described(inputs: Inputs) -> str:
    """Shapes and types of inputs, for messages."""
    if isinstance(inputs, Tensor):
        return f"shape {tuple(inputs.shape)} and {inputs.dtype}"
    batch = inputs.batches[0]
    named = [*((str(place), one) for place, one in enumerate(batch.args)), *batch.kwargs.items()]
    named = named or [(str(place), one) for place, one in enumerate(leaves(batch.raw))]
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
        return _tensor(network(_own(inputs)))
    outputs = [_tensor(_called(network, batch, inputs.call)) for batch in inputs.batches]
    if len({output.shape[1:] for output in outputs}) > 1:
        raise InputError("the network must put out equal shapes for all batches here; pass one batch a call")
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _called(network: nn.Module, batch: Batch, call: Callable[[nn.Module, Any], Any] | None) -> Any:
    if call is not None:
        return call(network, mapped(_own, batch.raw))
    args, kwargs = _arguments(_own, batch)
    return network(*args, **kwargs)


def _own(value: Any) -> Any:
    """A copy of a tensor, which a network that works in place may change."""
    return value.clone() if isinstance(value, Tensor) else value


def _tensor(outputs: Any) -> Tensor:
    """The first tensor that a network puts out, in a tuple, mapping or dataclass; logits before others.

    A number, such as the loss that some networks put out beside their logits, is none.
    """
    if isinstance(outputs, Tensor):
        return outputs
    found = _first(outputs)
    if found is None:
        raise InputError(f"the network must put out a tensor, got {type(outputs).__name__}; pass forward=")
    return found


def _first(outputs: Any) -> Tensor | None:
    if isinstance(outputs, Tensor):
        return outputs if outputs.dim() else None
    if isinstance(outputs, Mapping) or (is_dataclass(outputs) and not isinstance(outputs, type)):
        named = entries(outputs)
        inside: Any = [*([named["logits"]] if "logits" in named else []), *named.values()]
    else:
        inside = outputs if isinstance(outputs, tuple | list) else []
    return next((found for one in inside if (found := _first(one)) is not None), None)
