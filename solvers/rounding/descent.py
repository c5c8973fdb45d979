"""What solvers for layers share: orders of columns, triangular factors, nearest planes, descent over levels.

With gram = TᵀT, T lower triangular, the loss of a neuron is Σ_i (Σ_{j≤i} T_ij e_j)², e = x − shift: one term
a coordinate, given the coordinates before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numba
import numpy as np

from ...problems import Rounding
from ...problems.arrays import Bits, Floats
from ..compiled import per_look, readonly
from ..run import Run
from .factors import Columns

__all__ = [
    "descend",
    "descend_pairs",
    "keep",
    "noise_of",
    "spans",
    "sweep",
]


SCANS = 32
"""Prefixes of a beam for which its end is scanned for pairs once, so that this costs a share of it."""


def spans(rounding: Rounding, run: Run, cost: int) -> Iterator[Columns]:
    """Neurons in groups of some 20 ms at `cost` operations each; the run is polled before every group."""
    size = per_look(cost)
    for start in range(0, rounding.n, size):
        if run.stopped():
            return
        yield np.arange(start, min(start + size, rounding.n))


def keep(
    rounding: Rounding, best: Bits, losses: Floats, rows: Columns, x: Bits, now: Floats | None = None
) -> bool:
    """Take over the rows x (k, f) of the neurons `rows` that beat those of `best` (n, f), losses (n,) too.

    `now` are the losses (k,) of x where the caller has them.
    """
    now = rounding.row_losses(x, rows) if now is None else now
    better = now < losses[rows]
    best[rows[better]], losses[rows[better]] = x[better], now[better]
    return bool(better.any())


def descend(rounding: Rounding, x: Bits, rows: Columns) -> int:
    """Move the coordinate that helps most to its best level until none helps; x (n, f) changes in `rows`.

    The number of moves comes back; each costs O(f).
    """
    field = (x[rows] - rounding.shift[rows]) @ rounding.gram
    gram, levels, fixed = readonly(rounding.gram), readonly(rounding.levels), readonly(rounding.fixed)
    return int(_descend(gram, levels, fixed, noise_of(rounding), field, x, rows))


def descend_pairs(rounding: Rounding, x: Bits, rows: Columns, scans: int) -> int:
    """Where no single move helps, take the two unit steps that help most, and descend again; x as there.

    A neuron ends once no pair helps, or after so many scans, each O(f²) over all pairs of coordinates, of
    which each may take the cheaper of its two steps. The number of moves comes back.
    """
    field = (x[rows] - rounding.shift[rows]) @ rounding.gram
    gram, levels, fixed = readonly(rounding.gram), readonly(rounding.levels), readonly(rounding.fixed)
    return int(_descend_pairs(gram, levels, fixed, noise_of(rounding), field, x, rows, scans))


def sweep(rounding: Rounding, x: Bits, rows: Columns, columns: Columns, passes: int) -> int:
    """Move each coordinate in the order `columns` to its best level given all others, up to `passes` times.

    A row ends once a pass has changed nothing; x (n, f) changes in `rows`. The number of moves comes back.
    """
    field = (x[rows] - rounding.shift[rows]) @ rounding.gram
    gram, levels, fixed = readonly(rounding.gram), readonly(rounding.levels), readonly(rounding.fixed)
    return int(_sweep(gram, levels, fixed, noise_of(rounding), field, x, rows, columns, passes))


def noise_of(rounding: Rounding) -> float:
    """Change of a neuron's form below which the kernels' fields may only be rounding noise."""
    size = float(np.diag(rounding.gram).max(initial=0.0)) * float(rounding.levels.max(initial=2))
    return 1e-13 * rounding.f * size


@numba.njit(cache=True, nogil=True)
def _descend(gram: Any, levels: Any, fixed: Any, least: float, field: Any, x: Any, rows: Any) -> int:
    moves = 0
    for k in range(rows.size):
        row = rows[k]
        while True:
            # A sentinel that is no literal spares numba a second compilation.
            best, step, gain = levels.size, 0, -least
            for i in range(levels.size):
                if fixed[row, i] < 0:
                    move = _best_move(field[k, i], gram[i, i], x[row, i], levels[i])
                    change = move * (2.0 * field[k, i] + move * gram[i, i])
                    if change < gain:
                        best, step, gain = i, move, change
            if best == levels.size:
                break
            x[row, best] += step
            moves += 1
            for j in range(levels.size):
                field[k, j] += step * gram[best, j]
    return moves


@numba.njit(cache=True, nogil=True)
def _descend_pairs(
    gram: Any, levels: Any, fixed: Any, least: float, field: Any, x: Any, rows: Any, scans: int
) -> int:
    f, moves = levels.size, 0
    cost, step, reach = np.empty(f), np.empty(f), np.zeros(f)
    for i in range(f):
        for j in range(f):
            reach[i] = max(reach[i], 2.0 * abs(gram[i, j]) if j != i else 0.0)
    for k in range(rows.size):
        row = rows[k]
        for _ in range(scans):
            for i in range(f):
                up = x[row, i] < levels[i] - 1 and (x[row, i] == 0 or field[k, i] <= 0.0)
                step[i] = 1.0 if up else -1.0
                free = fixed[row, i] < 0 and gram[i, i] > 0.0
                cost[i] = 2.0 * step[i] * field[k, i] + gram[i, i] if free else np.inf
            pair = _best_pair(gram, cost, step, reach, least)
            if pair[0] == f:
                break
            for i in pair:
                x[row, i] += np.int8(step[i])
                for j in range(f):
                    field[k, j] += step[i] * gram[i, j]
            moves += 1 + _descend(gram, levels, fixed, least, field[k : k + 1], x, rows[k : k + 1])
    return moves


@numba.njit(cache=True, nogil=True)
def _best_pair(gram: Any, cost: Any, step: Any, reach: Any, least: float) -> tuple[int, int]:
    """The pair of steps that lowers a neuron's form most, by more than `least`; (f, f) where none does.

    `cost` (f,) is that of each step alone, `reach` (f,) the most that a partner may take off it.
    """
    first, second, gain, lowest = cost.size, cost.size, -least, np.inf
    for i in range(cost.size):
        lowest = min(lowest, cost[i])
    for i in range(cost.size):
        if cost[i] + lowest - reach[i] < gain:
            for j in range(i + 1, cost.size):
                change = (cost[i] + cost[j]) + 2.0 * (step[i] * step[j] * gram[i, j])
                if change < gain:
                    first, second, gain = i, j, change
    return first, second


@numba.njit(cache=True, nogil=True)
def _sweep(
    gram: Any,
    levels: Any,
    fixed: Any,
    least: float,
    field: Any,
    x: Any,
    rows: Any,
    columns: Any,
    passes: int,
) -> int:
    moves = 0
    for k in range(rows.size):
        row = rows[k]
        for _ in range(passes):
            before = moves
            for i in columns:
                if fixed[row, i] < 0:
                    move = _best_move(field[k, i], gram[i, i], x[row, i], levels[i])
                    if move * (2.0 * field[k, i] + move * gram[i, i]) < -least:
                        x[row, i] += move
                        moves += 1
                        for j in range(levels.size):
                            field[k, j] += move * gram[i, j]
            if moves == before:
                break
    return moves


@numba.njit(cache=True, nogil=True)
def _best_move(field: float, weight: float, level: int, levels: int) -> int:
    """How many levels to move a coordinate whose loss changes by 2·move·field + move²·weight."""
    if weight <= 0.0:
        return 0
    move = np.floor(0.5 - field / weight)
    return int(min(max(move, -level), levels - 1.0 - level))
