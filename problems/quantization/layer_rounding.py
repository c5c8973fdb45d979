"""One layer, or group, as a Rounding, and the way back to its weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..arrays import Bits, Floats
from ..instances.rounding import Rounding
from ..layers.inputs import groups_of
from .grids import Grid
from .weight_layers import Weighted, matrix_of

__all__ = [
    "BIAS_HIGH",
    "BIAS_LOW",
    "COLUMNS",
    "Layer",
    "Together",
    "gathered",
    "layer_rounding",
    "rows_rounding",
]

BIAS_LOW, BIAS_HIGH = -(2**31), 2**31 - 1

COLUMNS = 512
"""Most of several groups' problems together: their Gram matrix is dense, so twice as many cost four times."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer's rounding problem and what its bits mean.

    Attributes:
        gram, shift, fixed: of the problem; column f is the bias where the layer has one.
        floor: (n, columns) integers that bit 0 stands for.
        grid: of the weights.
        bias_step: (n,) step of the bias, None where the layer has none.
        rows: the layer's neurons that these are: all, those of a group of a convolution, or one.
    """

    gram: Floats
    shift: Floats
    fixed: Bits
    floor: Floats
    grid: Grid
    bias_step: Floats | None
    rows: slice

    @cached_property
    def instance(self) -> Rounding:
        """The problem; what makes one is only checked when it is asked for, as groups may be thousands."""
        return Rounding(self.gram, self.shift, self.grid.step[:, 0], 2, self.fixed)

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

    def loss_on(self, gram: Floats, x: Bits) -> float:
        """Loss of bits on other inputs, whose Gram matrix (f + 1, f + 1) is of x and a one."""
        steps = [*[self.grid.step] * self.inputs]
        if self.bias_step is not None:
            steps.append(self.bias_step[:, None])
        error = (x - self.shift) * np.hstack(steps)
        used = gram[: error.shape[1], : error.shape[1]]
        return float(((error @ used) * error).sum())

    def only(self, block: int) -> Layer:
        """The same layer with all but the `block` strongest of its inputs fixed at their nearest value."""
        strongest = np.argsort(-np.diag(self.gram)[: self.inputs], kind="stable")[:block]
        rest = np.setdiff1d(np.arange(len(self.gram)), strongest)
        fixed = np.array(self.fixed)
        fixed[:, rest] = self.instance.nearest()[:, rest]
        return replace(self, fixed=fixed)

    def row(self, i: int) -> Layer:
        """Neuron i of these alone."""
        one, first = slice(i, i + 1), self.rows.start + i
        bias_step = None if self.bias_step is None else self.bias_step[one]
        return Layer(
            self.gram,
            self.shift[one],
            self.fixed[one],
            self.floor[one],
            self.grid.rows(one),
            bias_step,
            slice(first, first + 1),
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
    """The rounding problem of one Linear or Conv2d, or of one group of it. See `rows_rounding`.

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
    bias = None if part.bias is None else np.asarray(part.bias.detach().double().numpy())
    return rows_rounding(
        matrix_of(part), bias, gram, grid, rows=rows, input_step=input_step, clip_aware=clip_aware
    )


def rows_rounding(
    weights: Floats,
    bias: Floats | None,
    gram: Floats,
    grid: Grid,
    *,
    rows: slice,
    input_step: float,
    clip_aware: bool = True,
) -> Layer:
    """The rounding problem of some rows of a matrix.

    A bias on its own step s_b = s_x·s_w is a weight of step s_w on the column s_x·1, which keeps the loss
    exact.

    Parameters:
        weights: (n, f), a row a neuron.
        bias: (n,), None where there is none to round.
        gram: (f + 1, f + 1) of the rows' inputs and a one.
        grid: of all weights.
        rows: those of the problem.
        input_step: s_x.
        clip_aware: see `adaround`.
    """
    own = grid.rows(rows)
    position = own.position(weights[rows])
    floor, fixed = _floors(position, own.low, own.high, clip_aware=clip_aware)
    if bias is None:
        return Layer(gram[:-1, :-1], position - floor, fixed, floor, own, None, rows)
    bias_step = input_step * own.step[:, 0]
    place = bias[rows, None] / bias_step[:, None]
    bias_floor, bias_fixed = _floors(place, BIAS_LOW, BIAS_HIGH, clip_aware=True)
    shift = np.hstack([position - floor, place - bias_floor])
    column = np.append(np.ones(len(gram) - 1), input_step)
    return Layer(
        gram * np.outer(column, column),
        shift,
        np.hstack([fixed, bias_fixed]),
        np.hstack([floor, bias_floor]),
        own,
        bias_step,
        rows,
    )


@dataclass(frozen=True, eq=False)
class Together:
    """Layers that see inputs of their own as one problem, so that many small ones are one stage.

    Rows are the neurons of all, columns the inputs of all; what is no input of a neuron is fixed where it
    changes nothing, so the loss is the sum of the losses, exactly. Each block of the Gram matrix is divided
    by its mean diagonal, which its rows' scale gives back: a solver that damps treats blocks alike.
    """

    layers: list[Layer]

    @cached_property
    def instance(self) -> Rounding:
        """The one problem; of a single layer its own."""
        if len(self.layers) == 1:
            return self.layers[0].instance
        units = [float(np.diag(one.gram).mean()) or 1.0 for one in self.layers]
        rows, columns = (sum(one.shift.shape[axis] for one in self.layers) for axis in (0, 1))
        gram, shift = np.zeros((columns, columns)), np.zeros((rows, columns))
        fixed = np.zeros(shift.shape, dtype=np.int8)
        for one, unit, (own, inputs) in zip(self.layers, units, self._places(), strict=True):
            gram[inputs, inputs] = one.gram / unit
            shift[own, inputs], fixed[own, inputs] = one.shift, one.fixed
        scale = [one.grid.step[:, 0] * unit**0.5 for one, unit in zip(self.layers, units, strict=True)]
        return Rounding(gram, shift, np.concatenate(scale), 2, fixed)

    def split(self, x: Bits) -> list[Bits]:
        """The bits of each layer."""
        return [x[rows, columns] for rows, columns in self._places()]

    def _places(self) -> Iterator[tuple[slice, slice]]:
        row = column = 0
        for one in self.layers:
            rows, columns = one.shift.shape
            yield slice(row, row + rows), slice(column, column + columns)
            row, column = row + rows, column + columns


def gathered(layers: Iterable[Layer]) -> Iterator[Together]:
    """The layers in order, neighbours together as long as they have few columns."""
    held: list[Layer] = []
    for layer in layers:
        if held and sum(len(one.gram) for one in (*held, layer)) > COLUMNS:
            yield Together(held)
            held = []
        held.append(layer)
    if held:
        yield Together(held)


def _floors(position: Floats, low: int, high: int, *, clip_aware: bool) -> tuple[Floats, Bits]:
    """Integers that bit 0 stands for, and which bits are fixed: at the top there is no "up"."""
    floor = np.floor(position)
    if not clip_aware:
        return floor, np.full(floor.shape, -1, dtype=np.int8)
    floor = np.clip(floor, low, high)
    return floor, np.where(floor == high, 0, -1).astype(np.int8)
