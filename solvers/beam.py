"""beam: keep the K cheapest prefixes of every neuron at each coordinate, then descend.

The M-algorithm (Anderson & Mohan 1984) on the layer's closest-vector problem; with K = 1 it is nearest plane.
Coordinates go in blocks: within a block each neuron extends its prefixes alone, between blocks one matrix
product brings every prefix of every neuron up to date, so most of the arithmetic runs at BLAS speed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import numba
import numpy as np
import numpy.typing as npt

from ..problems import Rounding
from ..problems.arrays import Bits, Floats
from .nearest_plane import column_order, factor
from .registry import Choice, Range, solver
from .run import Run

__all__ = ["beam"]

BLOCK = 32
"""Coordinates between two matrix products."""

PREFIXES = 1 << 22
"""Numbers that the prefixes of a batch of neurons may take; between batches the run is polled."""


@solver("beam", accepts=Rounding, reference="Anderson & Mohan 1984")
def beam(
    rounding: Rounding,
    run: Run,
    *,
    width: Annotated[int, Range(1, 65_536, log=True)] = 64,
    damping: Annotated[float, Range(1e-8, 1.0, log=True)] = 3e-3,
    order: Annotated[str, Choice("act", "given")] = "act",
) -> None:
    """Widen the beam from one prefix, fourfold a time, while the budget lasts; a pass costs O(n K f²).

    Parameters:
        width: prefixes that a run of fixed work keeps, in one pass.
        damping: added to the Gram matrix's diagonal, as a share of its mean.
        order: "act" takes the columns of the largest mean square first, "given" left to right.
    """
    columns = column_order(rounding.gram, order)
    lower = factor(rounding.gram[np.ix_(columns, columns)], damping)
    best = rounding.nearest()
    losses = rounding.row_losses(best)
    pace = 0.0
    for kept in _widths(run, width):
        for rows in _batches(rounding, kept):
            # One prefix of one neuron costs the same at every width, so a batch too long is known before it.
            if pace * kept * len(rows) > run.remaining():
                run.exhausted = True
                return
            begun = run.elapsed()
            found = best.copy()
            found[np.ix_(rows, columns)] = _prefixes(rounding, rows, columns, lower, kept)
            _descend_rows(rounding.gram, rounding.shift, rounding.levels, rounding.fixed, found, rows)
            now = rounding.row_losses(found)
            better = now < losses
            best[better], losses[better] = found[better], now[better]
            run.offer(best, float(losses.sum()))
            if run.stopped():
                return
            pace = (run.elapsed() - begun) / (kept * len(rows))


def _widths(run: Run, width: int) -> Iterator[int]:
    """Fixed work: one pass of `width`. With a budget alone: 1, 4, 16, … as long as the run is open."""
    if run.restarts is not None:
        if run.open():
            yield width
        return
    kept = 1
    while kept <= 1 << 20 and run.open():
        yield kept
        kept *= 4


def _batches(rounding: Rounding, kept: int) -> list[npt.NDArray[np.int64]]:
    """Neurons in groups whose prefixes fit into memory."""
    size = max(1, PREFIXES // (kept * max(1, rounding.f)))
    return [np.arange(i, min(i + size, rounding.n)) for i in range(0, rounding.n, size)]


def _prefixes(
    rounding: Rounding, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], lower: Floats, kept: int
) -> Bits:
    """Cheapest full assignment (rows, f) of each neuron, in the order of `columns`."""
    f, m = rounding.f, len(rows)
    shift, fixed = rounding.shift[np.ix_(rows, columns)], rounding.fixed[np.ix_(rows, columns)]
    levels = rounding.levels[columns]
    errors = np.zeros((m, kept, f), dtype=np.float32)
    costs = np.full((m, kept), np.inf)
    costs[:, 0] = 0.0
    x = np.zeros((m, kept, f), dtype=np.int8)
    for start in range(0, f, BLOCK):
        stop = min(start + BLOCK, f)
        done = errors[:, :, :start].reshape(m * kept, start)
        pull = (done @ lower[start:stop, :start].T.astype(np.float32)).reshape(m, kept, stop - start)
        _extend(
            pull.astype(np.float64),
            np.ascontiguousarray(lower[start:stop, start:stop]),
            np.ascontiguousarray(shift[:, start:stop]),
            np.ascontiguousarray(fixed[:, start:stop]),
            levels[start:stop],
            costs,
            x,
            errors,
            start,
        )
    return np.asarray(x[:, 0])


@numba.njit(cache=True, nogil=True)
def _extend(
    pull: Any, lower: Any, shift: Any, fixed: Any, levels: Any, costs: Any, x: Any, errors: Any, start: int
) -> None:
    """Extend the prefixes of each neuron by the coordinates of a block, cheapest first at its end.

    `pull` (m, K, B) is what the errors before the block add to each of its coordinates.
    """
    m, kept, size = pull.shape
    picked = np.zeros(kept, dtype=np.int64)
    candidates = np.zeros(kept * levels.max())
    for row in range(m):
        origin = np.arange(kept)
        chosen = np.zeros((kept, size), dtype=np.int8)
        for b in range(size):
            low, high = 0, levels[b]
            if fixed[row, b] >= 0:
                low, high = fixed[row, b], fixed[row, b] + 1
            span = high - low
            for k in range(kept):
                for v in range(span):
                    error = pull[row, k, b] + lower[b, b] * (low + v - shift[row, b])
                    candidates[k * span + v] = costs[row, k] + error * error
            count = _pick(candidates[: kept * span], picked)
            costs[row] = np.inf
            costs[row, :count] = candidates[picked[:count]]
            parents, values = picked[:count] // span, low + picked[:count] % span
            origin = _inherit(origin, parents)
            chosen = _inherit(chosen, parents)
            pull[row] = _inherit(pull[row], parents)
            for k in range(count):
                chosen[k, b] = values[k]
                error = values[k] - shift[row, b]
                for d in range(b + 1, size):
                    pull[row, k, d] += lower[d, b] * error
        _settle(row, origin, chosen, costs[row], shift, x, errors, start, size)


@numba.njit(cache=True, nogil=True)
def _pick(candidates: Any, picked: Any) -> int:
    """Indices of the finite candidates that are cheapest, as many as `picked` holds; how many there are."""
    kept = picked.size
    limit = np.inf if candidates.size <= kept else np.partition(candidates, kept - 1)[kept - 1]
    count = 0
    for c in range(candidates.size):
        if candidates[c] < limit:
            picked[count] = c
            count += 1
    for c in range(candidates.size):
        # Ties with the last one, as far as there is room.
        if count < kept and candidates[c] == limit and limit < np.inf:
            picked[count] = c
            count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _inherit(old: Any, parents: Any) -> Any:
    """What each new prefix takes over from the one that it extends."""
    new = old.copy()
    new[: parents.size] = old[parents]
    return new


@numba.njit(cache=True, nogil=True)
def _settle(
    row: int, origin: Any, chosen: Any, cost: Any, shift: Any, x: Any, errors: Any, start: int, size: int
) -> None:
    """Write a block's choices behind the prefixes that they extend, the cheapest first."""
    order = np.argsort(cost)
    before, before_errors = x[row, :, :start].copy(), errors[row, :, :start].copy()
    old_cost = cost.copy()
    for k in range(order.size):
        source = order[k]
        cost[k] = old_cost[source]
        x[row, k, :start] = before[origin[source]]
        errors[row, k, :start] = before_errors[origin[source]]
        for b in range(size):
            x[row, k, start + b] = chosen[source, b]
            errors[row, k, start + b] = chosen[source, b] - shift[row, b]


@numba.njit(cache=True, nogil=True)
def _descend_rows(gram: Any, shift: Any, levels: Any, fixed: Any, x: Any, rows: Any) -> None:
    """Move the coordinate that helps most by one level until none helps, neuron by neuron; O(f) a move."""
    f = gram.shape[0]
    for row in rows:
        field = np.zeros(f)
        for j in range(f):
            error = x[row, j] - shift[row, j]
            for i in range(f):
                field[i] += gram[j, i] * error
        while True:
            best, step, gain = -1, 0, -1e-12
            for i in range(f):
                if fixed[row, i] >= 0:
                    continue
                move = -1 if field[i] > 0 else 1
                change = 2.0 * move * field[i] + gram[i, i]
                if change < gain and 0 <= x[row, i] + move < levels[i]:
                    best, step, gain = i, move, change
            if best < 0:
                break
            x[row, best] += step
            for i in range(f):
                field[i] += step * gram[best, i]
