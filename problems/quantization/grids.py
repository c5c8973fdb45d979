"""Quantization grids: which values b bits can hold, per tensor or per output channel.

`code` is the grid of the authors' repository of Muñiz Subiñas et al. 2025 (arXiv:2510.16075); `minmax` is
asymmetric with an integer zero point; `mse` shrinks the range of `minmax` to where rounding to nearest has
the least squared error, because most low-bit damage is the scale. `midrise` has no level at 0, for hardware
that cannot hold one: w = s(2u − (2^b − 1)), whose scale is searched alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..arrays import Floats, count, real
from ..errors import InputError

__all__ = ["GRIDS", "Grid", "grid_for", "group_of", "midrise"]

GRIDS = ("code", "minmax", "mse")

SHRINK = np.linspace(0.2, 1.0, 81)
"""Shares of the whole range that the `mse` grid tries."""


REACHES = np.geomspace(0.02, 1.0, 119)
"""Shares of the largest weight that the outermost level of a `midrise` grid tries; one bit wants mean |w|."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Values step·(q − zero) for integers q in [low, high]; a row of step and zero (n, groups) is a neuron's.

    With `group` 0 a neuron has one of each, else one for each `group` of its inputs; the last may be shorter.
    """

    step: Floats
    zero: Floats
    low: int
    high: int
    group: int = 0

    def spread(self, values: Floats, f: int) -> Floats:
        """What is given by group (n, groups), by input (n, f); (n, 1) where there is one group."""
        return values[:, group_of(f, self.group)] if self.group else values

    def position(self, weights: Floats) -> Floats:
        """Where the weights (n, f) lie between the grid's integers."""
        f = weights.shape[1]
        return weights / self.spread(self.step, f) + self.spread(self.zero, f)

    def value(self, q: Floats) -> Floats:
        """Weights (n, f) of integers."""
        f = q.shape[1]
        return np.asarray(self.spread(self.step, f) * (q - self.spread(self.zero, f)))

    def stored(self, q: Floats) -> Floats:
        """The same as a runtime computes them: float32(step)·(q − zero) in float32."""
        f = q.shape[1]
        step = self.spread(self.step, f).astype(np.float32)
        return np.asarray(step * (q - self.spread(self.zero, f)).astype(np.float32), dtype=np.float64)

    def rows(self, chosen: slice) -> Grid:
        """The grid of some of the neurons."""
        return Grid(self.step[chosen], self.zero[chosen], self.low, self.high, self.group)

    def integers(self, weights: Floats) -> Floats:
        """The integer of the nearest grid value of each weight."""
        return np.asarray(np.clip(np.floor(self.position(weights) + 0.5), self.low, self.high))

    def nearest(self, weights: Floats) -> Floats:
        """The nearest grid value of each weight."""
        return self.value(self.integers(weights))


def group_of(f: int, group: int) -> npt.NDArray[np.int64]:
    """The group (f,) of each of f inputs, `group` to each; 0 for all of them."""
    return np.arange(f) // (group or max(1, f))


def grid_for(weights: Floats, *, bits: int, grid: str, per: str, group: int = 0) -> Grid:
    """The grid of a layer's weights.

    Parameters:
        weights: (n, f), a row a neuron.
        bits: width in [1, 8].
        grid: "code", "minmax" or "mse".
        per: "tensor" or "channel".
        group: inputs that share a step; 0 for all of a neuron.

    Raises:
        InputError: a width, grid or granularity that there is not, or weights with NaN.
    """
    width = count(bits, name="bits", low=1, high=8)
    if grid not in GRIDS:
        raise InputError(f"grid must be one of {', '.join(GRIDS)}, got {grid!r}")
    _check_per(per)
    matrix = real(weights, name="weights", ndim=2)
    if group:
        return _by_group(matrix, grid, width, group)
    rows = matrix if per == "channel" else matrix.reshape(1, -1)
    made = _MAKERS[grid](rows, width)
    ones = np.ones((len(matrix), 1))
    return Grid(made.step * ones, made.zero * ones, made.low, made.high)


