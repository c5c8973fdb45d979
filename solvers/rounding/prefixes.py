"""The K cheapest prefixes of a neuron, column after column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from ...problems import Rounding
from ...problems.arrays import Bits, Floats
from .factors import Columns
from .plane_kernel import BLOCK

__all__ = ["BETWEEN", "HALVINGS", "HORIZON", "cheapest", "never"]

HORIZON = 1024
"""Coordinates that a beam's prefixes may differ in; beyond, the cheapest decides the older half."""


BETWEEN = 1 << 21
"""Prefixes times coordinates between two looks at the clock, some tenths of a second."""


HALVINGS = 32
"""Of the range of costs, after which ties are at work."""


def never() -> bool:
    """For searches that nothing stops."""
    return False


def cheapest(
    rounding: Rounding,
    rows: Columns,
    columns: Columns,
    lower: Floats,
    kept: int,
    *,
    target: tuple[Floats, Floats] | None = None,
    kind: Any = np.float32,
    stopped: Callable[[], bool] = never,
) -> Bits | None:
    """Cheapest full assignment (rows, f) of each neuron, in the order of `columns`; None where `stopped`.

    Parameters:
        lower: factor of the damped gram in that order.
        kept: prefixes of each neuron.
        target: what the factor's form is to be near to and what a level costs for each step above it, both
            (n, f) in that order, as of `box_minimum.centres`; where None, `rounding.shift` and nothing.
        kind: precision of the products between blocks.
    """
    f, m = rounding.f, len(rows)
    if target is None:
        target = rounding.shift[:, columns], np.zeros(rounding.shape)
    aim, charge = target[0][rows], target[1][rows]
    fixed, levels = rounding.fixed[np.ix_(rows, columns)], rounding.levels[columns]
    window = np.zeros((m, kept, min(f, HORIZON)), dtype=np.int8)
    decided, base = np.zeros((m, f), dtype=np.int8), 0
    costs = np.full((m, kept), np.inf)
    costs[:, 0] = 0.0
    size = int(np.clip(BETWEEN // max(1, m * kept), 4, BLOCK))
    for start in range(0, f, size):
        if start and stopped():
            return None
        stop = min(start + size, f)
        if stop - base > window.shape[2]:
            half = window.shape[2] // 2
            decided[:, base : base + half] = _decide(window, costs, half)
            base += half
        errors = window[:, :, : start - base].astype(kind)
        errors -= aim[:, None, base:start].astype(kind)
        pull = errors.reshape(m * kept, start - base) @ lower[start:stop, base:start].T.astype(kind)
        settled = (decided[:, :base] - aim[:, :base]) @ lower[start:stop, :base].T
        _extend(
            pull.reshape(m, kept, stop - start),
            settled,
            np.ascontiguousarray(lower[start:stop, start:stop].T),
            np.ascontiguousarray(aim[:, start:stop]),
            np.ascontiguousarray(charge[:, start:stop]),
            np.ascontiguousarray(fixed[:, start:stop]),
            levels[start:stop],
            costs,
            window,
            start - base,
        )
    decided[:, base:] = window[np.arange(m), np.argmin(costs, axis=1), : f - base]
    return decided


def _decide(window: Bits, costs: Floats, half: int) -> Bits:
    """Settle the oldest coordinates as the cheapest prefixes have them, (m, half); the rest moves on."""
    lead = window[np.arange(len(window)), np.argmin(costs, axis=1), None, :half]
    costs[(window[:, :, :half] != lead).any(axis=2)] = np.inf
    window[:, :, :-half] = window[:, :, half:].copy()
    return np.asarray(lead[:, 0])


@numba.njit(cache=True, nogil=True)
def _extend(  # noqa: C901 - one pass over rows, coordinates and prefixes
    pull: Any,
    settled: Any,
    upper: Any,
    aim: Any,
    charge: Any,
    fixed: Any,
    levels: Any,
    costs: Any,
    window: Any,
    start: int,
) -> None:
    """Extend the prefixes of each neuron by the coordinates of a block, from `start` on in the window.

    `charge` (m, B) is added for each step of a level above `aim`, `pull` (m, K, B) is what the errors of the
    window add to each coordinate of the block, `settled` (m, B) what those of decided coordinates add,
    `upper` (B, B) the factor's block transposed.
    Children stand by level, then by parent; of equal ones the first are kept.
    Loops stand where slices would do, because numba takes ten times as long to compile those.
    """
    m, kept, size = pull.shape
    widest = levels.max()
    parents, values = np.zeros((size, kept + 1), dtype=np.int64), np.zeros((size, kept + 1), dtype=np.int8)
    children, scratch = np.zeros(kept * widest), np.zeros(kept * widest)
    origin, old = np.zeros(kept, dtype=np.int64), np.zeros((kept, start), dtype=np.int8)
    now, after = np.zeros((kept, size)), np.zeros((kept, size))
    for row in range(m):
        for k in range(kept):
            for d in range(size):
                now[k, d] = pull[row, k, d] + settled[row, d]
        for b in range(size):
            low, high = 0, levels[b]
            if fixed[row, b] >= 0:
                low, high = fixed[row, b], fixed[row, b] + 1
            for level in range(low, high):
                step, first = upper[b, b] * (level - aim[row, b]), (level - low) * kept
                extra = charge[row, b] * (level - aim[row, b])
                for k in range(kept):
                    error = now[k, b] + step
                    children[first + k] = costs[row, k] + (error * error + extra)
            count = _pick(children, high - low, low, parents[b], values[b], scratch)
            for k in range(kept):
                costs[row, k] = scratch[k] if k < count else np.inf
            for k in range(count):
                parent, error = parents[b, k], values[b, k] - aim[row, b]
                # All of them, as a loop of one length is worth more than half the work.
                for d in range(size):
                    after[k, d] = now[parent, d] + upper[b, d] * error
            now, after = after, now
        _write(window[row], parents, values, origin, old, start)


@numba.njit(cache=True, nogil=True)
def _pick(children: Any, span: int, low: int, parents: Any, values: Any, scratch: Any) -> int:
    """Parents and values of the cheapest finite children (span, K), as many as K, by their place.

    Their costs come in `scratch`; the number of them comes back.
    """
    kept = parents.size - 1
    limit = _limit(children, span * kept, kept, scratch) if span > 1 else np.inf
    count, ties = 0, _below(children, span * kept, limit) < kept and limit < np.inf
    spare = kept - _below(children, span * kept, limit) if ties else 0
    for level in range(span):
        for k in range(kept):
            cost = children[level * kept + k]
            # Written for every child and kept for some, because a branch that no one foresees costs more.
            parents[count], values[count], scratch[count] = k, low + level, cost
            count += 1 if cost < limit else 0
            if ties and cost == limit and spare > 0:
                count, spare = count + 1, spare - 1
    return count


@numba.njit(cache=True, nogil=True)
def _below(values: Any, size: int, limit: float) -> int:
    """How many of the first `size` values are lower."""
    count = np.int64(0)
    # Unsigned, or numba does not vectorise the comparison.
    for i in range(np.uint64(0), np.uint64(size)):
        count += np.int64(1) if values[i] < limit else np.int64(0)
    return int(count)


@numba.njit(cache=True, nogil=True)
def _limit(values: Any, size: int, count: int, scratch: Any) -> float:
    """A number below which `count` of the values lie, or the one that ties there; infinite if fewer do.

    Halving the range takes some ten looks at all values, each a few instructions, where a selection by
    exchange is as many mispredicted branches as values.
    """
    low, high = np.inf, -np.inf
    for i in range(size):
        low, high = min(low, values[i]), max(high, values[i] if values[i] < np.inf else high)
    if _below(values, size, np.inf) <= count:
        return np.inf
    for _ in range(HALVINGS):
        middle = low + (high - low) / 2
        found = _below(values, size, middle)
        if found == count:
            return float(middle)
        low, high = (middle, high) if found < count else (low, middle)
    return _smallest(values, size, count - 1, scratch)


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
def _write(window: Any, parents: Any, values: Any, origin: Any, old: Any, start: int) -> None:
    """Put a block's values (B, K) behind the prefixes (K, start) that they extend, parent by parent."""
    size, kept = values.shape[0], origin.size
    for k in range(kept):
        origin[k] = k
    for b in range(size - 1, -1, -1):
        for k in range(kept):
            window[k, start + b] = values[b, origin[k]]
            origin[k] = parents[b, origin[k]]
    for k in range(kept):
        for j in range(start):
            old[k, j] = window[k, j]
    for k in range(kept):
        for j in range(start):
            window[k, j] = old[origin[k], j]
