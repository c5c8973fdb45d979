"""One layer, or group, as a Rounding, and the way back to its weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..arrays import Bits, Floats
from ..instances.rounding import Rounding
from ..layers.inputs import groups_of
from .grids import Grid
from .weight_layers import Weighted, matrix_of

__all__ = ["BIAS_HIGH", "BIAS_LOW", "Layer", "layer_rounding"]

BIAS_LOW, BIAS_HIGH = -(2**31), 2**31 - 1


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
