"""exhaustive: the walk over all bits."""

from __future__ import annotations

import pytest
from instances import costly, matrix, optimum

from qubopress import solvers
from qubopress.problems import Qubo
from qubopress.solvers import Status


def test_the_walk_stays_true_over_a_million_flips() -> None:
    Q = 1e8 * matrix(20, seed=7)
    Q[0, 0] += 1e-3
    found = solvers.solve(Qubo(Q), "exhaustive", restarts=1)
    assert found.status is Status.OPTIMAL
    assert found.loss is not None
    assert found.loss <= solvers.solve(Qubo(Q), "tabu", restarts=3).loss + 1e-3


def test_exhaustive_cut_off_proves_nothing() -> None:
    found = solvers.solve(Qubo(matrix(25)), "exhaustive", seconds=0.05)
    assert (found.status, found.bound) == (Status.BUDGET, None)


def test_exhaustive_of_costs_visits_only_what_fits() -> None:
    capacity = costly(12)
    found = solvers.solve(capacity, "exhaustive", restarts=1)
    assert found.loss == pytest.approx(optimum(capacity))
    assert found.violation == 0.0
