"""The layers of a task as matrices with their inputs, one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from ..arrays import Floats
from ..cache import cached
from ..errors import InputError
from ..layers.batch_norms import fold_batch_norms
from ..layers.inputs import gram_of_inputs, running_order
from ..tasks.task import Task
from .eight_bit import QuantizedInput

__all__ = ["Weighted", "folded", "inputs_of", "matrix_of", "part_of", "weighted"]

Weighted: TypeAlias = nn.Linear | nn.Conv2d


def weighted(network: nn.Module, task: Task) -> list[str]:
    """Names of the layers that hold weights to round, in running order."""
    order = running_order(network, task.inputs)
    names = [name for name in order if _has_weights(network.get_submodule(name))]
    if not names:
        raise InputError("the network must have a Linear or Conv2d layer to round; it has none")
    return names


def _has_weights(part: nn.Module) -> bool:
    """A layer of no inputs or no outputs has none, and stays as it is."""
    return isinstance(part, Weighted) and part.weight.numel() > 0


def part_of(network: nn.Module, name: str) -> Weighted:
    """A layer, its weights and bias checked."""
    part = network.get_submodule(name)
    assert isinstance(part, Weighted)
    if not part.weight.is_floating_point():
        raise InputError(f"weights of layer {name} must be real, got {part.weight.dtype}; convert them")
    if not all(torch.isfinite(tensor).all() for tensor in part.parameters()):
        raise InputError(f"weights of layer {name} must be finite, got NaN or infinity; train it again")
    return part


def matrix_of(part: Weighted) -> Floats:
    """Weights as (n, f) float64."""
    return np.asarray(part.weight.detach().double().flatten(1).numpy())


def folded(task: Task) -> nn.Module:
    """A copy of the network without BatchNorms, as far as they can be folded."""
    network = task.copy()
    fold_batch_norms(network)
    return network


def inputs_of(
    source: Callable[[], nn.Module], name: str, task: Task, *, keep: bool, rounded: bool
) -> dict[str, Floats]:
    """Gram matrices (groups, f + 1, f + 1) of a layer's inputs and their span, from the cache if they may be.

    Where `rounded`, the Gram matrices are of inputs rounded to eight bits over that span.
    """

    def build() -> dict[str, Floats]:
        network = source()
        gram, low, high = gram_of_inputs(network, name, task.inputs)
        if rounded:
            gram, _, _ = gram_of_inputs(network, name, task.inputs, through=QuantizedInput(low, high))
        return {"gram": gram, "span": np.array([low, high])}

    piece = f"{'8-bit ' if rounded else ''}inputs of {name}"
    return cached(task, piece, build) if keep else build()
