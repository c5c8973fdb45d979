"""The K cheapest prefixes of a neuron over many levels, column after column.

Of the levels of a coordinate only the two about its centre are children of a prefix, nearest first as Schnorr
and Euchner 1994 go through them: a third is a step and more off, and seldom among the cheapest. Prefixes
differ in their last columns alone, so what lies further back than a horizon is decided as the cheapest has
it, and its products are one a neuron instead of K.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from ....problems.quantization.planes import Planes, Singles
from .units import WeightUnits

__all__ = ["cheapest_levels"]

BLOCK = 16
"""Coordinates between two matrix products."""

HORIZON = 128
"""Coordinates that prefixes may differ in; beyond, the cheapest decides the older half."""

TOGETHER = 96
"""Neurons whose prefixes a processor's cache holds."""

HALVINGS = 24
"""Of the range of costs, after which ties are at work."""


def cheapest_levels(
    units: WeightUnits, planes: Planes, kept: int, stopped: Callable[[], bool]
) -> Singles | None:
    """Cheapest full assignment (n, f) of each neuron among `kept` prefixes; None where `stopped`."""
    found = np.empty_like(units.target)
    for start in range(0, len(found), TOGETHER):
        rows = np.arange(start, min(start + TOGETHER, len(found)))
        chosen = _Search(units.rows(rows), planes, kept).run(stopped)
        if chosen is None:
            return None
        found[np.ix_(rows, planes.columns)] = chosen
    return found


class _Search:
    """The prefixes of a few neurons, in the order of the planes' columns."""

    def __init__(self, units: WeightUnits, planes: Planes, kept: int) -> None:
        columns, self.unit, self.weights = planes.columns, planes.unit, planes.weights
        self.target = np.ascontiguousarray(units.target[:, columns])
        self.steps, self.group, self.top = units.steps, units.group[columns], units.top[columns]
        empty = np.zeros((len(self.target), 0), dtype=np.int8)
        self.fixed = empty if units.fixed is None else np.ascontiguousarray(units.fixed[:, columns])
        n, self.f = self.target.shape
        self.errors = np.empty((n, self.f), dtype=np.float32)  # of what is decided
        self.window = np.zeros((n, kept, min(HORIZON, self.f) + BLOCK), dtype=np.float32)
        self.costs = np.full((n, kept), np.inf, dtype=np.float32)
        self.costs[:, 0] = 0.0
        self.base = self.used = 0

    def run(self, stopped: Callable[[], bool]) -> Singles | None:
        """Levels (n, f), None where `stopped`."""
        for start in range(0, self.f, BLOCK):
            if start and stopped():
                return None
            if self.used + BLOCK > self.window.shape[2]:
                half = self.window.shape[2] // 2
                _decide(self.window, self.costs, half, self.used, self.errors[:, self.base :])
                self.base, self.used = self.base + half, self.used - half
            self._extend(slice(start, min(start + BLOCK, self.f)))
        best = np.argmin(self.costs, axis=1)
        self.errors[:, self.base :] = self.window[np.arange(len(best)), best, : self.used]
        return np.asarray(np.rint((self.errors + self.target) / self.steps[:, self.group]))

    def _extend(self, block: slice) -> None:
        n, kept, size = *self.costs.shape, block.stop - block.start
        window = self.window[:, :, : self.used].reshape(n * kept, self.used)
        pull = (window @ self.unit[block, self.base : block.start].T).reshape(n, kept, size)
        pull += (self.errors[:, : self.base] @ self.unit[block, : self.base].T)[:, None]
        _extend(
            pull,
            np.ascontiguousarray(self.unit[block, block].T),
            self.target[:, block],
            self.weights[block],
            self.steps,
            self.group[block],
            self.top[block],
            self.fixed[:, block],
            self.costs,
            self.window,
            self.used,
        )
        self.used += size


@numba.njit(cache=True, nogil=True)
def _decide(window: Any, costs: Any, half: int, used: int, errors: Any) -> None:
    """Settle the oldest coordinates as the cheapest prefixes have them; prefixes that differ there go."""
    n, kept, _ = window.shape
    for row in range(n):
        best = np.argmin(costs[row])
        for i in range(half):
            errors[row, i] = window[row, best, i]
        count = 0
        for k in range(kept):
            same = costs[row, k] < np.inf
            for i in range(half):
                same = same and window[row, k, i] == errors[row, i]
            if same:
                for i in range(half, used):
                    window[row, count, i - half] = window[row, k, i]
                costs[row, count] = costs[row, k]
                count += 1
        for k in range(count, kept):
            costs[row, k] = np.inf


