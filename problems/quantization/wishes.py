"""What is wished of a matrix: its grid, its levels, its bias; and the problems that they make."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import Bits, Floats, chosen, count
from ..errors import InputError
from ..instances.rounding import Rounding, settled
from ..layers.sums import let_go
from ..layers.uses import Use
from ..memory import give_back
from .fit import best_steps, fitted
from .grids import GRIDS, Grid, grid_for, group_of
from .layer_rounding import Layer, regridded, rows_rounding
from .weight_layers import WeightLayer

__all__ = ["BIASES", "Answer", "Wishes", "better", "group_for"]

BIASES = ("int32", "corrected", "float")

MOST_LEVELS = 64
"""Of a weight whose grid has more than a level's int8 holds: those about it."""


GROUP, LEAST = 32, 64
"""Inputs that share a step where no group is named, and the fewest of a row for which it pays.

At most as many as the grid has levels, so that a row never holds more values than those.
"""


def group_for(group: int | None, use: Use, inputs: int, *, bits: int) -> int:
    """The group of a matrix, as `adaround` says of None; a convolution's runtimes take a step a filter.

    Parameters:
        group: that is wished.
        use: the matrix.
        inputs: of a neuron, or numbers of a row.
        bits: width.
    """
    if group is not None:
        return group
    rows = use.kind in ("linear", "embedding")
    return GROUP if rows and bits == 8 and LEAST <= inputs <= 2**bits and inputs % GROUP == 0 else 0


@dataclass(frozen=True)
class Wishes:
    """How the weights and biases of a matrix are to be rounded; the parameters of `adaround`."""

    bits: int
    grid: str
    per: str
    group: int | None
    levels: int | str
    bias: str
    clip_aware: bool
    keep_zeros: bool
    block: int
    tries: int
    refits: int

    def __post_init__(self) -> None:
        width = count(self.bits, name="bits", low=1, high=8)
        chosen(self.bias, BIASES, name="bias")
        chosen(self.grid, (*GRIDS, "fit"), name="grid")
        group = self.group and count(self.group, name="group", low=0)
        for name, low in (("tries", 1), ("refits", 0), ("block", 0)):
            count(getattr(self, name), name=name, low=low)
        if self.levels != "all":
            count(self.levels, name='levels, where it is not "all",', low=2, high=2**width)
        if self.per == "tensor" and (group or self.grid == "fit"):
            raise InputError('per must be "channel" for groups of inputs and for grid="fit", got "tensor"')
        if group and self.bias == "int32":
            raise InputError('bias must be "corrected" or "float" where inputs have groups, got "int32"')

    @property
    def count(self) -> int:
        """Levels of each weight."""
        most = 2**self.bits if 2**self.bits <= MOST_LEVELS else MOST_LEVELS
        return most if self.levels == "all" else min(int(self.levels), MOST_LEVELS)

    @property
    def whole(self) -> bool:
        """Whether a weight may take every value of its grid."""
        return bool(self.count == 2**self.bits)

    def layers(self, one: WeightLayer, *, input_step: float) -> Iterator[tuple[Layer, Answer]]:
        """The problem of each group of neurons with inputs of their own, and nearest values beside it.

        Those are on the grid of the weights' range where the grid is fitted: what anyone would do.
        """
        usual = "minmax" if self.grid == "fit" else self.grid
        group = self._group(one)
        plain = grid_for(one.weights, bits=self.bits, grid=usual, per=self.per, group=group)
        for rows, gram in one.groups():
            layer = self._layer(one, rows, gram, plain, input_step)
            let_go(gram)
            nearest = Answer(layer, layer.nearest())
            if self.grid == "fit":
                layer = self._fitted(one, gram, layer, input_step)
                give_back(gram.nbytes)
            yield layer.only(self.block) if self.block else layer, nearest

    def decided(
        self, one: WeightLayer, layer: Layer, *, enter: Callable[[], None]
    ) -> Generator[Rounding, Bits, Answer]:
        """Ask for the levels of a layer; with a fitted grid, again with the steps that are best for them.

        `enter` tells the ledger of each question.
        """
        enter()
        best = Answer(layer, (yield layer.instance))
        if self.grid != "fit" or not self.whole or self.block or layer.bias_step is not None:
            return best
        weights = one.weights[layer.rows]
        for _ in range(self.refits):
            grid, found = _refitted(best, weights), best.layer.integers(best.x)
            layer = replace(layer, gram=layer.instance.gram)  # which is checked once
            layer = self._regridded(layer, weights, grid, found)
            enter()
            best = better(Answer(layer, layer.instance.start), Answer(layer, (yield layer.instance)))
        return best

    def _group(self, one: WeightLayer) -> int:
        if self.group is None and (self.per == "tensor" or self.bias == "int32"):
            return 0
        return group_for(self.group, one.use, one.weights.shape[1], bits=self.bits)

    def _fitted(self, one: WeightLayer, gram: Floats, plain: Layer, input_step: float) -> Layer:
        """The problem of the plain layer's rows on a grid fitted to them."""
        rows, form = plain.rows, plain.gram[: plain.inputs, : plain.inputs]
        group = plain.grid.group
        fit = fitted(one.weights[rows], form, bits=self.bits, group=group, tries=self.tries)
        if plain.bias_step is None and self.whole:
            return self._regridded(plain, one.weights[rows], fit.grid, fit.levels)
        layer = self._layer(one, rows, gram, _placed(fit.grid, rows, len(one.weights)), input_step)
        start = layer.shift + 0.5
        start[:, : layer.inputs] = fit.levels - layer.floor[:, : layer.inputs]
        return replace(layer, start=settled(np.floor(start), layer.column_levels, layer.fixed))

    def _regridded(self, layer: Layer, weights: Floats, grid: Grid, start: Floats) -> Layer:
        kept = {"clip_aware": self.clip_aware, "keep_zeros": self.keep_zeros}
        return regridded(layer, weights, grid, start=start, **kept)

    def _layer(self, one: WeightLayer, rows: slice, gram: Floats, grid: Grid, input_step: float) -> Layer:
        return rows_rounding(
            one.weights,
            one.bias,
            gram,
            grid,
            rows=rows,
            input_step=input_step,
            clip_aware=self.clip_aware,
            levels=self.count,
            bias_kind=self.bias,
            keep_zeros=self.keep_zeros,
        )


@dataclass(frozen=True, eq=False)
class Answer:
    """Levels x (n, columns) of a layer's problem."""

    layer: Layer
    x: Bits


def better(one: Answer, other: Answer) -> Answer:
    """Of two answers to one problem the better rows."""
    losses = [found.layer.instance.row_losses(found.x) for found in (one, other)]
    return Answer(one.layer, np.where((losses[1] < losses[0])[:, None], other.x, one.x))


def _refitted(answer: Answer, weights: Floats) -> Grid:
    """The layer's grid with the steps that are best for the answer, as float32 holds them."""
    layer, grid = answer.layer, answer.layer.grid
    codes = layer.integers(answer.x) - grid.spread(grid.zero, layer.inputs)
    places = group_of(layer.inputs, grid.group)
    steps = best_steps(codes, grid.step, layer.gram, weights @ layer.gram, places)
    return replace(grid, step=steps.astype(np.float32).astype(np.float64))


def _placed(grid: Grid, rows: slice, n: int) -> Grid:
    """The grid of some rows among n: those of the others are not asked for."""
    step, zero = (np.ones((n, grid.step.shape[1])) for _ in range(2))
    step[rows], zero[rows] = grid.step, grid.zero
    return replace(grid, step=step, zero=zero)
