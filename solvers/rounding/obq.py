"""obq: round the weight that costs least to round next, let all others make up for it, neuron by neuron.

Optimal Brain Quantization (Frantar & Alistarh 2022, arXiv:2208.11580). The inverse Gram matrix of the weights
still free, H⁻¹, is kept for each neuron, since each takes its own order; nearest plane shares one order.
"""

from __future__ import annotations

from typing import Annotated, Any

import numba
import numpy as np

from ...problems import Rounding
from ...problems.arrays import Floats
from ..compiled import per_look
from ..registry import Range, solver
from ..run import Run

__all__ = ["obq"]


@solver(
    "obq",
    accepts=Rounding,
    reference="Frantar & Alistarh 2022, arXiv:2208.11580",
    max_variables=4_096,
    counts="neurons",
)
def obq(
    rounding: Rounding, run: Run, *, damping: Annotated[float, Range(1e-8, 1.0, log=True)] = 0.01
) -> None:
    """Round by rising (q − w)²/[H⁻¹]_jj, fixed weights first; O(f³) a neuron, so for small layers.

    Parameters:
        damping: added to the Gram matrix's diagonal, as a share of its mean.
    """
    x = rounding.nearest()
    run.offer(x)
    ridge = damping * (float(np.mean(np.diag(rounding.gram))) or 1.0)
    inverse = np.linalg.inv(rounding.gram + ridge * np.eye(rounding.f))
    levels, block = rounding.levels, per_look(2 * rounding.f**2)
    for row in range(rounding.n):
        free, weights = inverse.copy(), rounding.shift[row].copy()
        columns, found = np.arange(rounding.f), np.zeros(rounding.f, dtype=np.int8)
        for left in range(rounding.f, 0, -block):
            if run.stopped():
                return
            _round(free, weights, columns, levels, rounding.fixed[row], found, left, max(0, left - block))
        run.tally("neurons")
        run.share = (row + 1) / rounding.n
        x[row] = found
        run.offer(x)


@numba.njit(cache=True, nogil=True)
def _round(
    inverse: Floats, weights: Floats, columns: Any, levels: Any, fixed: Any, found: Any, left: int, stop: int
) -> None:
    """Round all but `stop` of the `left` free weights, which stand first in every array.

    A weight that is rounded changes places with the last free one, so that what is left stays in one block.
    """
    for last in range(left - 1, stop - 1, -1):
        pick, lowest, level = last, np.inf, 0.0
        for j in range(last + 1):
            i = columns[j]
            nearest = min(max(np.floor(weights[j] + 0.5), 0.0), levels[i] - 1.0)
            cost = (nearest - weights[j]) ** 2 / inverse[j, j]
            if fixed[i] >= 0:
                nearest, cost = float(fixed[i]), -1.0
            if cost < lowest:
                pick, lowest, level = j, cost, nearest
        _swap(inverse, weights, columns, pick, last)
        found[columns[last]] = level
        share = (level - weights[last]) / inverse[last, last]
        for j in range(last):
            weights[j] += share * inverse[last, j]
            factor = inverse[last, j] / inverse[last, last]
            for k in range(last):
                inverse[j, k] -= factor * inverse[last, k]


@numba.njit(cache=True, nogil=True)
def _swap(inverse: Floats, weights: Floats, columns: Any, a: int, b: int) -> None:
    """Let two weights change places."""
    weights[a], weights[b] = weights[b], weights[a]
    columns[a], columns[b] = columns[b], columns[a]
    for k in range(b + 1):
        inverse[a, k], inverse[b, k] = inverse[b, k], inverse[a, k]
    for k in range(b + 1):
        inverse[k, a], inverse[k, b] = inverse[k, b], inverse[k, a]
