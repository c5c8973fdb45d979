"""exhaustive: every solution, one flip apart (Gray code). Proof for up to 25 variables."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from ..problems import Capacity, Qubo
from ..problems.arrays import Bits, Floats
from .kernels import flip, matrix_of, readonly, slopes
from .registry import solver
from .run import Run

__all__ = ["exhaustive"]

BLOCK = 1 << 12
"""Solutions between two looks at the clock; slopes start anew in each block, so no rounding error builds up."""


@solver("exhaustive", accepts=(Qubo, Capacity), reference="Gray 1953", exact=True, max_variables=25)
def exhaustive(instance: Qubo | Capacity, run: Run) -> None:
    """Walk all 2ⁿ solutions by single flips at O(n) each, then the best one is proven."""
    if not run.open():
        return
    qubo = instance.qubo if isinstance(instance, Capacity) else instance
    costs = readonly(instance.costs if isinstance(instance, Capacity) else np.zeros(qubo.n))
    matrix, (low, high) = matrix_of(qubo), _window(instance)
    x, best = np.zeros(qubo.n, dtype=np.int8), np.zeros(qubo.n, dtype=np.int8)
    lowest = np.inf
    for start in range(0, 1 << qubo.n, BLOCK):
        if run.stopped():
            return
        stop, loss, used = min(start + BLOCK, 1 << qubo.n), qubo.loss(x), float(costs @ x)
        found = _walk(matrix, slopes(qubo, x), x, best, costs, low, high, loss, used, lowest, start, stop)
        if found < lowest:
            lowest = found
            run.offer(best)
    # Two solutions that float64 cannot tell apart may have been taken for each other.
    run.prove(run.loss - instance.resolution)


def _window(instance: Qubo | Capacity) -> tuple[float, float]:
    """Costs that a feasible solution may add up to."""
    if not isinstance(instance, Capacity):
        return -np.inf, np.inf
    # The same allowance for the order of a sum as in `Capacity.violation`.
    return (instance.K if instance.exact else -np.inf), instance.K + 1e-12 * max(1.0, instance.K)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # numba ships no types
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
) -> float:
    """Visit Gray codes start … stop−1, x being start−1; the lowest loss so far, `best` its bits."""
    for code in range(start, stop):
        if code:
            i = 0
            while not (code >> i) & 1:
                i += 1
            loss += flip(matrix, slope, x, i)
            used += costs[i] if x[i] else -costs[i]
        if loss < lowest and low <= used <= high:
            lowest = loss
            best[:] = x
    return lowest