@numba.njit(cache=True, nogil=True, fastmath={"contract", "arcp", "nsz"})
def _extend(
    pull: Any,
    upper: Any,
    target: Any,
    weights: Any,
    steps: Any,
    group: Any,
    top: Any,
    fixed: Any,
    costs: Any,
    window: Any,
    start: int,
) -> None:
    """Extend the prefixes of each neuron by a block of coordinates, from `start` on in the window.

    `pull` (n, K, B) is what the errors so far add to each coordinate of the block, `upper` (B, B) the block
    of the unit factor transposed.
    """
    n, kept, size = pull.shape
    parents, values = np.zeros((size, kept), dtype=np.int64), np.zeros((size, kept), dtype=np.float32)
    children, errors = np.zeros(2 * kept, dtype=np.float32), np.zeros(2 * kept, dtype=np.float32)
    after = np.zeros((kept, size), dtype=np.float32)
    origin, old = np.zeros(kept, dtype=np.int64), np.zeros((kept, start), dtype=np.float32)
    for row in range(n):
        now, live = pull[row], 0
        for k in range(kept):
            live += 1 if costs[row, k] < np.inf else 0
        for b in range(size):
            step, held = steps[row, group[b]], fixed[row, b] if fixed.shape[1] else -1
            span = _children(
                now, b, live, target[row, b], step, weights[b], top[b], held, costs[row], children, errors
            )
            live = _pick(children, errors, live, span, kept, parents[b], values[b], costs[row])
            for k in range(live):
                parent, error = parents[b, k], values[b, k]
                for d in range(size):
                    after[k, d] = now[parent, d] + upper[b, d] * error
            now, after = after, now
        for k in range(live, kept):
            costs[row, k] = np.inf
        _write(window[row], parents, values, live, origin, old, start)


@numba.njit(cache=True, nogil=True, fastmath={"contract", "arcp", "nsz"})
def _children(
    now: Any,
    b: int,
    live: int,
    target: Any,
    step: Any,
    weight: Any,
    top: Any,
    held: int,
    costs: Any,
    children: Any,
    errors: Any,
) -> int:
    """Costs and errors of the nearest level of each prefix, and behind them of the next but one.

    Of all levels where there is room for all children. How many children a prefix has comes back.
    """
    if held >= 0:
        for k in range(live):
            _child(now, b, live, k, 0, np.float32(held), target, step, weight, costs, children, errors)
        return 1
    span = int(top) + 1
    if live * span <= costs.size:
        for level in range(span):
            for k in range(live):
                _child(
                    now, b, live, k, level, np.float32(level), target, step, weight, costs, children, errors
                )
        return span
    for k in range(live):
        centre = (target - now[k, b]) / step
        level = min(max(np.rint(centre), np.float32(0.0)), top)
        other = level + np.float32(1.0) if centre > level else level - np.float32(1.0)
        other = level - np.float32(1.0) if other > top else other
        other = level + np.float32(1.0) if other < np.float32(0.0) else other
        _child(now, b, live, k, 0, level, target, step, weight, costs, children, errors)
        _child(now, b, live, k, 1, other, target, step, weight, costs, children, errors)
    return 2


@numba.njit(cache=True, nogil=True, fastmath={"contract", "arcp", "nsz"})
def _child(
    now: Any,
    b: int,
    live: int,
    k: int,
    place: int,
    level: Any,
    target: Any,
    step: Any,
    weight: Any,
    costs: Any,
    children: Any,
    errors: Any,
) -> None:
    """What a level costs behind prefix k."""
    j = place * live + k
    errors[j] = step * level - target
    left = errors[j] + now[k, b]
    children[j] = costs[k] + weight * left * left


@numba.njit(cache=True, nogil=True)
def _pick(
    children: Any, errors: Any, live: int, span: int, kept: int, parents: Any, values: Any, costs: Any
) -> int:
    """The cheapest children, as many as may be kept: parents, errors, costs; their number comes back."""
    count, limit = 0, _limit(children, span * live, kept)
    for j in range(span * live):
        # Ties at the limit are kept as far as there is room, in order.
        if count < kept and children[j] <= limit:
            parents[count], values[count], costs[count] = j % live, errors[j], children[j]
            count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _limit(values: Any, size: int, count: int) -> Any:
    """A number at or below which `count` of the values lie, or hardly more; infinite where fewer do."""
    if size <= count:
        return np.float32(np.inf)
    low, high = np.float32(np.inf), np.float32(0.0)
    for j in range(size):
        low, high = min(low, values[j]), max(high, values[j])
    for _ in range(HALVINGS):
        middle = low + (high - low) * np.float32(0.5)
        below = 0
        for j in range(size):
            below += 1 if values[j] <= middle else 0
        if below == count:
            return middle
        if below < count:
            low = middle
        else:
            high = middle
    return high


@numba.njit(cache=True, nogil=True)
def _write(window: Any, parents: Any, values: Any, live: int, origin: Any, old: Any, start: int) -> None:
    """Put a block's errors (B, K) behind the prefixes that they extend, parent by parent."""
    for k in range(live):
        origin[k] = k
    for b in range(len(parents) - 1, -1, -1):
        for k in range(live):
            window[k, start + b] = values[b, origin[k]]
            origin[k] = parents[b, origin[k]]
    for k in range(len(origin)):
        for i in range(start):
            old[k, i] = window[k, i]
    for k in range(live):
        for i in range(start):
            window[k, i] = old[origin[k], i]
