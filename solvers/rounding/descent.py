"""What solvers for layers share: orders of columns, triangular factors, nearest planes, descent over levels.

With gram = TᵀT, T lower triangular, the loss of a neuron is Σ_i (Σ_{j≤i} T_ij e_j)², e = x − shift: one term
a coordinate, given the coordinates before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from ...problems import Rounding
from ...problems.arrays import Bits, Floats
from ..qubo.flips import per_look, readonly
from ..run import Run

__all__ = [
    "aims",
    "boxed",
    "centres",
    "column_order",
    "descend",
    "descend_pairs",
    "factor",
    "keep",
    "noise_of",
    "planes",
    "sorted_columns",
    "sorted_factor",
    "sorted_rows",
    "spans",
    "sweep",
    "triangle",
]

Columns = npt.NDArray[np.int64]

BLOCK = 32
"""Coordinates between two matrix products."""

SORTED = 256
"""Columns sorted between two matrix products, which cost more there than what they spare."""

HORIZON = 1024
"""Coordinates that a beam's prefixes may differ in; beyond, the cheapest decides the older half."""

NUMBA = "numba"
"""The device of the compiled kernels, which is none of torch's."""

PRECISIONS = ("float32", "float64")
"""Of matrix products between blocks."""

SCANS = 32
"""Prefixes of a beam for which its end is scanned for pairs once, so that this costs a share of it."""

STIFFNESS, RELAXATION = 0.15, 1.6
"""Of alternating directions: weight of the step before as a share of the diagonal, and over-relaxation."""

ROUNDS, STEPS = 20, 10
"""At most so many rounds of so many steps, with a look at the gap after each."""

NEAR = 1e-2
"""Gap of a box's minimum as a share of Σ T_ii², twelve times what nearest plane's errors cost on average."""

UNIT = 2.0**-53
"""Relative error of one float64 operation."""


def column_order(gram: Floats, order: str, damping: float = 0.0) -> Columns:
    """Columns in the order of rounding: "act" by falling mean square, "given" as they stand.

    "sorted" is as `sorted_columns` of the gram damped as by `factor`.
    """
    if order == "given":
        return np.arange(len(gram))
    if order == "sorted":
        return sorted_columns(gram + _ridge(gram, damping) * np.eye(len(gram)))
    return np.argsort(-np.diag(gram), kind="stable")


def triangle(gram: Floats, order: str, damping: float) -> tuple[Columns, Floats]:
    """Columns as of `column_order`, and the `factor` of the gram in that order; sorting brings it along."""
    if order == "sorted":
        columns, rows = sorted_rows(gram + _ridge(gram, damping) * np.eye(len(gram)))
        # What is left of a column behind its own row is rounding noise.
        lower = np.tril(rows[::-1][:, columns])
        if np.diag(lower).all():
            return columns, lower
    else:
        columns = column_order(gram, order)
    return columns, factor(gram[np.ix_(columns, columns)], damping)


def sorted_columns(gram: Any) -> Columns:
    """Columns of which each, from the last, is the one that those behind it leave the least of.

    The sorted QR factorisation of Wübben et al. 2001, blocked so that matrix products do the O(f³): a
    search that goes through them from the first decides early what the others tell well apart.

    Parameters:
        gram: (f, f) positive definite, an array or a tensor on any device.
    """
    return sorted_rows(gram)[0]


def sorted_rows(gram: Any) -> tuple[Columns, Any]:
    """The sorted columns, and rows (f, f) with gram = rowsᵀ rows: the first is the last column's, and so on.

    Where rounding leaves nothing of a column, its row is 0. Parameters are those of `sorted_columns`.
    """
    names, found, whole = np.arange(len(gram)), np.zeros(0, dtype=np.int64), gram * 0.0
    while len(names):
        rest, rows = gram.diagonal() * 1.0, gram[:SORTED] * 0.0
        picks = []
        for k in range(len(rows)):
            picks.append(int(rest.argmin()))
            row = gram[picks[k]] - rows[:k, picks[k]] @ rows[:k]
            left = float(row[picks[k]])
            # Of a column that those behind it span, rounding may leave less than nothing.
            rows[k] = row / left**0.5 if left > 0.0 else 0.0
            rest -= rows[k] ** 2
            rest[picks[k]] = np.inf
        whole[len(found) : len(found) + len(picks), names] = rows
        found = np.append(found, names[picks])
        stay = np.setdiff1d(np.arange(len(names)), picks)
        names, rows = names[stay], rows[:, stay]
        gram = gram[stay][:, stay] - rows.T @ rows
    return found[::-1].copy(), whole


