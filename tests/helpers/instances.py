"""Small instances of every shape for the tests of solvers, and enumeration as their judge.

They ship with the package, where `qubopress check` needs them too.
"""

from __future__ import annotations

from qubopress.suites.conformance.specimens import (
    INSTANCES,
    LARGER,
    SMALLEST,
    black_box,
    capacity,
    costly,
    free_black_box,
    gram,
    levels,
    matrix,
    optimum,
    qubo,
    rounding,
    solutions,
    sparse_capacity,
    sparse_matrix,
    sparse_qubo,
)

__all__ = [
    "INSTANCES",
    "LARGER",
    "SMALLEST",
    "black_box",
    "capacity",
    "costly",
    "free_black_box",
    "gram",
    "levels",
    "matrix",
    "optimum",
    "qubo",
    "rounding",
    "solutions",
    "sparse_capacity",
    "sparse_matrix",
    "sparse_qubo",
]
