"""beam: keep the K cheapest prefixes of every neuron at each coordinate, then descend.

The M-algorithm (Anderson & Mohan 1984) on the layer's closest-vector problem; with K = 1 it is nearest plane.
Coordinates go in blocks: within a block each neuron extends its prefixes alone, between blocks one matrix
product brings every prefix of every neuron up to date, so most of the arithmetic runs at BLAS speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import numba
import numpy as np
import numpy.typing as npt

from ..problems import Rounding
from ..problems.arrays import Bits, Floats
from .lattice import BLOCK, column_order, descend, factor, keep
from .registry import Choice, Range, solver
from .run import Run

__all__ = ["beam", "cheapest"]

PREFIXES = 1 << 22
"""Numbers that the prefixes of a batch of neurons may take."""

BETWEEN = 1 << 21
"""Prefixes times coordinates between two looks at the clock, some tenths of a second."""

MOST = 1 << 26
"""Numbers that the prefixes of one neuron may take under a budget alone: 320 MiB with the choices."""


def _never() -> bool:
    return False


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
    for kept in _widths(run, width, rounding.f):
        for rows in _batches(rounding, kept):
            # One prefix of one neuron costs the same at every width, so a batch too long is known before it.
            if pace * kept * len(rows) > run.remaining():
                run.exhausted = True
                return
            begun = run.elapsed()
            # The narrowest pass is quick and always ends, so that there is a solution.
            halt = run.stopped if kept > 1 and run.restarts is None else _never
            chosen = cheapest(rounding, rows, columns, lower, kept, stopped=halt)
            if chosen is None:
                return
            found = best.copy()
            found[np.ix_(rows, columns)] = chosen
            descend(rounding, found, rows)
            keep(rounding, best, losses, rows, found[rows])
            run.offer(best, float(losses.sum()))
            if run.stopped():
                return
            pace = (run.elapsed() - begun) / (kept * len(rows))


def _widths(run: Run, width: int, f: int) -> Iterator[int]:
    """Fixed work: one pass of `width`. With a budget alone: 1, 4, 16, … while prefixes fit into memory."""
    if run.restarts is not None:
        if run.open():
            yield width
        return
    kept = 1
    while kept <= 1 << 20 and kept * f <= MOST and run.open():
        yield kept
        kept *= 4


def _batches(rounding: Rounding, kept: int) -> list[npt.NDArray[np.int64]]:
    """Neurons in groups whose prefixes fit into memory."""
    size = max(1, PREFIXES // (kept * max(1, rounding.f)))
    return [np.arange(i, min(i + size, rounding.n)) for i in range(0, rounding.n, size)]


def cheapest(
    rounding: Rounding,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    lower: Floats,
    kept: int,
    *,
    stopped: Callable[[], bool] = _never,
) -> Bits | None:
    """Cheapest full assignment (rows, f) of each neuron, in the order of `columns`; None where `stopped`."""
    f, m = rounding.f, len(rows)
    shift, fixed = rounding.shift[np.ix_(rows, columns)], rounding.fixed[np.ix_(rows, columns)]
    levels = rounding.levels[columns]
    errors = np.zeros((m, kept, f), dtype=np.float32)
    costs = np.full((m, kept), np.inf)
    costs[:, 0] = 0.0
    x = np.zeros((m, kept, f), dtype=np.int8)
    size = int(np.clip(BETWEEN // max(1, m * kept), 4, BLOCK))
    for start in range(0, f, size):
        if start and stopped():
            return None
        stop = min(start + size, f)
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
    return np.asarray(x[np.arange(m), np.argmin(costs, axis=1)])


@numba.njit(cache=True, nogil=True)
def _extend(  # noqa: C901 - one pass over rows, coordinates and prefixes
    pull: Any, lower: Any, shift: Any, fixed: Any, levels: Any, costs: Any, x: Any, errors: Any, start: int
) -> None:
    """Extend the prefixes of each neuron by the coordinates of a block.

    `pull` (m, K, B) is what the errors before the block add to each of its coordinates. Loops stand where
    slices would do, because numba takes ten times as long to compile those.
    """
    m, kept, size = pull.shape
    picked, origin = np.zeros(kept, dtype=np.int64), np.zeros(kept, dtype=np.int64)
    chosen = np.zeros((kept, size), dtype=np.int8)
    candidates, scratch = np.zeros(kept * levels.max()), np.zeros(kept * levels.max())
    spare_origin, spare_cost = np.zeros(kept, dtype=np.int64), np.zeros(kept)
    spare, spare_pull = np.zeros((kept, size), dtype=np.int8), np.zeros((kept, size))
    for row in range(m):
        for k in range(kept):
            origin[k] = k
        for b in range(size):
            low, high = 0, levels[b]
            if fixed[row, b] >= 0:
                low, high = fixed[row, b], fixed[row, b] + 1
            span = high - low
            for c in range(kept * span):
                error = pull[row, c // span, b] + lower[b, b] * (low + c % span - shift[row, b])
                candidates[c] = costs[row, c // span] + error * error
            count = _pick(candidates, kept * span, picked, scratch)
            for k in range(count):
                parent, value = picked[k] // span, low + picked[k] % span
                spare_cost[k], spare_origin[k] = candidates[picked[k]], origin[parent]
                for d in range(b):
                    spare[k, d] = chosen[parent, d]
                spare[k, b] = value
                for d in range(b + 1, size):
                    spare_pull[k, d] = pull[row, parent, d] + lower[d, b] * (value - shift[row, b])
            for k in range(kept):
                costs[row, k] = spare_cost[k] if k < count else np.inf
                for d in range(b + 1, size):
                    pull[row, k, d] = spare_pull[k, d]
            origin, spare_origin = spare_origin, origin
            chosen, spare = spare, chosen
        _write(x[row], errors[row], origin, chosen, shift[row], start)


@numba.njit(cache=True, nogil=True)
def _pick(candidates: Any, size: int, picked: Any, scratch: Any) -> int:
    """Indices of the cheapest finite ones of the first `size` candidates, as many as `picked` holds."""
    kept, count = picked.size, 0
    limit = _smallest(candidates, size, kept - 1, scratch) if size > kept else np.inf
    for c in range(size):
        if candidates[c] < limit:
            picked[count] = c
            count += 1
    for c in range(size):
        # Ties with the last one, as far as there is room.
        if count < kept and candidates[c] == limit and limit < np.inf:
            picked[count] = c
            count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _smallest(values: Any, size: int, k: int, scratch: Any) -> float:
    """The k-th smallest of the first `size` values, from 0 (Hoare 1961); np.partition compiles for 9 s."""
    for i in range(size):
        scratch[i] = values[i]
    low, high = 0, size - 1
    while low < high:
        pivot = scratch[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while scratch[i] < pivot:
                i += 1
            while scratch[j] > pivot:
                j -= 1
            if i <= j:
                scratch[i], scratch[j] = scratch[j], scratch[i]
                i, j = i + 1, j - 1
        if j < k < i:
            break
        low, high = (low, j) if k <= j else (i, high)
    return float(scratch[k])


@numba.njit(cache=True, nogil=True)
def _write(x: Any, errors: Any, origin: Any, chosen: Any, shift: Any, start: int) -> None:
    """Put a block's choices (K, B) behind the prefixes (K, f) that they extend."""
    _inherit(x, origin, start)
    _inherit(errors, origin, start)
    for k in range(origin.size):
        for b in range(chosen.shape[1]):
            x[k, start + b] = chosen[k, b]
            errors[k, start + b] = chosen[k, b] - shift[b]


@numba.njit(cache=True, nogil=True)
def _inherit(prefixes: Any, origin: Any, length: int) -> None:
    """Each prefix (K, f) takes over the first `length` entries of the one that it extends."""
    old = prefixes.copy()
    for k in range(origin.size):
        for j in range(length):
            prefixes[k, j] = old[origin[k], j]
