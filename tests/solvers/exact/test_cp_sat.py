"""cp-sat: what it leaves when it is stopped, and what it knows of costs."""

from __future__ import annotations

import numpy as np
import pytest
from instances import matrix, optimum

from qubopress import solvers
from qubopress.problems import Capacity, Qubo
from qubopress.solvers import Status


def test_cp_sat_stopped_early_gives_a_solution_and_no_false_bound() -> None:
    qubo = Qubo(matrix(90))
    found = solvers.solve(qubo, "cp-sat", seconds=0.01)
    assert found.status is Status.BUDGET
    assert found.loss is not None
    assert found.loss <= 0.0
    assert found.bound is None or found.bound < solvers.solve(qubo, "tabu", restarts=2).loss


def test_cp_sat_leaves_its_model_unfinished_when_the_budget_is_used() -> None:
    found = solvers.solve(Qubo(matrix(300)), "cp-sat", seconds=0.05)
    assert found.seconds < 0.05 + 3.0
    assert found.status is Status.BUDGET


def test_the_fixed_work_of_cp_sat_is_the_same_on_several_threads() -> None:
    qubo = Qubo(matrix(14))
    first, second = (solvers.solve(qubo, "cp-sat", restarts=1, work=0.1, threads=2) for _ in range(2))
    np.testing.assert_array_equal(first.x, second.x)
    assert first.bound == second.bound


def test_cp_sat_is_right_about_costs_of_many_digits() -> None:
    # With costs that add up beyond 2³² OR-Tools 9.15 calls −3.193 optimal here.
    rng = np.random.default_rng(41)
    n = int(rng.integers(2, 9))
    costs = rng.integers(11, 90, n) / 10
    K = rng.uniform(0.2, 0.9) * costs.sum()
    Q = rng.normal(size=(n, n))
    for unit in (1.0, 1e9, np.pi):
        capacity = Capacity(Q, costs * unit, float(K * unit))
        found = solvers.solve(capacity, "cp-sat", restarts=1)
        assert found.status is Status.OPTIMAL
        assert found.loss == pytest.approx(optimum(capacity), rel=1e-9)


def test_cp_sat_that_the_clock_stops_has_used_its_budget() -> None:
    class Early(solvers.Run):
        """The clock of the library ends a moment before ours."""

        def stopped(self) -> bool:
            return False

    qubo = Qubo(np.random.default_rng(0).normal(size=(60, 60)))
    run = Early(qubo, seconds=0.3)
    solvers.get("cp-sat").search(qubo, run)
    assert run.exhausted
    assert not run.proven()