def factor(gram: Floats, damping: float) -> Floats:
    """Lower triangular T with gram + damping·mean(diag)·I = TᵀT.

    Where the sum is not positive definite in float64, which a rank-deficient gram may cause, the damping
    grows tenfold.
    """
    ridge = _ridge(gram, damping)
    while True:
        try:
            damped = gram + ridge * np.eye(len(gram))
            return np.asarray(np.linalg.cholesky(damped[::-1, ::-1])[::-1, ::-1].T)
        except np.linalg.LinAlgError:
            ridge *= 10.0


def _ridge(gram: Floats, damping: float) -> float:
    return damping * (float(np.mean(np.diag(gram))) or 1.0)


def aims(rounding: Rounding, columns: Columns, lower: Floats) -> Floats:
    """What the damped form is to be near to, (n, f) in the order `columns`, so that damping costs nothing.

    A pull λ(x − ½)² towards the middle of two levels is the same at both, where λ(x − shift)² is not: with it
    the damped form differs from the loss by a constant alone, and a prefix is charged for what would lead
    later coordinates outside their box. More levels have no such point and are pulled to their shift.
    """
    middle = np.where(rounding.levels == 2, 0.5, rounding.shift)[:, columns]
    slopes = (rounding.gram @ (rounding.shift - np.where(rounding.levels == 2, 0.5, rounding.shift)).T)[
        columns
    ]
    half = solve_triangular(lower, slopes, lower=True, trans="T", check_finite=False)
    return np.asarray(middle + solve_triangular(lower, half, lower=True, check_finite=False).T)


def centres(rounding: Rounding, columns: Columns, lower: Floats) -> tuple[Floats, Floats]:
    """Where in its box the damped form is least and its slope there, both (n, f) in the order `columns`.

    Fixed coordinates stand at their values, so that the free ones know what errors they have to make up for.
    """
    fixed = rounding.fixed[:, columns]
    low = np.where(fixed >= 0, fixed, 0.0)
    high = np.where(fixed >= 0, fixed, rounding.levels[columns] - 1.0)
    centre, slope = boxed(aims(rounding, columns, lower), low, high, lower, np)
    return np.asarray(centre), np.asarray(slope)


def boxed(aim: Any, low: Any, high: Any, lower: Any, library: Any) -> tuple[Any, Any]:
    """Minimum c of |T(x − aim)|² over low ≤ x ≤ high, and the slope 2 TᵀT(c − aim) there, both (n, f).

    |T(x − aim)|² = |T(x − c)|² + slope·(x − c) + a constant, at any c. At the minimum no coordinate in the
    box makes the second term negative, so a prefix that pays for its own share is charged no more than what
    the relaxed rest cannot win back: a bound that knows of the box, from one factor for all neurons. Rows
    whose minimum is nearly their aim keep it, with slope 0.

    Alternating directions (Boyd et al. 2011), one product with one inverse for all neurons a step; a row
    ends once its gap, max over the box of −slope·(x − c), is small beside what rounding costs anyway.

    Parameters:
        aim, low, high: (n, f).
        lower: T, (f, f).
        library: numpy or torch, whichever the arrays are of.
    """
    enough = NEAR * float((lower.diagonal() ** 2).sum())
    z, u = aim.clip(low, high), aim * 0.0
    centre, slope = aim * 1.0, aim * 0.0
    away = left = library.where((((z - aim) @ lower.T) ** 2).sum(1) > enough)[0]
    if not len(away):
        return centre, slope
    form = lower.T @ lower
    firm = STIFFNESS * form.diagonal()
    back = firm[:, None] * library.linalg.inv(form + library.diag(firm))
    for _ in range(ROUNDS):
        goal, floor, top, now, dual = aim[left], low[left], high[left], z[left], u[left]
        for _ in range(STEPS):
            free = goal + (now - dual - goal) @ back
            dual = dual + RELAXATION * free + (1.0 - RELAXATION) * now
            now = dual.clip(floor, top)
            dual = dual - now
        z[left], u[left] = now, dual
        pull = (now - goal) @ form
        left = left[library.maximum(pull * (now - floor), pull * (now - top)).sum(1) > enough]
        if not len(left):
            break
    centre[away] = z[away]
    slope[away] = 2.0 * (z[away] - aim[away]) @ form
    return centre, slope


def sorted_factor(gram: Floats, first: npt.NDArray[np.bool_]) -> tuple[Columns, Floats]:
    """An order of the columns and lower triangular T with gram = TᵀT in that order, row by row from the last.

    Each next row goes to the column that the rows below leave the least of; columns marked in `first` wait
    for all others, so that they come first. What is left of a column may be nothing, which makes a row of
    zeros: rank-deficient grams are factored as they are.
    """
    rows, columns = np.zeros(gram.shape), np.zeros(len(gram), dtype=np.int64)
    least = 4 * len(gram) * UNIT * float(np.diag(gram).max(initial=0.0))
    _factor(readonly(gram), readonly(first), int(first.sum()), least, rows, columns)
    return columns, np.ascontiguousarray(rows[:, columns])


