"""The products of a Qubo as linear terms, and where to start."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import scipy.sparse as sp

from ...problems import Capacity, Qubo
from ...problems.arrays import Bits, Floats
from ..compiled import per_look, readonly
from ..qubo.flips import descend, matrix_of, noise, slopes

__all__ = ["local_start", "products"]


def local_start(instance: Qubo | Capacity) -> Bits:
    """Where the search is hinted to begin: the baseline, of a Qubo the local minimum that it descends to."""
    x = np.array(instance.baseline())
    if instance.K is None:
        qubo = instance.qubo
        matrix, slope = matrix_of(qubo), slopes(qubo, x)
        while not descend(matrix, slope, x, noise(qubo), per_look(2 * qubo.n)):
            pass
    return x


def products(qubo: Qubo) -> tuple[Any, Any, Floats]:
    """Products of the loss: i, j, coefficient, each (p,), i < j."""
    if qubo.sparse:
        upper = sp.triu(qubo.couplings, k=1, format="coo")
        return upper.row, upper.col, 2.0 * upper.data
    rows, columns = _above_diagonal(readonly(qubo.Q))
    return rows, columns, 2.0 * qubo.Q[rows, columns]


@numba.njit(cache=True, nogil=True)
def _above_diagonal(Q: Any) -> Any:
    """Where Q (n, n) is not 0 above its diagonal: rows and columns, row by row."""
    n, count = len(Q), 0
    for i in range(n):
        for j in range(i + 1, n):
            count += Q[i, j] != 0.0
    rows, columns, k = np.empty(count, np.int64), np.empty(count, np.int64), 0
    for i in range(n):
        for j in range(i + 1, n):
            if Q[i, j] != 0.0:
                rows[k], columns[k] = i, j
                k += 1
    return rows, columns
