"""fit: the step and zero point of every row and group that leave least under the Gram matrix.

Where a grid's ends lie matters more than how well a search rounds on it: the range of the weights spends
levels on the few largest, and the least squared error (`mse`) does not know which inputs matter. What an
error costs here is what it costs a nearest plane, T_ii² for column i. Nearest planes choose among the best
few of a table of steps and zero points by that measure: what they lose needs no product with the Gram matrix.
The best two go on to a sweep, and to the step that is best for the integers found, s = cᵀGw / cᵀGc with
c = q − z, which is exact (several groups solve for theirs together). The better one is walked on from, its
step following the integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numba
import numpy as np
import numpy.typing as npt

from ..arrays import Floats
from .grids import Grid, grid_for, group_of
from .planes import Indices, Planes, Singles, light_planes, planes_of, ridge_of
from .sweeps import sweep_levels
from .walks import moves_by_loss, walks_of

__all__ = ["Fit", "best_steps", "fitted"]

Levels: TypeAlias = npt.NDArray[np.uint8]

REACHES = 14
"""Shares of the symmetric range of the largest weight that are tried for a row's levels, up to the whole."""

LEAST_REACH = 0.2
"""The least of them for two bits and fewer; 0.15 more with each bit up to 0.6, as the more levels there are,
the less is gained by cutting weights off."""

ZEROS = 6
"""Zero points about the middle that are tried, beside both ends."""

SPARED = 0.68
"""Steps are judged as if larger by this share of 2^-bits: later search lowers the error between levels, not
that of weights beyond them, so that smaller steps come out best."""

EARNEST = 2
"""Tries of each row that are gone through to the end, those of the least cost in a nearest plane."""

DAMPING = 0.06
"""Of the Gram matrix, as a share of its diagonal's mean. Six times GPTQ's usual: what is fitted so loses 3 %
less on unseen inputs, and a search with less of it gets back what was lost on the others."""

PASSES = 1
"""Of a sweep; what more of them would find, the walk finds as well."""

MOVES, TENURE = 1280, 4
"""Of a row in the walk at the end; see `walks`."""

WORK = 1 << 19
"""Operations that a row's moves may take: in a wide one each costs more, and gains less."""

ROOM = 1 << 24
"""Numbers that the products of a batch of rows with the Gram matrix may take."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A grid and the integers that were found with it.

    Attributes:
        grid: steps (n, groups) that float32 holds, integer zero points.
        levels: (n, f) integers q of the grid.
    """

    grid: Grid
    levels: Floats


