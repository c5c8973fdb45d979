"""adaround: for each weight of a trained network, round down or up (Muñiz Subiñas et al. 2025)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from ..arrays import Bits, Floats, count
from ..cache import cached
from ..errors import InputError
from ..instances.rounding import Rounding
from ..layers.batch_norms import fold_batch_norms
from ..layers.inputs import gram_of_inputs, groups_of, running_order
from ..registry import problem
from ..tasks.task import Task
from .eight_bit import QuantizedInput, input_step, quantize_input
from .grids import Grid, grid_for

__all__ = [
    "Layer",
    "Weighted",
    "adaround",
    "adaround_neuron",
    "folded",
    "inputs_of",
    "layer_rounding",
    "matrix_of",
    "part_of",
    "weighted",
]

BIAS_LOW, BIAS_HIGH = -(2**31), 2**31 - 1

ACTIVATIONS = ("float", "int8")

Weighted: TypeAlias = nn.Linear | nn.Conv2d


@problem("adaround", family="rounding", version=2)
def adaround(
    task: Task,
    *,
    bits: int = 4,
    grid: str = "minmax",
    per: str = "channel",
    clip_aware: bool = True,
    sequential: bool = False,
    activations: str = "float",
    block: int = 0,
) -> Generator[Rounding, Bits, nn.Module]:
    """Decide for every weight and bias whether it rounds down or up, layer by layer.

    Layer l costs Σ_neurons s² (h − Δ)ᵀ G (h − Δ), the mean squared error of its pre-activations on the
    calibration data, exactly; G is the Gram matrix of its inputs and a column for the bias. Neurons never
    couple, so a layer is one `Rounding` and needs no penalty; a convolution of several groups is one for each
    group. BatchNorms are folded into the layers before them first.

    Parameters:
        task: the network, and the samples that calibrate it.
        bits: width of the weights in [1, 8]. The bias is an int32 of step s_x·s_w with its own rounding bit.
        grid: "code", "minmax" or "mse"; see `grids`.
        per: one step for the "tensor", as published, or one for each output "channel": folded BatchNorms
            spread the channels' ranges too far for one step.
        clip_aware: a weight whose floor is the grid's top has no "up". False ignores that, as published: what
            rounds past an end of the grid saturates in the network, which the loss does not see.
        sequential: calibrate a layer on the activations of the layers already quantized, not the float ones.
        activations: "float", or "int8" to round what flows into each layer to eight bits, both in the Gram
            matrix and in the compressed network.
        block: where positive, only this many inputs of each layer, those of the largest mean square, are
            free; the rest and the bias round to nearest.

    Raises:
        InputError: a parameter outside its range, a layer that is not supported, or weights with NaN.

    References:
        Muñiz Subiñas et al. 2025, arXiv:2510.16075; Nagel et al. 2020, arXiv:2004.10568.
    """
    free = count(block, name="block", low=0)
    if activations not in ACTIVATIONS:
        raise InputError(f"activations must be one of {', '.join(ACTIVATIONS)}, got {activations!r}")
    compressed = folded(task)

    @cache
    def source() -> nn.Module:
        return compressed if sequential else folded(task)

    for name in weighted(compressed, task):
        part = part_of(compressed, name)
        made = grid_for(matrix_of(part), bits=bits, grid=grid, per=per)
        seen = inputs_of(source, name, task, keep=not sequential, rounded=activations == "int8")
        step = input_step(*seen["span"])
        for group, gram in enumerate(seen["gram"]):
            layer = layer_rounding(part, gram, made, input_step=step, clip_aware=clip_aware, group=group)
            if free:
                layer = layer.only(free)
            _write(part, layer, (yield layer.instance))
        if activations == "int8":
            quantize_input(compressed, name, QuantizedInput(*seen["span"]))
    return compressed


@problem("adaround-neuron", family="rounding")
def adaround_neuron(
    task: Task,
    *,
    layer: int = 0,
    neuron: int = 0,
    bits: int = 4,
    grid: str = "minmax",
    per: str = "channel",
    clip_aware: bool = True,
) -> Generator[Rounding, Bits, nn.Module]:
    """Decide for the weights of one neuron alone; all others stay as they are.

    A small instance with the structure of a whole layer's, for solvers that take a neuron at a time.

    Parameters:
        task: the network, and the samples that calibrate it.
        layer: of the layers with weights, in running order, from 0 on.
        neuron: row of the layer, from 0 on.
        bits: width of the weights in [1, 8].
        grid: "code", "minmax" or "mse"; see `grids`.
        per: one step for the "tensor" or one for each output "channel".
        clip_aware: see `adaround`.

    Raises:
        InputError: there is no such layer or neuron, or what `adaround` refuses.
    """
    compressed = folded(task)
    names = weighted(compressed, task)
    name = names[count(layer, name="layer", low=0, high=len(names) - 1)]
    part = part_of(compressed, name)
    made = grid_for(matrix_of(part), bits=bits, grid=grid, per=per)
    seen = inputs_of(lambda: compressed, name, task, keep=True, rounded=False)
    step = input_step(*seen["span"])
    row = count(neuron, name="neuron", low=0, high=len(part.weight) - 1)
    group, place = divmod(row, len(part.weight) // groups_of(part))
    whole = layer_rounding(
        part, seen["gram"][group], made, input_step=step, clip_aware=clip_aware, group=group
    )
    layer_of_one = whole.row(place)
    _write(part, layer_of_one, (yield layer_of_one.instance))
    return compressed


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer's rounding problem and what its bits mean.

    Attributes:
        instance: the problem; column f is the bias where the layer has one.
        floor: (n, columns) integers that bit 0 stands for.
        grid: of the weights.
        bias_step: (n,) step of the bias, None where the layer has none.
        rows: the layer's neurons that these are: all, those of a group of a convolution, or one.
    """

    instance: Rounding
    floor: Floats
    grid: Grid
    bias_step: Floats | None
    rows: slice

    @property
    def inputs(self) -> int:
        """Columns that are weights."""
        return int(self.floor.shape[1]) - (self.bias_step is not None)

    def weights(self, x: Bits) -> Floats:
        """Weights (n, f) that the bits (n, columns) stand for; beyond the grid they saturate."""
        q = (self.floor + x)[:, : self.inputs]
        return self.grid.value(np.clip(q, self.grid.low, self.grid.high))

    def bias(self, x: Bits) -> Floats | None:
        """Bias (n,) that the bits stand for, None where the layer has none."""
        return None if self.bias_step is None else self.bias_step * (self.floor + x)[:, -1]

    def only(self, block: int) -> Layer:
        """The same layer with all but the `block` strongest of its inputs fixed at their nearest value."""
        whole = self.instance
        strongest = np.argsort(-np.diag(whole.gram)[: self.inputs], kind="stable")[:block]
        rest = np.setdiff1d(np.arange(whole.f), strongest)
        fixed = np.array(whole.fixed)
        fixed[:, rest] = whole.nearest()[:, rest]
        return replace(self, instance=replace(whole, fixed=fixed))

    def row(self, i: int) -> Layer:
        """Neuron i of these alone."""
        one, first = slice(i, i + 1), self.rows.start + i
        bias_step = None if self.bias_step is None else self.bias_step[one]
        return Layer(
            self.instance.neuron(i), self.floor[one], self.grid.rows(one), bias_step, slice(first, first + 1)
        )


