"""A constant in the objective, however large, changes no proof where integers keep every sum exact."""

from __future__ import annotations

import numpy as np
import pytest

from qubopress import solvers
from qubopress.problems import Qubo

INTEGERS = np.triu(np.random.default_rng(5).integers(-9, 10, (12, 12))).astype(float)
EXACT = sorted(
    name for name in solvers.names() if solvers.get(name).exact and Qubo in solvers.get(name).accepts
)


@pytest.mark.parametrize("constant", [0.0, -1e9, 1e12, -1e12, 1e14, 1e15, -1e15])
@pytest.mark.parametrize("name", EXACT)
def test_every_exact_solver_proves_the_same_point_under_any_constant(name: str, constant: float) -> None:
    plain, shifted = Qubo(INTEGERS), Qubo(INTEGERS, offset=constant)
    found = solvers.solve(shifted, name, seconds=20.0)
    best = solvers.solve(plain, "exhaustive").loss
    assert found.status == "OPTIMAL"
    assert found.x is not None
    assert plain.loss(found.x) == best


@pytest.mark.parametrize(
    ("Q", "constant", "exact"),
    [
        (INTEGERS, 1e15, True),
        (INTEGERS / 2, 1e15, True),
        (INTEGERS, 9e15, False),
        (INTEGERS / 3, 1e12, False),
        (INTEGERS, 0.1, False),
    ],
)
def test_a_constant_takes_digits_only_where_float64_has_to_round(
    Q: np.ndarray, constant: float, exact: bool
) -> None:
    plain, shifted = Qubo(Q).resolution, Qubo(Q, offset=constant).resolution
    assert (shifted == plain) is exact
