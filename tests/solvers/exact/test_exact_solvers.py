"""exhaustive and cp-sat: what they call proven is, and their bounds hold."""

from __future__ import annotations

import numpy as np
import proofs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import costly, matrix, optimum

from qubopress import solvers
from qubopress.problems import Capacity, Qubo
from qubopress.solvers import Status


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 8),
    seed=st.integers(0, 10_000),
    size=st.sampled_from([1e-9, 1.0, 1e7]),
    offset=st.sampled_from([0.0, -3.0, 1e6]),
    sparse=st.booleans(),
)
@pytest.mark.parametrize("name", ["exhaustive", "cp-sat"])
def test_the_proven_optimum_is_that_of_enumeration(
    name: str, n: int, seed: int, size: float, offset: float, sparse: bool
) -> None:
    proofs.of_a_qubo(name, n, seed, size, offset, sparse=sparse)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 8), seed=st.integers(0, 10_000), share=st.floats(0.05, 1.1), unit=st.booleans())
@pytest.mark.parametrize("name", ["exhaustive", "cp-sat"])
def test_the_proven_optimum_keeps_to_the_capacity(
    name: str, n: int, seed: int, share: float, unit: bool
) -> None:
    proofs.of_a_capacity(name, n, seed, share, unit=unit)


@pytest.mark.parametrize("name", ["exhaustive", "cp-sat"])
def test_a_sum_of_tenths_that_meets_the_capacity_is_not_lost_to_float64(name: str) -> None:
    capacity = Capacity(-np.eye(3), [0.1, 0.2, 0.7], 0.3)
    found = solvers.solve(capacity, name, restarts=1)
    assert found.x is not None
    assert found.x.tolist() == [1, 1, 0]
    assert found.violation == 0.0


@pytest.mark.parametrize("name", ["exhaustive", "cp-sat"])
@pytest.mark.parametrize("unit", [1.0, 1e-13, 1e9, np.pi])
def test_costs_that_only_a_wider_allowance_would_fit_do_not_hide_the_optimum(name: str, unit: float) -> None:
    # 0.1 + 0.2 passes K by 5e-13, far more than its slack; by 1e-12 a search would call it feasible.
    costs = unit * np.array([0.1, 0.2, 0.29, 0.05])
    capacity = Capacity(-np.diag([1.0, 1.0, 1.5, 0.1]), costs, unit * (0.3 - 5e-13))
    found = solvers.solve(capacity, name, restarts=1)
    assert found.x is not None
    assert found.x.tolist() == [0, 0, 1, 0]
    assert (found.status, found.violation) == (Status.OPTIMAL, 0.0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.sampled_from([-5e-13, -1e-15, 0.0, 1e-15]))
@pytest.mark.parametrize("name", ["exhaustive", "cp-sat"])
def test_capacities_at_a_sum_of_tenths_are_judged_as_the_instance_judges(
    name: str, seed: int, shift: float
) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 9))
    costs = rng.integers(1, 9, n) / 10
    K = float(costs @ rng.integers(0, 2, n)) + 1.0
    capacity = Capacity(rng.normal(size=(n, n)) - np.eye(n), costs, K * (1 + shift))
    found, best = solvers.solve(capacity, name, restarts=1), optimum(capacity)
    assert (found.status, found.violation) == (Status.OPTIMAL, 0.0)
    assert found.loss == pytest.approx(best, abs=1e-12)


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