def layer_rounding(
    part: Weighted,
    gram: Floats,
    grid: Grid,
    *,
    input_step: float,
    clip_aware: bool = True,
    group: int = 0,
) -> Layer:
    """The rounding problem of one layer, or of one group of a convolution.

    A bias on its own step s_b = s_x·s_w is a weight of step s_w on the column s_x·1, which keeps the loss
    exact.

    Parameters:
        part: the layer.
        gram: (f + 1, f + 1) of its inputs and a one.
        grid: of its weights.
        input_step: s_x.
        clip_aware: see `adaround`.
        group: of the convolution.
    """
    size = len(part.weight) // groups_of(part)
    rows = slice(group * size, (group + 1) * size)
    own = grid.rows(rows)
    position = own.position(matrix_of(part)[rows])
    floor, fixed = _floors(position, own.low, own.high, clip_aware=clip_aware)
    if part.bias is None:
        instance = Rounding(gram[:-1, :-1], position - floor, own.step[:, 0], 2, fixed)
        return Layer(instance, floor, own, None, rows)
    bias_step = input_step * own.step[:, 0]
    place = part.bias.detach().double().numpy()[rows, None] / bias_step[:, None]
    bias_floor, bias_fixed = _floors(place, BIAS_LOW, BIAS_HIGH, clip_aware=True)
    shift = np.hstack([position - floor, place - bias_floor])
    column = np.append(np.ones(len(gram) - 1), input_step)
    instance = Rounding(
        gram * np.outer(column, column), shift, own.step[:, 0], 2, np.hstack([fixed, bias_fixed])
    )
    return Layer(instance, np.hstack([floor, bias_floor]), own, bias_step, rows)


def _floors(position: Floats, low: int, high: int, *, clip_aware: bool) -> tuple[Floats, Bits]:
    """Integers that bit 0 stands for, and which bits are fixed: at the top there is no "up"."""
    floor = np.floor(position)
    if not clip_aware:
        return floor, np.full(floor.shape, -1, dtype=np.int8)
    floor = np.clip(floor, low, high)
    return floor, np.where(floor == high, 0, -1).astype(np.int8)


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


def _write(part: Weighted, layer: Layer, x: Bits) -> None:
    """Put rounded weights into the layer of the compressed network that they belong to."""
    bias = layer.bias(x)
    weights = torch.from_numpy(layer.weights(x)).reshape(-1, *part.weight.shape[1:])
    with torch.no_grad():
        part.weight[layer.rows].copy_(weights)
        if bias is not None and part.bias is not None:
            part.bias[layer.rows].copy_(torch.from_numpy(bias))
