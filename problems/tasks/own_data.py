"""A caller's loader or pair of arrays as calibration tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError

__all__ = ["gather"]


def gather(data: Any, samples: int) -> tuple[Tensor, Tensor]:
    """The first samples of a pair or of an iterable of pairs."""
    inputs: list[Tensor] = []
    targets: list[Tensor] = []
    for x, y in _pairs(data):
        if len(x) != len(y):
            raise InputError(f"data must have as many targets as inputs, got {len(x)} and {len(y)}")
        inputs.append(_tensor(x[:samples]))
        targets.append(_tensor(y[:samples]))
        samples -= len(inputs[-1])
        if samples <= 0:
            break
    if not sum(len(x) for x in inputs):
        raise InputError("data must hold at least one sample, got none; pass a non-empty loader or (x, y)")
    try:
        return torch.cat(inputs), torch.cat(targets)
    except RuntimeError:
        raise InputError("data must have samples of one shape in every batch") from None


def _pairs(data: Any) -> Iterator[tuple[Any, Any]]:
    """Batches (x, y) of whatever the caller passed."""
    alone = _is_pair(data) and not all(_is_pair(item) for item in data)
    try:
        batches = iter([data] if alone else data)
    except TypeError:
        batches = iter([data])
    for batch in batches:
        if not _is_pair(batch):
            kind = type(batch).__name__
            raise InputError(f"data must be a DataLoader of (x, y) or a pair (x, y) of arrays, got a {kind}")
        yield batch


def _is_pair(item: Any) -> bool:
    """Whether this is (x, y) of two sequences or arrays."""
    pair = isinstance(item, (tuple, list)) and len(item) == 2
    return pair and all(hasattr(part, "__len__") and getattr(part, "shape", None) != () for part in item)


def _tensor(values: Any) -> Tensor:
    """A tensor in main memory that shares none with the caller's array."""
    if isinstance(values, Tensor):
        return values.detach().cpu()
    try:
        return torch.tensor(np.array(values, order="C"))
    except (TypeError, ValueError):
        raise InputError(f"data must be numbers in arrays, got {type(values).__name__}") from None
