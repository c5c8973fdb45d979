"""The first samples of a caller's data, copied, as inputs and targets of a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..layers.samples import Batch, Inputs, Samples, leaves, mapped
from .batches import Form, Reading
from .data import as_tensor, batches, is_array, unfit

__all__ = ["Taken", "inputs_of", "take", "targets_of"]


@dataclass(frozen=True, eq=False)
class Taken:
    """A batch of our own: its arguments, its targets, and itself for a criterion of the caller's."""

    batch: Batch
    targets: Tensor | None
    raw: Batch


def take(data: Any, samples: int, form: Form, *, dtype: torch.dtype, raw: bool) -> Iterator[Taken]:
    """Batches until there are as many samples; no further one is asked for.

    Parameters:
        data: the caller's.
        samples: most to take.
        form: of the network's arguments.
        dtype: of real arrays.
        raw: whether batches are kept as the caller has them beside.

    Raises:
        InputError: data of another form, none of it, or NaN in it.
    """
    left, found = samples, 0
    for batch in batches(data, samples):
        one = _read(form, batch, left, dtype=dtype, raw=raw)
        found += one.batch.size
        left -= one.batch.size
        if one.batch.size:
            yield one
        if left <= 0:
            return
    if not found:
        raise InputError("data must hold at least one sample, got none; pass a non-empty loader or (x, y)")


def _read(form: Form, batch: Any, most: int, *, dtype: torch.dtype, raw: bool) -> Taken:
    """The first samples of a batch, copied."""
    reading = form.read(batch)
    size = reading.size
    targets = None if raw else _checked(reading, size)
    own = partial(_own, size=size, most=most, dtype=dtype)
    args = tuple(_arrays(own, part, "inputs") for part in reading.args)
    kwargs = {name: _arrays(own, part, name) for name, part in reading.kwargs.items()}
    whole = mapped(own, reading.raw) if raw or form.free else None
    taken = min(size, most)
    return Taken(
        Batch(args, kwargs, taken, whole if form.free else None),
        None if targets is None else _as_targets(_arrays(own, targets, "targets")),
        Batch((), {}, taken, whole),
    )


def _checked(reading: Reading, size: int) -> Any:
    """The targets of a batch, as many as samples."""
    if reading.targets is None:
        return None
    if not is_array(reading.targets):
        raise unfit(reading.raw)
    if len(reading.targets) != size:
        raise InputError(
            f"data must have as many targets as inputs, got {size} and {len(reading.targets)}; of batches of "
            "x alone pass a list"
        )
    return reading.targets


def _arrays(own: Callable[[Any], Any], part: Any, what: str) -> Any:
    """Copies of all arrays of an argument, which must be finite but for masks, in which −∞ has a meaning."""
    made = mapped(own, part)
    for one in leaves(made):
        bad = isinstance(one, Tensor) and not bool((one == one if "mask" in what else one.isfinite()).all())
        if bad:
            raise InputError(f"data must be finite, got NaN or infinity in the {what}; clean them first")
    return made


def _own(value: Any, *, size: int, most: int, dtype: torch.dtype) -> Any:
    """A copy in main memory of the first samples, in a network's type where they are real."""
    if not is_array(value) or (isinstance(value, list | tuple) and len(value) != size):
        return value
    if isinstance(value, list) and value and isinstance(value[0], str):
        return value[:most]
    value = as_tensor(value) if isinstance(value, Tensor) else value
    given = as_tensor(value[:most] if len(value) == size else value)
    kind = dtype if given.is_floating_point() else given.dtype
    return given.to("cpu", kind, copy=True)


def _as_targets(targets: Tensor) -> Tensor:
    return targets if targets.is_floating_point() else targets.long()


# ---- putting them together


def inputs_of(taken: list[Taken], call: Callable[[Any, Any], Any] | None) -> Inputs:
    """One tensor where each batch is one of a common shape, else batches."""
    plain = [one.batch.args[0] for one in taken if _is_plain(one.batch)]
    if len(plain) == len(taken) and _join(plain):
        return torch.cat(plain)
    return Samples([one.batch for one in taken], call)


def targets_of(taken: list[Taken]) -> Inputs | None:
    """One tensor where they have one shape, else batches; None where some batch has none."""
    given = [one.targets for one in taken if one.targets is not None]
    if len(given) < len(taken):
        return None
    return torch.cat(given) if _join(given) else Samples([Batch((one,), {}, len(one)) for one in given])


def _is_plain(batch: Batch) -> bool:
    return len(batch.args) == 1 and not batch.kwargs and isinstance(batch.args[0], Tensor)


def _join(tensors: list[Tensor]) -> bool:
    return len({one.shape[1:] for one in tensors}) == 1
