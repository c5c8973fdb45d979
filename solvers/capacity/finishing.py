"""Bring any bits to the capacity by greedy drops and adds."""

from __future__ import annotations

import numpy as np

from ...problems import Capacity, Qubo
from ...problems.arrays import Bits, Floats
from ..qubo.flips import noise, slopes

__all__ = ["finish"]


def finish(capacity: Qubo | Capacity, x: Bits) -> Bits:
    """`x` brought to the capacity by greedy drops and adds, each the least harmful per cost.

    Under Σc·x ≤ K it then adds what fits and drops what is kept as long as that lowers the loss. A Qubo has
    no capacity, and leaves `x` as it is.
    """
    x = np.array(x, dtype=np.int8)
    if capacity.K is None:
        return x
    slope, least = slopes(capacity.qubo, x), noise(capacity.qubo)
    while (i := _next_flip(capacity, x, slope, least)) >= 0:
        x[i] ^= 1
        row = capacity.qubo.couplings[[i]]
        slope += (2 if x[i] else -2) * (row.toarray() if capacity.qubo.sparse else row).ravel()
    return x


def _next_flip(capacity: Qubo | Capacity, x: Bits, slope: Floats, least: float) -> int:
    """The variable to drop where too much is kept, to add, or under Σc·x ≤ K any that helps; −1 if none."""
    room, change = capacity.window[1] - float(capacity.costs @ x), (1.0 - 2.0 * x) * slope
    if room < 0 and capacity.violation(x) > 0:
        wanted = x == 1
    elif capacity.exact:
        wanted = (x == 0) & (room > 0)
    else:
        wanted = ((x == 1) | (capacity.costs <= room)) & (change < -least)
    candidates = np.flatnonzero(wanted)
    if not candidates.size:
        return -1
    return int(candidates[np.argmin(change[candidates] / capacity.costs[candidates])])