def fitted(weights: Floats, gram: Floats, *, bits: int, group: int = 0, tries: int = 4) -> Fit:
    """The grid of a layer's rows under its Gram matrix.

    Parameters:
        weights: (n, f), a row a neuron.
        gram: (f, f) of their inputs.
        bits: width of the weights in [1, 8].
        group: inputs that share a step; 0 for all of a row.
        tries: steps and zero points of each row and group that nearest planes choose among: those of the
            range, and one at least of the table.
    """
    f = weights.shape[1]
    small = _damped(gram)
    planes = light_planes(small) or planes_of(gram, damping=DAMPING)
    places = group_of(f, group)
    size = max(1, ROOM // max(1, f * (int(places.max(initial=0)) + 1)))
    parts = [
        _fitted(weights[i : i + size], small, planes, places, bits=bits, group=group, tries=tries)
        for i in range(0, len(weights), size)
    ]
    steps, zeros, levels = (np.concatenate(found).astype(np.float64) for found in zip(*parts, strict=True))
    return Fit(Grid(steps, zeros, 0, 2**bits - 1, group), levels)


def _damped(gram: Floats) -> Singles:
    """The Gram matrix with its damping, as a share of its largest entry."""
    largest, ridge = float(gram.max(initial=0.0)) or 1.0, ridge_of(gram, DAMPING)
    small = np.empty(gram.shape, dtype=np.float32)
    np.multiply(gram, 1.0 / largest, out=small, casting="same_kind")
    small.flat[:: len(gram) + 1] += np.float32(ridge / largest)
    return small


@dataclass(eq=False)
class _Rows:
    """Rows with the best that was found for each.

    Attributes:
        steps, zeros: (n, groups).
        levels: (n, f).
        field: (n, f) errors times the Gram matrix.
        losses: (n,).
    """

    steps: Singles
    zeros: Singles
    levels: Singles
    field: Singles
    losses: Floats

    def take(self, other: _Rows) -> None:
        better = other.losses < self.losses
        for name in ("steps", "zeros", "levels", "field", "losses"):
            getattr(self, name)[better] = getattr(other, name)[better]


def _fitted(
    exact: Floats, gram: Singles, planes: Planes, places: Indices, *, bits: int, group: int, tries: int
) -> tuple[Singles, Singles, Singles]:
    weights = exact.astype(np.float32)
    steps, zeros = _table(weights, planes.weights[np.argsort(planes.columns)], places, bits=bits)
    slope, high = weights @ gram, 2**bits - 1
    # What everyone takes is among the tries.
    plain = grid_for(exact, bits=bits, grid="minmax", per="channel", group=group)
    usual = plain.step.astype(np.float32), plain.zero.astype(np.float32)
    tried = [
        usual,
        *((steps[:, :, k], zeros[:, :, k]) for k in range(min(max(1, tries - 1), steps.shape[2]))),
    ]
    turned = planes.turned(weights)
    planned = [_planes(turned, planes, places, *one, high) for one in tried]
    costs = np.array([cost for _, cost in planned])
    order, rows = np.argsort(costs, axis=0, kind="stable"), np.arange(len(weights))
    levels = np.array([found for found, _ in planned])
    steps, zeros = (np.array(found) for found in zip(*tried, strict=True))
    back = np.argsort(planes.columns)
    best, *others = (
        _tried(
            weights,
            gram,
            slope,
            places,
            steps[k, rows],
            zeros[k, rows],
            levels[k, :, rows].take(back, 1).astype(np.float32),
            high,
        )
        for k in order[:EARNEST]
    )
    for other in others:
        best.take(other)
    _walked(best, gram, slope, places, high)
    return best.steps, best.zeros, best.levels


def _planes(
    turned: Singles, planes: Planes, places: Indices, steps: Singles, zeros: Singles, high: int
) -> tuple[Levels, Singles]:
    """Levels (f, n), `turned`, of nearest planes on a step and a zero point, and their costs (n,)."""
    top = np.full(len(turned), high, dtype=np.float32)
    offset = (steps * zeros).T
    wanted = turned + (offset if len(offset) == 1 else offset[places[planes.columns]])
    levels, costs = planes.chosen(wanted, steps, places, top)
    return levels.astype(np.uint8), costs


def _walked(best: _Rows, gram: Singles, slope: Singles, places: Indices, high: int) -> None:
    """Walk on from the best that was found, in place."""
    top = np.full(gram.shape[1], high, dtype=np.float32)
    refits = None if best.steps.shape[1] > 1 else (best.zeros, slope)
    moves = moves_by_loss(best.losses, min(MOVES, max(1, WORK // len(top))))
    walks_of(gram).walk(
        best.levels, best.field, best.steps, places, top, moves=moves, tenure=TENURE, seed=0, refits=refits
    )


def _tried(
    weights: Singles,
    gram: Singles,
    slope: Singles,
    places: Indices,
    steps: Singles,
    zeros: Singles,
    levels: Singles,
    high: int,
) -> _Rows:
    """What sweeps and better steps make of a step, a zero point and the levels of a nearest plane."""
    top = np.full(weights.shape[1], high, dtype=np.float32)
    codes = levels - zeros[:, places]
    field = np.ascontiguousarray((steps[:, places] * codes) @ gram - slope)
    sweep_levels(gram, levels, field, steps, places, top, passes=PASSES)
    codes = levels - zeros[:, places]
    if steps.shape[1] == 1:
        better, field = _best_step(codes, steps, field, slope)
    else:
        better = best_steps(codes, steps, gram, slope, places).astype(np.float32)
        field = np.ascontiguousarray((better[:, places] * codes) @ gram - slope)
    codes *= better[:, places]
    codes -= weights  # errors
    losses = np.einsum("nf,nf->n", codes, field, dtype=np.float64)
    return _Rows(better, zeros, levels, field, losses)


def _best_step(codes: Singles, steps: Singles, field: Singles, slope: Singles) -> tuple[Singles, Singles]:
    """As `best_steps` where a row has one step; the field that is known spares the product with the gram."""
    products = field + slope
    products /= steps
    over, under = (np.einsum("nf,nf->n", one, codes, dtype=np.float64) for one in (slope, products))
    found = np.divide(over, under, out=np.zeros_like(over), where=under > 0.0)
    better = np.where(found > 0.0, found, steps[:, 0])[:, None].astype(np.float32)
    products *= better
    products -= slope
    return better, products


def best_steps(codes: Any, steps: Any, gram: Any, slope: Any, places: Indices) -> Any:
    """Steps (n, groups) that leave least for the integers `codes` (n, f) less their zero points.

    A row keeps its steps where some of the best are not positive, or its integers leave them open.

    Parameters:
        codes: (n, f) integers less their zero points.
        steps: (n, groups) as they are.
        gram: (f, f).
        slope: (n, f) weights @ gram.
        places: (f,) group of each input.
    """
    groups = steps.shape[1]
    form, side = np.empty((len(codes), groups, groups)), np.empty((len(codes), groups))
    for g in range(groups):
        own = places == g
        products = codes[:, own] @ gram[own]
        form[:, g] = _by_group(products * codes, groups, places)
        side[:, g] = (slope[:, own] * codes[:, own]).sum(axis=1)
    open_rows = np.einsum("ngg->ng", form).min(axis=1) <= 0.0
    form[open_rows] = np.eye(groups)
    ridge = 1e-9 * np.einsum("ngg->n", form)[:, None, None] * np.eye(groups)
    found = np.linalg.solve(form + ridge, side[:, :, None])[:, :, 0]
    good = ~open_rows & (found > 0.0).all(axis=1) & np.isfinite(found).all(axis=1)
    return np.where(good[:, None], found, steps)


def _by_group(values: Any, groups: int, places: Indices) -> Any:
    """Sums (n, groups) over the inputs of each group."""
    starts = np.searchsorted(places, np.arange(groups))
    return np.add.reduceat(values, starts, axis=1)


def _table(weights: Singles, costs: Singles, places: Indices, *, bits: int) -> tuple[Singles, Singles]:
    """Steps and zero points (n, groups, candidates) of each row and group, the most promising first."""
    high, groups = 2**bits - 1, int(places.max(initial=0)) + 1
    middle, spread = 2 ** (bits - 1), max(1.0, 0.4 * 2 ** (bits - 1))
    zeros = np.unique(np.append(np.rint(np.linspace(middle - spread, middle + spread - 1, ZEROS)), [0, high]))
    zeros = np.clip(zeros, 0, high)
    starts = np.searchsorted(places, np.arange(groups))
    largest = np.maximum.reduceat(np.abs(weights), starts, axis=1)
    spans = (2.0 * largest / high).astype(np.float32)
    spans[spans == 0.0] = 1.0
    reaches = np.geomspace(min(0.6, LEAST_REACH + 0.15 * max(0, bits - 2)), 1.0, REACHES)
    pairs = np.array([(reach, zero) for zero in zeros for reach in reaches], dtype=np.float32)
    judged = 1.0 + SPARED * 2.0**-bits
    scores = _scores(weights, costs, places, spans * np.float32(judged), pairs, np.float32(high))
    order = np.argsort(scores, axis=2, kind="stable")
    chosen = pairs[order]
    return spans[:, :, None] * chosen[..., 0], np.ascontiguousarray(chosen[..., 1])


@numba.njit(cache=True, nogil=True, fastmath=True)
def _scores(weights: Any, costs: Any, places: Any, spans: Any, pairs: Any, high: Any) -> Any:
    """What rounding to nearest costs each row and group (n, groups, candidates), weighted by column."""
    n, f = weights.shape
    groups, count = spans.shape[1], len(pairs)
    scores = np.zeros((n, groups, count), dtype=np.float32)
    begin = np.zeros(groups + 1, dtype=np.uint64)  # of signed ones each index would be checked, one by one
    for i in range(f):
        begin[places[i] + 1] = np.uint64(i + 1)
    for row in range(n):
        for g in range(groups):
            for k in range(count):
                step, zero, total = spans[row, g] * pairs[k, 0], pairs[k, 1], np.float32(0.0)
                inverse = np.float32(1.0) / step
                for i in range(begin[g], begin[g + 1]):
                    position = weights[row, i] * inverse + zero
                    level = min(max(np.rint(position), np.float32(0.0)), high)
                    total += costs[i] * (level - position) * (level - position)
                scores[row, g, k] = total * step * step
    return scores
