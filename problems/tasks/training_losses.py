"""Criteria: the loss that a network was trained for, summed over a batch so that batches can be added up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError

__all__ = ["IGNORED", "Criterion", "criterion_of", "summed_cross_entropy", "summed_squared_error"]

Criterion: TypeAlias = Callable[[Tensor, Any], Tensor]
"""From a network's outputs and the targets, a tensor or what else a task has, to one number."""

IGNORED = -100
"""A class that counts nowhere, as in torch: padding."""


def criterion_of(targets: Tensor) -> Criterion:
    """The criterion that targets ask for: whole numbers are classes, real ones are outputs."""
    return summed_squared_error if targets.is_floating_point() else summed_cross_entropy


def summed_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Sum over the samples of the cross-entropy (nats) of outputs (N, classes) and classes (N,).

    Samples whose class is `IGNORED` add nothing.

    Raises:
        InputError: the targets are no classes of these outputs.
    """
    fits = outputs.dim() == 2 and targets.shape == outputs.shape[:1] and targets.dtype == torch.int64
    if not (fits and bool((((targets >= 0) & (targets < outputs.shape[1])) | (targets == IGNORED)).all())):
        got = f"outputs {tuple(outputs.shape)} and {targets.dtype} targets {tuple(targets.shape)}"
        raise InputError(f"targets must be classes (N,) of outputs (N, classes), got {got}; pass criterion=")
    return functional.cross_entropy(outputs, targets, reduction="sum", ignore_index=IGNORED)


def summed_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Sum over the samples of the mean squared error of outputs (N, ...) and targets of the same shape.

    Raises:
        InputError: the shapes differ; torch would stretch one of them.
    """
    if outputs.shape != targets.shape:
        raise InputError(
            f"targets must have the shape of the outputs, {tuple(outputs.shape)}, got {tuple(targets.shape)}"
            "; reshape them, or pass criterion="
        )
    errors = outputs - targets.to(outputs.dtype)
    return (errors**2).flatten(start_dim=1).mean(dim=1).sum() if errors.dim() > 1 else (errors**2).sum()
