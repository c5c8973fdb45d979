"""Reassignment: a point to start from that keeps a part of another one and decides the rest anew.

Which variables are decided is drawn, those before all that would lower the loss once the ones drawn before
them had been flipped. They are then decided one by one, the clearest first, as if all that are not decided
yet were at one half.

Reference: Palubeckis 2004, Annals of Operations Research 131, the start points of MST2.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ...problems.arrays import Bits, Floats

__all__ = ["reassigned"]

Ints = npt.NDArray[np.int64]

FAVOUR = 5000.0
"""How much likelier than any other the variable is drawn whose flip lowers the loss most."""

MOST = 2000
"""Most variables decided anew: each costs O(n)."""


def reassigned(couplings: Any, slope: Floats, x: Bits, share: float, rng: np.random.Generator) -> Bits:
    """A point like x (n,) but for a share of its variables, ten at least.

    Parameters:
        couplings: (n, n), symmetric with a diagonal of zeros, dense.
        slope: of every variable at x, see `flips`.
        x, share: where from, and how many variables are decided.
        rng: draws which.
    """
    count = min(x.size, max(10, int(share * x.size)), MOST)
    change = (1.0 - 2.0 * x) * slope
    chosen = _draw(couplings, change.copy(), x, rng.random(count))
    return np.asarray(_decide(couplings, change, x, chosen))


@numba.njit(cache=True, nogil=True)
def _draw(couplings: Any, change: Floats, x: Bits, luck: Floats) -> Ints:
    """Variables drawn by lot, one for each luck; change (n,) is what a flip of each adds to the loss."""
    chosen, weight, free = np.empty(luck.size, np.int64), np.empty(x.size), np.ones(x.size, np.bool_)
    for turn in range(luck.size):
        low, high = np.inf, -np.inf
        for i in range(x.size):
            if free[i]:
                low, high = min(low, change[i]), max(high, change[i])
        total = 0.0
        for i in range(x.size):
            if not free[i]:
                weight[i] = 0.0
            elif change[i] < 0.0:
                weight[i] = 1.0 + FAVOUR * change[i] / low
            else:
                weight[i] = 1.0 - change[i] / high if high > 0.0 else 1.0
            total += weight[i]
        k, left = -1, luck[turn] * total
        for i in range(x.size):
            if free[i] and (k < 0 or left >= 0.0):
                k = i
                left -= weight[i]
        chosen[turn], free[k] = k, False
        row, step = couplings[k], 2.0 - 4.0 * x[k]
        for i in range(x.size):
            change[i] += step * (1.0 - 2.0 * x[i]) * row[i]
    return chosen


@numba.njit(cache=True, nogil=True)
def _decide(couplings: Any, change: Floats, x: Bits, chosen: Ints) -> Bits:
    """The point x with each chosen variable flipped where that helps while the undecided ones count half."""
    point, slope = x.copy(), np.empty(chosen.size)
    open_ = chosen.copy()
    for a in range(chosen.size):
        i, half = chosen[a], 0.0
        for j in chosen:
            half += (1.0 - 2.0 * x[j]) * couplings[i, j]
        slope[a] = change[i] + (1.0 - 2.0 * x[i]) * half
    for left in range(chosen.size, 0, -1):
        best = 0
        for a in range(1, left):
            if abs(slope[a]) > abs(slope[best]):
                best = a
        k, flips = open_[best], slope[best] < 0.0
        if flips:
            point[k] = 1 - x[k]
        open_[best], slope[best] = open_[left - 1], slope[left - 1]
        # What was half a flip is a whole one, or none.
        row, step = couplings[k], (1.0 - 2.0 * x[k]) * (1.0 if flips else -1.0)
        for a in range(left - 1):
            slope[a] += step * (1.0 - 2.0 * x[open_[a]]) * row[open_[a]]
    return point
