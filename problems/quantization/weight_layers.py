"""The layers of a task as matrices with their inputs, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from ..arrays import Floats
from ..cache import cached
from ..errors import InputError
from ..layers.batch_norms import fold_batch_norms
from ..layers.inputs import gram_of_inputs, groups_of, running_order
from ..tasks.task import Task
from .eight_bit import QuantizedInput

__all__ = ["WeightLayer", "WeightLayers", "Weighted", "matrix_of", "part_of"]

Weighted: TypeAlias = nn.Linear | nn.Conv2d


@dataclass(frozen=True)
class WeightLayers:
    """The layers with weights of a copy of a task's network, BatchNorms folded, to be decided one by one.

    Attributes:
        task: the network, and the samples that calibrate it.
        sequential: whether a layer sees the activations of the layers already decided, not the trained ones.
        rounded: whether Gram matrices are of inputs rounded to eight bits over their span.
    """

    task: Task
    sequential: bool = False
    rounded: bool = False

    @cached_property
    def network(self) -> nn.Module:
        """The copy, whose layers are decided in place."""
        return folded(self.task)

    @cached_property
    def source(self) -> nn.Module:
        """The network whose activations calibrate."""
        return self.network if self.sequential else folded(self.task)

    @cached_property
    def names(self) -> list[str]:
        """Of the layers, in running order.

        Raises:
            InputError: there is none.
        """
        return weighted(self.network, self.task)

    def __iter__(self) -> Iterator[WeightLayer]:
        """The layers in running order, each checked when its turn comes."""
        return (self.layer(name) for name in self.names)

    def layer(self, name: str) -> WeightLayer:
        """A layer by its name, its weights checked."""
        return WeightLayer(self, name, part_of(self.network, name))


@dataclass(frozen=True, eq=False)
class WeightLayer:
    """A layer whose weights are decided, in its place among others."""

    layers: WeightLayers
    name: str
    part: Weighted

    @cached_property
    def inputs(self) -> dict[str, Floats]:
        """Its Gram matrices, `gram`, and the `span` of its inputs, measured when first asked for."""
        one = self.layers
        return inputs_of(
            lambda: one.source, self.name, one.task, keep=not one.sequential, rounded=one.rounded
        )

    def groups(self) -> Iterator[tuple[slice, Floats]]:
        """Rows of each group of neurons that see inputs of their own, and the Gram matrix of these."""
        size = len(self.part.weight) // groups_of(self.part)
        for group, gram in enumerate(self.inputs["gram"]):
            yield slice(group * size, (group + 1) * size), gram


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
    fold_batch_norms(network, task.inputs)
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
