"""What every numba kernel needs: read-only views, rows, looks at the clock."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core.dispatcher import Dispatcher
from numba.extending import overload

from ..problems.arrays import Bits

__all__ = ["add_row", "compiles", "copy", "entry", "per_look", "readonly", "row_of"]


# numba infers these types; annotations that held for both kinds of matrix would say nothing.
def add_row(target, matrix, i, factor):  # type: ignore[no-untyped-def]
    """Add factor · matrix[i] to target, in place. Only for compiled callers."""
    raise NotImplementedError


@overload(add_row)
def _add_row(target, matrix, i, factor):  # type: ignore[no-untyped-def]  # numba compares signatures
    return _add_dense if isinstance(matrix, types.Array) else _add_sparse


def _add_dense(target, matrix, i, factor):  # type: ignore[no-untyped-def]
    for j in range(target.size):
        target[j] += factor * matrix[i, j]


def _add_sparse(target, matrix, i, factor):  # type: ignore[no-untyped-def]
    data, indices, indptr = matrix
    for k in range(indptr[i], indptr[i + 1]):
        target[indices[k]] += factor * data[k]


# As add_row: for a dense matrix, or the CSR tuple whose indices ascend in every row.
def entry(matrix, i, j):  # type: ignore[no-untyped-def]
    """matrix[i, j]. Only for compiled callers."""
    raise NotImplementedError


@overload(entry)
def _entry(matrix, i, j):  # type: ignore[no-untyped-def]
    return _dense_entry if isinstance(matrix, types.Array) else _sparse_entry


def _dense_entry(matrix, i, j):  # type: ignore[no-untyped-def]
    return matrix[i, j]


def _sparse_entry(matrix, i, j):  # type: ignore[no-untyped-def]
    data, indices, indptr = matrix
    low, high = indptr[i], indptr[i + 1]
    while low < high:
        middle = (low + high) // 2
        if indices[middle] < j:
            low = middle + 1
        else:
            high = middle
    return data[low] if low < indptr[i + 1] and indices[low] == j else 0.0


# As add_row.
def row_of(matrix, i, scratch):  # type: ignore[no-untyped-def]
    """matrix[i] as an array (n,), in `scratch` where the matrix is sparse. Only for compiled callers."""
    raise NotImplementedError


@overload(row_of)
def _row_of(matrix, i, scratch):  # type: ignore[no-untyped-def]
    return _dense_row if isinstance(matrix, types.Array) else _sparse_row


def _dense_row(matrix, i, scratch):  # type: ignore[no-untyped-def]
    return matrix[i]


def _sparse_row(matrix, i, scratch):  # type: ignore[no-untyped-def]
    for j in range(scratch.size):
        scratch[j] = 0.0
    add_row(scratch, matrix, i, 1.0)  # type: ignore[no-untyped-call]
    return scratch


def readonly(array: Any) -> Any:
    """The same array seen through a view that cannot write; numba compiles anew for every kind it meets."""
    view = np.ascontiguousarray(array).view()
    view.setflags(write=False)
    return view


def per_look(cost: int) -> int:
    """How many steps of `cost` elementary operations fit between two looks at the clock, some 20 ms."""
    return max(1, 20_000_000 // max(1, cost))


@numba.njit(cache=True, nogil=True)
def copy(source: Bits, target: Bits) -> None:
    """Write source into target. numba spends seconds on `target[:] = source`, most of it on an error text."""
    for i in range(source.size):
        target[i] = source[i]


def compiles(function: Callable[..., Any]) -> bool:
    """Whether the file of a solver's function holds kernels that numba compiles."""
    module = vars(sys.modules[function.__module__])
    return any(isinstance(one, Dispatcher) for one in module.values())
