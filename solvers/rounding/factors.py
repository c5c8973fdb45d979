"""Orders of columns, and the triangular factor of a Gram matrix in each."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ...problems.arrays import Floats
from ...problems.quantization.planes import act_order, ridge_of
from ...problems.quantization.planes import damped_factor as factor
from ..compiled import readonly

__all__ = [
    "SORTED",
    "UNIT",
    "Columns",
    "column_order",
    "factor",
    "sorted_columns",
    "sorted_factor",
    "sorted_rows",
    "triangle",
]

SORTED = 256
"""Columns sorted between two matrix products, which cost more there than what they spare."""


UNIT = 2.0**-53
"""Relative error of one float64 operation."""


def column_order(gram: Floats, order: str, damping: float = 0.0) -> Columns:
    """Columns in the order of rounding: "act" by falling mean square, "given" as they stand.

    "sorted" is as `sorted_columns` of the gram damped as by `factor`.
    """
    if order == "given":
        return np.arange(len(gram))
    if order == "sorted":
        return sorted_columns(gram + ridge_of(gram, damping) * np.eye(len(gram)))
    return act_order(gram)


def triangle(gram: Floats, order: str, damping: float) -> tuple[Columns, Floats]:
    """Columns as of `column_order`, and the `factor` of the gram in that order; sorting brings it along."""
    if order == "sorted":
        columns, rows = sorted_rows(gram + ridge_of(gram, damping) * np.eye(len(gram)))
        # What is left of a column behind its own row is rounding noise.
        lower = np.tril(rows[::-1][:, columns])
        if np.diag(lower).all():
            return columns, lower
    else:
        columns = column_order(gram, order)
    return columns, factor(gram, damping, columns)


def sorted_columns(gram: Any) -> Columns:
    """Columns of which each, from the last, is the one that those behind it leave the least of.

    The sorted QR factorisation of Wübben et al. 2001, blocked so that matrix products do the O(f³): a
    search that goes through them from the first decides early what the others tell well apart.

    Parameters:
        gram: (f, f) positive definite, an array or a tensor on any device.
    """
    return sorted_rows(gram)[0]


def sorted_rows(gram: Any) -> tuple[Columns, Any]:
    """The sorted columns, and rows (f, f) with gram = rowsᵀ rows: the first is the last column's, and so on.

    Where rounding leaves nothing of a column, its row is 0. Parameters are those of `sorted_columns`.
    """
    names, found, whole = np.arange(len(gram)), np.zeros(0, dtype=np.int64), gram * 0.0
    while len(names):
        rest, rows = gram.diagonal() * 1.0, gram[:SORTED] * 0.0
        picks = []
        for k in range(len(rows)):
            picks.append(int(rest.argmin()))
            row = gram[picks[k]] - rows[:k, picks[k]] @ rows[:k]
            left = float(row[picks[k]])
            # Of a column that those behind it span, rounding may leave less than nothing.
            rows[k] = row / left**0.5 if left > 0.0 else 0.0
            rest -= rows[k] ** 2
            rest[picks[k]] = np.inf
        whole[len(found) : len(found) + len(picks), names] = rows
        found = np.append(found, names[picks])
        stay = np.setdiff1d(np.arange(len(names)), picks)
        names, rows = names[stay], rows[:, stay]
        gram = gram[stay][:, stay] - rows.T @ rows
    return found[::-1].copy(), whole


def sorted_factor(gram: Floats, first: npt.NDArray[np.bool_]) -> tuple[Columns, Floats]:
    """An order of the columns and lower triangular T with gram = TᵀT in that order, row by row from the last.

    Each next row goes to the column that the rows below leave the least of; columns marked in `first` wait
    for all others, so that they come first. What is left of a column may be nothing, which makes a row of
    zeros: rank-deficient grams are factored as they are.
    """
    rows, columns = np.zeros(gram.shape), np.zeros(len(gram), dtype=np.int64)
    least = 4 * len(gram) * UNIT * float(np.diag(gram).max(initial=0.0))
    _factor(readonly(gram), readonly(first), int(first.sum()), least, rows, columns)
    return columns, np.ascontiguousarray(rows[:, columns])


@numba.njit(cache=True, nogil=True)
def _factor(gram: Any, first: Any, count: int, least: float, rows: Any, columns: Any) -> None:
    """Fill `rows` (f, f) from the last, in the given order of columns, and `columns` (f,)."""
    f = columns.size
    done, rest, row = np.zeros(f, dtype=np.bool_), np.empty(f), np.empty(f)
    for j in range(f):
        rest[j] = gram[j, j]
    for k in range(f - 1, -1, -1):
        pick, lowest = f, np.inf
        for j in range(f):
            if not done[j] and rest[j] < lowest and (k < count or not first[j]):
                pick, lowest = j, rest[j]
        for j in range(f):
            row[j] = 0.0 if done[j] else gram[pick, j]
        for m in range(k + 1, f):
            share = rows[m, pick]
            for j in range(f):
                row[j] -= share * rows[m, j]
        columns[k] = pick
        if row[pick] > least:
            size = np.sqrt(row[pick])
            for j in range(f):
                rows[k, j] = 0.0 if done[j] else row[j] / size
                rest[j] -= rows[k, j] ** 2
        done[pick] = True


Columns = npt.NDArray[np.int64]
