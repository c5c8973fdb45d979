"""Compiled pieces that several solvers share: slopes of a Qubo and steepest descent.

The slope of variable i is ∂loss/∂x_i = Q_ii + 2 Σ_j≠i Q_ij x_j, so flipping it changes the loss by
(1 − 2 x_i)·slope_i, and a flip by step ±1 moves every slope j by 2·step·Q_ij. A matrix is a dense array
or the tuple (data, indices, indptr) of a CSR one; `add_row` is compiled for either.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from ...problems import Qubo
from ...problems.arrays import Bits, Floats
from ..compiled import add_row, readonly

__all__ = [
    "descend",
    "flip",
    "loss_of",
    "matrix_of",
    "noise",
    "reach",
    "slopes",
]


def matrix_of(qubo: Qubo) -> Any:
    """Couplings in the form that compiled kernels take, read-only, so that each kernel is compiled once."""
    couplings = qubo.couplings
    if not qubo.sparse:
        return readonly(couplings)
    indices = (couplings.indices, couplings.indptr)
    return readonly(couplings.data), *(readonly(one.astype(np.int32, copy=False)) for one in indices)


def slopes(qubo: Qubo, x: Bits) -> Floats:
    """Slope (n,) of every variable at x."""
    return np.asarray(qubo.linear + 2.0 * (qubo.couplings @ x.astype(np.float64)))


def loss_of(qubo: Qubo, slope: Floats, x: Bits) -> float:
    """Loss of x in O(n) from the slopes there: offset + ½ Σ x_i (Q_ii + slope_i)."""
    return float(0.5 * (x @ (qubo.linear + slope)) + qubo.offset)


def reach(qubo: Qubo) -> Floats:
    """Most that the size of each slope can be, (n,)."""
    sums = np.asarray(abs(qubo.couplings).sum(axis=1)).ravel()
    return np.asarray(np.abs(qubo.linear) + 2.0 * sums)


def noise(qubo: Qubo) -> float:
    """Change of the loss below which a kernel's slopes may only be rounding noise."""
    return 1e-13 * float(reach(qubo).max(initial=0.0))


@numba.njit(cache=True, nogil=True)
def flip(matrix: Any, slope: Floats, x: Bits, i: int) -> float:
    """Flip variable i, keep the slopes, return the change of the loss. O(n), or O(degree) if sparse."""
    step = 1.0 - 2.0 * x[i]
    change: float = step * slope[i]
    x[i] = 1 - x[i]
    add_row(slope, matrix, i, 2.0 * step)  # type: ignore[no-untyped-call]
    return change


@numba.njit(cache=True, nogil=True)
def descend(matrix: Any, slope: Floats, x: Bits, least: float, flips: int) -> bool:
    """Flip the variable that helps most, `flips` times or until none helps by `least`: then True."""
    for _ in range(flips):
        # A sentinel that is no literal spares numba a second compilation of `flip`.
        best, gain = x.size, -least
        for i in range(x.size):
            change = (1.0 - 2.0 * x[i]) * slope[i]
            if change < gain:
                best, gain = i, change
        if best == x.size:
            return True
        flip(matrix, slope, x, best)
    return False
