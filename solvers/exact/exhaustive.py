"""exhaustive: every solution by Gray code, or every choice of K. Proof for up to 25 variables."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from ...problems import Capacity, Qubo
from ...problems.arrays import Bits, Floats
from ..compiled import readonly
from ..qubo.flips import flip, matrix_of, slopes
from ..registry import solver
from ..run import Run

__all__ = ["exhaustive"]

BLOCK = 1 << 12
"""Solutions between two looks at the clock; slopes start anew in each, so no rounding error builds up."""


@solver(
    "exhaustive",
    accepts=(Qubo, Capacity),
    reference="Gray 1953",
    exact=True,
    max_variables=25,
    counts="solutions",
)
def exhaustive(instance: Qubo | Capacity, run: Run) -> None:
    """Walk all 2ⁿ solutions, or all with K ones, by few flips of O(n) each; then the best one is proven."""
    if not run.open():
        return
    qubo, costs = instance.qubo, readonly(instance.costs)
    matrix, (low, high) = matrix_of(qubo), _window(instance)
    ones = int(instance.K) if instance.K is not None and instance.exact else -1
    total = math.comb(qubo.n, ones) if ones >= 0 else 1 << qubo.n
    x, lowest = (np.arange(qubo.n) < ones).astype(np.int8), np.inf
    for start in range(0, total, BLOCK):
        if run.stopped():
            return
        code, stop = start, min(start + BLOCK, total)
        slope, loss, used = slopes(qubo, x), qubo.loss(x), float(costs @ x)
        while code < stop:
            before = code
            code, loss, used = _walk(
                matrix, slope, x, costs, low, high, loss, used, lowest, code, stop, ones >= 0
            )
            run.tally("solutions", code - before)
            # The window is wider than the capacity, so the instance itself judges what may replace the best.
            if loss < lowest and instance.violation(x) == 0.0:
                lowest = loss
                run.offer(x)
    # Two solutions that float64 cannot tell apart may have been taken for each other.
    run.prove(run.loss - instance.resolution)


def _window(instance: Qubo | Capacity) -> tuple[float, float]:
    """What the costs of a feasible solution may add up to in the walk, whose running sum drifts."""
    low, high = instance.window
    if instance.exact:
        return low, high
    return low, high + instance.slack + BLOCK * np.finfo(np.float64).eps * float(instance.costs.sum())


@numba.njit(cache=True, nogil=True)
def _walk(
    matrix: Any,
    slope: Floats,
    x: Bits,
    costs: Floats,
    low: float,
    high: float,
    loss: float,
    used: float,
    lowest: float,
    start: int,
    stop: int,
    exact: bool,
) -> tuple[int, float, float]:
    """Visit solutions from start, x being start−1, up to stop−1 or to the first below `lowest` in the window.

    The number of the solution after the last one visited, which x is then; its loss and its costs.
    """
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
            return code + 1, loss, used
    return stop, loss, used


@numba.njit(cache=True, nogil=True)
def _same_weight(word: int) -> int:
    """The next greater number with as many ones."""
    last = word & -word
    ripple = word + last
    return ripple | (((word ^ ripple) >> 2) // last)
