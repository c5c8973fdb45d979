"""One layer, or group, as a Rounding, and the way back to its weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..arrays import Bits, Floats, frozen
from ..instances.rounding import Rounding, nearest_levels, settled
from .grids import Grid, group_of

__all__ = [
    "BIAS_HIGH",
    "BIAS_LOW",
    "COLUMNS",
    "Layer",
    "Together",
    "centred",
    "gathered",
    "regridded",
    "rows_rounding",
]

BIAS_LOW, BIAS_HIGH = -(2**31), 2**31 - 1

COLUMNS = 512
"""Most of several groups' problems together: their Gram matrix is dense, so twice as many cost four times."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer's rounding problem and what its bits mean.

    Attributes:
        gram, shift, fixed: of the problem; column f is the bias where that has a step. The gram is frozen, so
            that problems share it.
        floor: (n, columns) integers that level 0 stands for.
        grid: of the weights.
        bias_step: (n,) step of the bias, None where it has none.
        rows: the layer's neurons that these are: all, those of a group of a convolution, or one.
        levels: of each weight.
        start: (n, columns) solution that is known, None where none is.
        real_bias: (n,) bias that takes up the mean error of the weights, None where none does.
        mean: (f,) of the inputs, for that.
    """

    gram: Floats
    shift: Floats
    fixed: Bits
    floor: Floats
    grid: Grid
    bias_step: Floats | None
    rows: slice
    levels: int = 2
    start: Bits | None = None
    real_bias: Floats | None = None
    mean: Floats | None = None

    @cached_property
    def instance(self) -> Rounding:
        """The problem; what makes one is only checked when it is asked for, as groups may be thousands."""
        step, start, group = self.grid.step, self.start, None
        if self.grid.group:
            group = group_of(self.inputs, self.grid.group)
            if self.bias_step is not None:
                group = np.append(group, step.shape[1])
                step = np.hstack([step, self.bias_step[:, None]])
        scale = step if self.grid.group else step[:, 0]
        return Rounding(self.gram, self.shift, scale, self.column_levels, self.fixed, group, start)

    @property
    def column_levels(self) -> npt.NDArray[np.int64]:
        """Levels (columns,) of each column; a bias has two."""
        levels = np.full(self.floor.shape[1], self.levels)
        levels[self.inputs :] = 2
        return levels

    def nearest(self) -> Bits:
        """Levels (n, columns) of the nearest values, without the problem, whose making costs O(f³)."""
        return nearest_levels(self.shift, self.column_levels, self.fixed)

    @property
    def inputs(self) -> int:
        """Columns that are weights."""
        return int(self.floor.shape[1]) - (self.bias_step is not None)

    def integers(self, x: Bits) -> Floats:
        """Integers q (n, f) of the grid that the levels (n, columns) stand for; beyond it they saturate."""
        q = (self.floor + x)[:, : self.inputs]
        return np.asarray(np.clip(q, self.grid.low, self.grid.high))

    def weights(self, x: Bits) -> Floats:
        """Weights (n, f) that the levels (n, columns) stand for."""
        return self.grid.value(self.integers(x))

    def stored(self, x: Bits) -> Floats:
        """The same as a runtime computes them, of which each is a float32."""
        return self.grid.stored(self.integers(x))

    def bias(self, x: Bits) -> Floats | None:
        """Bias (n,) that the levels stand for, None where it stays as it is."""
        if self.real_bias is not None and self.mean is not None:
            return np.asarray(self.real_bias - self._errors(x) @ self.mean)
        return None if self.bias_step is None else self.bias_step * (self.floor + x)[:, -1]

    def _errors(self, x: Bits) -> Floats:
        """Errors (n, f) of the weights, in their units."""
        errors = (x - self.shift)[:, : self.inputs]
        return np.asarray(errors * self.grid.spread(self.grid.step, self.inputs))

    def loss_on(self, gram: Floats, x: Bits) -> float:
        """Loss of levels on other inputs, whose Gram matrix (f + 1, f + 1) is of x and a one."""
        error = self._errors(x)
        if self.bias_step is not None:
            error = np.hstack([error, (x - self.shift)[:, -1:] * self.bias_step[:, None]])
        elif self.mean is not None:
            error = np.hstack([error, -(error @ self.mean)[:, None]])
        used = gram[: error.shape[1], : error.shape[1]]
        return float(((error @ used) * error).sum())

    def only(self, block: int) -> Layer:
        """The same layer with all but the `block` strongest of its inputs fixed at their nearest value."""
        strongest = np.argsort(-np.diag(self.gram)[: self.inputs], kind="stable")[:block]
        rest = np.setdiff1d(np.arange(len(self.gram)), strongest)
        fixed = np.array(self.fixed)
        fixed[:, rest] = self.nearest()[:, rest]
        return replace(self, fixed=fixed)

    def row(self, i: int) -> Layer:
        """Neuron i of these alone."""
        one, first = slice(i, i + 1), self.rows.start + i
        bias_step = None if self.bias_step is None else self.bias_step[one]
        return replace(
            self,
            shift=self.shift[one],
            fixed=self.fixed[one],
            floor=self.floor[one],
            grid=self.grid.rows(one),
            bias_step=bias_step,
            rows=slice(first, first + 1),
            start=None if self.start is None else self.start[one],
            real_bias=None if self.real_bias is None else self.real_bias[one],
        )


def regridded(
    layer: Layer, weights: Floats, grid: Grid, *, clip_aware: bool, keep_zeros: bool, start: Floats
) -> Layer:
    """The layer, whose biases have no steps, on another grid.

    Parameters:
        layer: whose levels are those of the whole grid.
        weights: (n, f) of its rows.
        grid: of its rows.
        clip_aware, keep_zeros: see `rows_rounding`.
        start: (n, f) integers of a solution that is known.
    """
    position = grid.position(weights)
    floor, fixed = _places(
        weights, position, grid, clip_aware=clip_aware, keep_zeros=keep_zeros, levels=layer.levels
    )
    known = settled(start - floor, layer.column_levels, fixed)
    return replace(layer, shift=position - floor, fixed=fixed, floor=floor, grid=grid, start=known)


def rows_rounding(
    weights: Floats,
    bias: Floats | None,
    gram: Floats,
    grid: Grid,
    *,
    rows: slice,
    input_step: float,
    clip_aware: bool = True,
    levels: int = 2,
    bias_kind: str = "int32",
    keep_zeros: bool = False,
) -> Layer:
    """The rounding problem of some rows of a matrix.

    An int32 bias on its own step s_b = s_x·s_w is a weight of step s_w on the column s_x·1, which keeps the
    loss exact. A corrected one is real and takes up the mean error of the weights, which the centred Gram
    matrix leaves out, exactly as well; a float one stays as it is.

    Parameters:
        weights: (n, f), a row a neuron.
        bias: (n,), None where there is none to round.
        gram: (f + 1, f + 1) of the rows' inputs and a one.
        grid: of all weights.
        rows: those of the problem.
        input_step: s_x.
        clip_aware: see `adaround`.
        levels: of each weight; two are the floor and the one above it.
        bias_kind: "int32", "corrected" or "float".
        keep_zeros: whether weights of 0 stay so.
    """
    if bias is not None and bias_kind == "int32":
        grid = _holding(grid, bias, rows, input_step)
    own = grid.rows(rows)
    position = own.position(weights[rows])
    floor, fixed = _places(
        weights[rows], position, own, clip_aware=clip_aware, keep_zeros=keep_zeros, levels=levels
    )
    if bias is None or bias_kind != "int32":
        means, form = (
            centred(gram) if bias is not None and bias_kind == "corrected" else (None, gram[:-1, :-1])
        )
        real = None if bias is None or means is None else bias[rows]
        return Layer(
            frozen(form),
            position - floor,
            fixed,
            floor,
            own,
            None,
            rows,
            levels=levels,
            real_bias=real,
            mean=means,
        )
    bias_step = input_step * own.step[:, 0]
    place = bias[rows, None] / bias_step[:, None]
    bias_floor, bias_fixed = _floors(place, BIAS_LOW, BIAS_HIGH, clip_aware=True)
    shift = np.hstack([position - floor, place - bias_floor])
    column = np.append(np.ones(len(gram) - 1), 1.0 if own.group else input_step)
    return Layer(
        frozen(gram * np.outer(column, column)),
        shift,
        np.hstack([fixed, bias_fixed]),
        np.hstack([floor, bias_floor]),
        own,
        bias_step,
        rows,
        levels=levels,
    )


def centred(gram: Floats) -> tuple[Floats, Floats]:
    """Means (f,) of the inputs, and the Gram matrix (f, f) of the inputs less their means."""
    means = gram[-1, :-1] / gram[-1, -1]
    form = np.outer(means, means)
    form *= -gram[-1, -1]
    form += gram[:-1, :-1]
    return means, form


def _holding(grid: Grid, bias: Floats, rows: slice, input_step: float) -> Grid:
    """The grid with steps raised where an int32 of step s_x·s_w would not hold the bias."""
    least = np.abs(bias) / (input_step * BIAS_HIGH)
    if (grid.step >= least[:, None]).all():
        return grid
    return replace(grid, step=np.maximum(grid.step, least[:, None]))


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
        rows, columns = self._shape()
        gram, shift = np.zeros((columns, columns)), np.zeros((rows, columns))
        fixed = np.zeros(shift.shape, dtype=np.int8)
        for one, unit, (own, inputs) in zip(self.layers, units, self._places(), strict=True):
            gram[inputs, inputs] = one.gram / unit
            shift[own, inputs], fixed[own, inputs] = one.shift, one.fixed
        scale = [one.grid.step[:, 0] * unit**0.5 for one, unit in zip(self.layers, units, strict=True)]
        levels = np.concatenate([one.column_levels for one in self.layers])
        return Rounding(gram, shift, np.concatenate(scale), levels, fixed, start=self._start())

    def _start(self) -> Bits | None:
        """The solutions that are known of all, where they are."""
        known = [one.start for one in self.layers if one.start is not None]
        if len(known) < len(self.layers):
            return None
        start = np.zeros(self._shape(), dtype=np.int8)
        for found, places in zip(known, self._places(), strict=True):
            start[places] = found
        return start

    def _shape(self) -> tuple[int, int]:
        rows = sum(one.shift.shape[0] for one in self.layers)
        return rows, sum(one.shift.shape[1] for one in self.layers)

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


def _places(
    weights: Floats,
    position: Floats,
    grid: Grid,
    *,
    clip_aware: bool,
    keep_zeros: bool,
    levels: int,
) -> tuple[Floats, Bits]:
    """As `_floors` of weights (n, f), of which zeros may have to stay."""
    floor, fixed = _floors(position, grid.low, grid.high, clip_aware=clip_aware, levels=levels)
    if keep_zeros:
        zero = grid.spread(grid.zero, weights.shape[1]) - floor
        fixed = np.where(weights == 0.0, np.clip(zero, 0, levels - 1), fixed).astype(np.int8)
    return floor, fixed


def _floors(
    position: Floats, low: int, high: int, *, clip_aware: bool, levels: int = 2
) -> tuple[Floats, Bits]:
    """Integers that level 0 stands for, and which are fixed: of two levels, at the top there is no "up".

    More levels are those about the position, as far as the grid has them.
    """
    floor = np.floor(position)
    if levels > 2:
        lowest = max(low, high - levels + 1)
        return np.clip(floor - (levels // 2 - 1), low, lowest), np.full(floor.shape, -1, dtype=np.int8)
    if not clip_aware:
        return floor, np.full(floor.shape, -1, dtype=np.int8)
    floor = np.clip(floor, low, high)
    return floor, np.where(floor == high, 0, -1).astype(np.int8)
