"""exhaustive: every solution by Gray code, or every choice of K. Proof for up to 25 variables."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from ..problems import Capacity, Qubo
from ..problems.arrays import Bits, Floats
from .kernels import copy, flip, matrix_of, readonly, slopes
from .registry import solver
from .run import Run

__all__ = ["exhaustive"]

BLOCK = 1 << 12
"""Solutions between two looks at the clock; slopes start anew in each, so no rounding error builds up."""


@solver("exhaustive", accepts=(Qubo, Capacity), reference="Gray 1953", exact=True, max_variables=25)
def exhaustive(instance: Qubo | Capacity, run: Run) -> None:
    """Walk all 2ⁿ solutions, or all with K ones, by few flips of O(n) each; then the best one is proven."""
    if not run.open():
        return
    qubo = instance.qubo if isinstance(instance, Capacity) else instance
    costs = readonly(instance.costs if isinstance(instance, Capacity) else np.zeros(qubo.n))
    matrix, (low, high) = matrix_of(qubo), _window(instance)
    ones = int(instance.K) if isinstance(instance, Capacity) and instance.exact else -1
    total = math.comb(qubo.n, ones) if ones >= 0 else 1 << qubo.n
    x, best = (np.arange(qubo.n) < ones).astype(np.int8), np.zeros(qubo.n, dtype=np.int8)
    lowest = np.inf
    for start in range(0, total, BLOCK):
        if run.stopped():
            return
        stop, loss, used = min(start + BLOCK, total), qubo.loss(x), float(costs @ x)
        found = _walk(
            matrix, slopes(qubo, x), x, best, costs, low, high, loss, used, lowest, start, stop, ones >= 0
        )
        run.tally("solutions", stop - start)
        if found < lowest:
            lowest = found
            run.offer(best)
    # Two solutions that float64 cannot tell apart may have been taken for each other.
    run.prove(run.loss - instance.resolution)


def _window(instance: Qubo | Capacity) -> tuple[float, float]:
    """Costs that a feasible solution may add up to."""
    if not isinstance(instance, Capacity):
        return -np.inf, np.inf
    # Wider than the instance's own slack, because the walk's running sum drifts; `offer` judges feasibility.
    return (instance.K if instance.exact else -np.inf), instance.K + 1e-12 * max(1.0, instance.K)


@numba.njit(cache=True, nogil=True)
def _walk(
    matrix: Any,
    slope: Floats,
    x: Bits,
    best: Bits,
    costs: Floats,
    low: float,
    high: float,
    loss: float,
    used: float,
    lowest: float,
    start: int,
    stop: int,
    exact: bool,
) -> float:
    """Visit solutions start … stop−1, x being start−1; the lowest loss so far, `best` its bits."""
    word = 0
    for i in range(x.size):
        word += (1 << i) * x[i]
    for code in range(start, stop):
        if code:
            after = _same_weight(word) if exact else code ^ (code >> 1)
            for i in range(x.size):
                if ((word ^ after) >> i) & 1:
                    loss += flip(matrix, slope, x, i)
                    used += costs[i] if x[i] else -costs[i]
            word = after
        if loss < lowest and low <= used <= high:
            lowest = loss
            copy(x, best)
    return lowest


@numba.njit(cache=True, nogil=True)
def _same_weight(word: int) -> int:
    """The next greater number with as many ones."""
    last = word & -word
    ripple = word + last
    return ripple | (((word ^ ripple) >> 2) // last)
