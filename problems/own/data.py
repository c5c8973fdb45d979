"""Batches, in order, of whatever a caller passes as calibration data.

| what is passed | how it is read |
|---|---|
| an array or tensor | one batch of x |
| a mapping, or a dataclass, of arrays | one batch, arguments by name |
| a tuple of arrays, or (inputs, y) | one batch, such as the pair (x, y) |
| a `Dataset`, or what else has a length and places but is no sequence | samples, which are put together |
| a list, loader, iterator, or tuple of batches | batches |
| a list of two arrays | the pair (x, y) if they have unlike forms, two batches if they are of one form |
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from ..errors import InputError
from ..layers.samples import Samples, is_leaf, leaves, mapped

__all__ = ["as_tensor", "batches", "is_array", "unfit"]

TOGETHER = 32
"""Samples of a Dataset in one batch, at most, where they have one shape."""


def batches(data: Any, samples: int) -> Iterator[Any]:
    """Batches of the caller's data, each as it is asked for and as the caller has it.

    No more than `samples` are taken out of a Dataset; who calls stops at as many in batches.

    Raises:
        InputError: data of another form, or a list of two arrays that might be either.
    """
    if isinstance(data, Samples):
        return iter(data.batches)
    if isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], Samples):
        return _beside(*data)
    if _is_one(data):
        return iter([data])
    if isinstance(data, IterableDataset) or _has_places(data):
        return _together(itertools.islice(_samples(data), samples))
    if isinstance(data, list) and len(data) == 2 and all(is_array(one) for one in data):
        return iter([tuple(data)] if _is_pair(*map(_plain, data)) else data)
    try:
        return iter(data)
    except TypeError:
        raise unfit(data) from None


def unfit(got: Any) -> InputError:
    """The refusal of what holds no samples."""
    kind = type(got).__name__
    return InputError(
        f"data must be batches of arrays, a Dataset or a pair (x, y) of arrays, got a {kind}; pass a "
        "DataLoader"
    )


def is_array(value: Any) -> bool:
    """Whether this is an array of samples, or a list of their numbers."""
    if isinstance(value, tuple | list):
        return is_leaf(value)
    return getattr(value, "shape", ()) != () and (isinstance(value, Tensor) or hasattr(value, "__array__"))


def as_tensor(value: Any) -> Tensor:
    """An array as a tensor, which may share its memory.

    Raises:
        InputError: it holds no numbers, or not in rows of one length, or is sparse.
    """
    if isinstance(value, Tensor):
        if value.layout != torch.strided or value.is_nested:
            raise InputError(f"data must be dense tensors, got {value.layout}; call .to_dense() or pad them")
        return value.detach()
    try:
        return torch.from_numpy(np.array(value, order="C"))
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"data must be numbers in arrays, got {type(value).__name__}") from None


def _plain(value: Any) -> Any:
    return value if hasattr(value, "shape") else as_tensor(value)


def _is_one(data: Any) -> bool:
    """Whether the data are one batch."""
    if isinstance(data, Mapping) or is_dataclass(data) or (is_array(data) and not isinstance(data, list)):
        return True
    if isinstance(data, list):  # numbers in rows
        return bool(data) and is_leaf(data) and _is_regular(data)
    if not isinstance(data, tuple):
        return False
    return hasattr(data, "_fields") or any(is_array(one) or not hasattr(one, "__len__") for one in data)


def _is_regular(rows: list[Any]) -> bool:
    """Whether all rows have one length, so that lists are one array."""
    try:
        return np.array(rows).dtype.kind in "biuf"
    except ValueError:
        return False


def _is_pair(x: Any, y: Any) -> bool:
    """Whether a list of two arrays is (x, y); if not, it is two batches of x.

    Raises:
        InputError: it might be either.
    """
    real = [one.is_floating_point() if isinstance(one, Tensor) else one.dtype.kind == "f" for one in (x, y)]
    if real == [True, False] or len(x.shape) != len(y.shape):
        return True
    same = real[0] == real[1] and (tuple(x.shape[1:]) == tuple(y.shape[1:]) or not real[0])
    if same or len(x) != len(y):
        return False
    raise InputError(
        f"a list of two arrays must be told apart from a pair, got {tuple(x.shape)} and {tuple(y.shape)}; "
        "pass the tuple (x, y), or [(x1,), (x2,)] for two batches"
    )


def _beside(samples: Samples, targets: Any) -> Iterator[Any]:
    """Batches of our own with the targets of each."""
    start = 0
    for batch in samples.batches:
        yield batch, targets[start : start + batch.size]
        start += batch.size


# ---- samples without a batch


def _has_places(data: Any) -> bool:
    if isinstance(data, Sequence) or not hasattr(data, "__getitem__"):
        return False
    return isinstance(data, Dataset) or hasattr(data, "__len__")


def _samples(data: Any) -> Iterator[Any]:
    """The samples of a Dataset in order, each as a batch of one."""
    if isinstance(data, IterableDataset):
        yield from map(_alone, data)
        return
    for place in range(len(data)) if hasattr(data, "__len__") else itertools.count():
        try:
            sample = data[place]
        except IndexError:
            if hasattr(data, "__len__"):
                raise
            return
        yield _alone(sample)


def _alone(sample: Any) -> Any:
    """A sample as a batch of one: a number counts as an array of one place."""

    def one(value: Any) -> Any:
        if isinstance(value, str) or value is None:
            return value
        return as_tensor(value)[None]

    if isinstance(sample, tuple | list) and not hasattr(sample, "_fields"):
        return tuple(mapped(one, part) for part in sample)
    return mapped(one, sample)


def _together(samples: Iterator[Any]) -> Iterator[Any]:
    """Neighbours of one shape as one batch; none is padded."""
    waiting: list[Any] = []
    for sample in samples:
        if waiting and (len(waiting) == TOGETHER or _form(sample) != _form(waiting[0])):
            yield _stacked(waiting)
            waiting = []
        waiting.append(sample)
    if waiting:
        yield _stacked(waiting)


def _form(sample: Any) -> list[Any]:
    return [(one.shape, one.dtype) if isinstance(one, Tensor) else one for one in leaves(sample)]


def _stacked(samples: list[Any]) -> Any:
    others = [iter(list(leaves(sample))) for sample in samples]

    def joined(value: Any) -> Any:
        parts = [next(one) for one in others]
        return torch.cat(parts) if isinstance(value, Tensor) else value

    return mapped(joined, samples[0])