@numba.njit(cache=True, nogil=True)
def _factor(gram: Any, first: Any, count: int, least: float, rows: Any, columns: Any) -> None:
    """Fill `rows` (f, f) from the last, in the given order of columns, and `columns` (f,)."""
    f = columns.size
    done, rest, row = np.zeros(f, dtype=np.bool_), np.empty(f), np.empty(f)
    for j in range(f):
        rest[j] = gram[j, j]
    for k in range(f - 1, -1, -1):
        pick, lowest = f, np.inf
        for j in range(f):
            if not done[j] and rest[j] < lowest and (k < count or not first[j]):
                pick, lowest = j, rest[j]
        for j in range(f):
            row[j] = 0.0 if done[j] else gram[pick, j]
        for m in range(k + 1, f):
            share = rows[m, pick]
            for j in range(f):
                row[j] -= share * rows[m, j]
        columns[k] = pick
        if row[pick] > least:
            size = np.sqrt(row[pick])
            for j in range(f):
                rows[k, j] = 0.0 if done[j] else row[j] / size
                rest[j] -= rows[k, j] ** 2
        done[pick] = True


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


def planes(
    rounding: Rounding,
    rows: Columns,
    columns: Columns,
    lower: Floats,
    *,
    warmth: Floats | None = None,
    draws: Floats | None = None,
) -> Bits:
    """Levels (k, f) of the neurons `rows` (k,), chosen column after column given those before.

    Parameters:
        lower: factor of the gram whose columns stand in the order `columns`.
        warmth: (k,) temperature T of each row, which draws a level with probability ∝ exp(−cost/T); without
            it, and at 0, the cheapest level is taken: Babai's nearest plane.
        draws: (k, f) uniform random numbers in [0, 1), one a coordinate.
    """
    k, f = len(rows), rounding.f
    shift, fixed = rounding.shift[rows[:, None], columns], rounding.fixed[rows[:, None], columns]
    error, found = np.zeros((k, f)), np.empty((k, f), dtype=np.int8)
    heat = np.zeros(k) if warmth is None else warmth
    luck = np.zeros((k, 0)) if draws is None else draws
    for start in range(0, f, BLOCK):
        stop = min(start + BLOCK, f)
        pull = error[:, :start] @ lower[start:stop, :start].T
        block = readonly(lower[start:stop, start:stop])
        _choose(pull, block, shift, fixed, rounding.levels[columns], heat, luck, error, found, start)
    x = np.empty_like(found)
    x[:, columns] = found
    return x


@numba.njit(cache=True, nogil=True)
def _choose(
    pull: Any,
    lower: Any,
    shift: Any,
    fixed: Any,
    levels: Any,
    heat: Any,
    luck: Any,
    error: Any,
    found: Any,
    start: int,
) -> None:
    """Choose the levels of a block; `pull` (k, B) is what the errors before it add to its coordinates."""
    for row in range(pull.shape[0]):
        for b in range(pull.shape[1]):
            i = start + b
            level = int(fixed[row, i])
            if level < 0:
                for c in range(b):
                    pull[row, b] += lower[b, c] * error[row, start + c]
                centre = shift[row, i] - pull[row, b] / lower[b, b]
                if heat[row] > 0.0:
                    level = _draw(centre, lower[b, b] ** 2 / heat[row], levels[i], luck[row, i])
                else:
                    level = int(min(max(np.floor(centre + 0.5), 0.0), levels[i] - 1.0))
            found[row, i] = level
            error[row, i] = level - shift[row, i]


@numba.njit(cache=True, nogil=True)
def _draw(centre: float, sharpness: float, levels: int, luck: float) -> int:
    """A level with probability ∝ exp(−sharpness·(level − centre)²), from a uniform number in [0, 1)."""
    nearest = min(max(np.floor(centre + 0.5), 0.0), levels - 1.0)
    # Costs are counted from the cheapest level, so that not every weight underflows.
    least = (nearest - centre) ** 2
    total = 0.0
    for level in range(levels):
        total += np.exp(-sharpness * ((level - centre) ** 2 - least))
    left = luck * total
    for level in range(levels):
        left -= np.exp(-sharpness * ((level - centre) ** 2 - least))
        if left < 0.0:
            return int(level)
    return int(nearest)


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
