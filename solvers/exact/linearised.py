"""The products of a Qubo as linear terms, and where to start."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

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
    """Products of the loss: i, j (int64), coefficient, each (p,), i < j."""
    if qubo.sparse:
        indices, indptr = (one.astype(np.int32, copy=False) for one in (qubo.Q.indices, qubo.Q.indptr))
        rows, places = _sparse_above(readonly(indices), readonly(indptr))
        return rows, indices[places].astype(np.int64), 2.0 * qubo.Q.data[places]
    rows, columns = _above_diagonal(readonly(qubo.Q))
    return rows, columns, 2.0 * qubo.Q[rows, columns]


@numba.njit(cache=True, nogil=True)
def _sparse_above(indices: Any, indptr: Any) -> Any:
    """Entries of a CSR matrix above its diagonal: their rows, and their places in it."""
    rows, places, k = np.empty(indices.size, np.int64), np.empty(indices.size, np.int64), 0
    for i in range(indptr.size - 1):
        for place in range(indptr[i], indptr[i + 1]):
            if indices[place] > i:
                rows[k], places[k] = i, place
                k += 1
    return rows[:k], places[:k]


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