def _by_group(matrix: Floats, grid: str, width: int, group: int) -> Grid:
    """A grid for every `group` inputs of each neuron."""
    parts = [_MAKERS[grid](matrix[:, i : i + group], width) for i in range(0, matrix.shape[1], group)]
    step, zero = (np.hstack([getattr(part, name) for part in parts]) for name in ("step", "zero"))
    return Grid(step, zero, parts[0].low, parts[0].high, group)


def midrise(weights: Floats, exists: npt.NDArray[np.bool_], *, bits: int, per: str) -> Grid:
    """The grid s(2u − (2^bits − 1)) of the connections that exist: ±s, ±3s, …, never 0; one bit is a sign.

    s gives rounding to nearest the least squared error over those connections.

    Parameters:
        weights: (n, f), a row a neuron.
        exists: (n, f) connections that count.
        bits: width in [1, 4].
        per: one s for the "tensor" or one for each output "channel".

    Raises:
        InputError: a width or granularity that there is not, or weights with NaN.
    """
    width = count(bits, name="bits", low=1, high=4)
    _check_per(per)
    matrix = real(weights, name="weights", ndim=2)
    groups = len(matrix) if per == "channel" else 1
    rows, there = matrix.reshape(groups, -1), exists.reshape(groups, -1)
    top = 2**width - 1
    largest = np.abs(np.where(there, rows, 0.0)).max(axis=1, keepdims=True, initial=0.0)
    best, error = np.ones_like(largest), np.full_like(largest, np.inf)
    for reach in REACHES:
        grid = Grid(_positive(2 * reach * largest / top), np.full_like(largest, top / 2), 0, top)
        now = (there * (grid.nearest(rows) - rows) ** 2).sum(axis=1, keepdims=True)
        best, error = np.where(now < error, grid.step, best), np.minimum(now, error)
    ones = np.ones((len(matrix), 1))
    return Grid(best * ones, top / 2 * ones, 0, top)


def _check_per(per: str) -> None:
    if per not in ("tensor", "channel"):
        raise InputError(f"per must be tensor or channel, got {per!r}")


def _code(rows: Floats, bits: int) -> Grid:
    """Symmetric: q in [−2^(b−1), 2^(b−1) − 1], zero point 0, step max|w| / 2^(b−1)."""
    half = 2 ** (bits - 1)
    step = _positive(np.abs(rows).max(axis=1, keepdims=True) / half)
    return Grid(step, np.zeros_like(step), -half, half - 1)


def _minmax(rows: Floats, bits: int) -> Grid:
    """The whole range of the weights and 0."""
    return _asymmetric(rows, bits, np.ones(len(rows)))


def _mse(rows: Floats, bits: int) -> Grid:
    """The shrunk range of each row whose nearest values have the least squared error."""
    best, error = np.ones(len(rows)), np.full(len(rows), np.inf)
    for share in SHRINK:
        grid = _asymmetric(rows, bits, np.full(len(rows), share))
        now = ((grid.nearest(rows) - rows) ** 2).sum(axis=1)
        best, error = np.where(now < error, share, best), np.minimum(now, error)
    return _asymmetric(rows, bits, best)


def _asymmetric(rows: Floats, bits: int, shrink: Floats) -> Grid:
    """Integers [0, 2^b − 1] over the range of the weights and 0, times `shrink` (rows,)."""
    top = 2**bits - 1
    low = np.minimum(rows.min(axis=1, keepdims=True), 0.0) * shrink[:, None]
    high = np.maximum(rows.max(axis=1, keepdims=True), 0.0) * shrink[:, None]
    step = _positive((high - low) / top)
    return Grid(step, np.floor(-low / step + 0.5), 0, top)


def _positive(step: Floats) -> Floats:
    """Rows of zeros get step 1: they lie on any grid."""
    return np.where(step > 0, step, 1.0)


_MAKERS = {"code": _code, "minmax": _minmax, "mse": _mse}
