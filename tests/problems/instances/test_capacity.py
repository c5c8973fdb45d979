"""A Capacity is a Qubo with an exact constraint, and no penalty hides in its loss."""

from __future__ import annotations

import dimod
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from tiny import all_bits

from qubopress.problems import Capacity, InputError, Qubo


def random_q(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, n))


@pytest.mark.parametrize("form", [np.array, sp.csr_array])
def test_loss_is_that_of_the_qubo_and_the_energy_of_the_bqm_on_every_assignment(form) -> None:
    Q, X = form(random_q(5)), all_bits(5)
    capacity, qubo = Capacity(Q, np.ones(5), 2, offset=0.5), Qubo(Q, 0.5)
    np.testing.assert_array_equal(capacity.losses(X), qubo.losses(X))
    np.testing.assert_allclose(capacity.to_bqm().energies((X, range(5))), capacity.losses(X), atol=1e-12)
    assert [capacity.loss(x) for x in X] == [qubo.loss(x) for x in X]
    assert (capacity.n, capacity.shape, capacity.sparse) == (5, (5,), form is sp.csr_array)
    assert capacity.resolution == qubo.resolution


def test_a_penalty_adds_its_weight_times_the_squared_violation() -> None:
    X = all_bits(4)
    capacity = Capacity(random_q(4), np.ones(4), 3)
    expected = [capacity.loss(x) + 2.5 * capacity.violation(x) ** 2 for x in X]
    np.testing.assert_allclose(capacity.to_bqm(penalty=2.5).energies((X, range(4))), expected, atol=1e-12)


def test_a_large_penalty_moves_the_ground_state_to_the_best_feasible_point() -> None:
    capacity = Capacity(random_q(6), np.ones(6), 2)
    sample = dimod.ExactSolver().sample(capacity.to_bqm(penalty=100.0)).first
    x = [sample.sample[i] for i in range(6)]
    feasible = [capacity.loss(y) for y in all_bits(6) if y.sum() == 2]
    assert capacity.violation(x) == 0
    assert capacity.loss(x) == pytest.approx(min(feasible))


def test_unit_costs_must_be_met_exactly_and_the_violation_counts_both_ways() -> None:
    capacity = Capacity(np.eye(4), np.ones(4), 2)
    assert [capacity.violation(x) for x in ([0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0])] == [2.0, 0.0, 1.0]


def test_other_costs_must_be_kept_to_and_the_violation_is_the_excess() -> None:
    capacity = Capacity(np.eye(3), [1.0, 2.0, 4.0], 3)
    assert [capacity.violation(x) for x in ([0, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1])] == [0, 0, 2, 4]


def test_decimal_costs_that_fill_the_capacity_do_not_violate_it() -> None:
    # In float64 0.1 + 0.1 + 0.1 > 0.3.
    assert Capacity(np.eye(3), [0.1] * 3, 0.3).violation([1, 1, 1]) == 0.0
    thousand = Capacity(sp.csr_array(np.eye(1000)), [0.001] * 1000, 1.0)
    assert thousand.violation(np.ones(1000)) == 0.0


@pytest.mark.parametrize("unit", [1e-13, 1.0, 1e12])
def test_an_excess_counts_in_whatever_unit_the_costs_are(unit) -> None:
    capacity = Capacity(np.eye(3), np.array([0.1, 0.1, 0.1]) * unit, 0.2 * unit)
    assert capacity.violation([1, 1, 0]) == 0.0
    assert capacity.violation([1, 1, 1]) == pytest.approx(0.1 * unit, rel=1e-9, abs=0)


def test_one_operation_too_many_is_a_violation_among_a_quadrillion() -> None:
    capacity = Capacity(sp.csr_array((101, 101)), [1e13] * 100 + [1.0], 1e15)
    x = np.ones(101)
    assert capacity.violation(x) == 1.0
    x[100] = 0
    assert capacity.violation(x) == 0.0


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=8), st.floats(0.0, 200.0), st.integers(0, 9))
def test_the_baseline_keeps_to_the_capacity(costs, K, seed) -> None:
    capacity = Capacity(random_q(len(costs), seed) - 1.0, costs, K if set(costs) != {1.0} else 0)
    assert capacity.violation(capacity.baseline()) == 0.0


@pytest.mark.parametrize("K", [0, 1, 3, 5])
def test_the_baseline_keeps_the_k_best_by_the_linear_part(K) -> None:
    linear = np.array([3.0, -1.0, 2.0, -5.0, 0.0])
    x = Capacity(np.diag(linear), np.ones(5), K).baseline()
    assert sorted(linear[x == 1]) == sorted(linear)[:K]


def test_the_baseline_under_other_costs_keeps_nothing_that_costs_loss() -> None:
    x = Capacity(np.diag([-4.0, -3.0, 5.0]), [2.0, 1.0, 0.5], 3.5).baseline()
    np.testing.assert_array_equal(x, [1, 1, 0])


@pytest.mark.parametrize("n", [0, 1])
def test_the_smallest_instances_work(n) -> None:
    capacity = Capacity(np.eye(n), np.ones(n), n)
    assert capacity.violation(capacity.baseline()) == 0
    assert capacity.loss(np.ones(n)) == n


def test_a_users_costs_changed_later_do_not_change_the_instance() -> None:
    costs = np.array([1.0, 2.0])
    capacity = Capacity(np.eye(2), costs, 2)
    costs[:] = 9.0
    assert capacity.violation([0, 1]) == 0
    with pytest.raises(ValueError, match="read-only"):
        capacity.costs[0] = 0.5


@pytest.mark.parametrize(
    ("costs", "K", "message"),
    [
        ([1.0], 1, r"costs must have shape \(2,\) like Q, got \(1,\)"),
        ([[1.0, 1.0]], 1, r"costs must have 1 dimension\(s\), got shape \(1, 2\)"),
        ([1.0, np.nan], 1, r"costs must be finite, got nan at index \(1,\)"),
        ([1.0, 0.0], 1, "costs must be positive, got 0; leave free variables out"),
        ([1.0, -2.0], 1, "costs must be positive, got -2"),
        ([1.0, 1.0], 3, r"K must be an integer in \[0, 2\] for unit costs, got 3"),
        ([1.0, 1.0], 0.5, r"K must be an integer in \[0, 2\] for unit costs, got 0.5"),
        ([1.0, 1.0], -1, r"K must be an integer in \[0, 2\] for unit costs, got -1"),
        ([1.0, 2.0], -1, "K must not be negative, got -1"),
        ([1.0, 2.0], np.inf, "K must be a finite number, got inf"),
        ([1.0, 2.0], "two", "K must be a finite number, got 'two'"),
    ],
)
def test_a_capacity_that_is_none_is_refused(costs, K, message) -> None:
    with pytest.raises(InputError, match=message):
        Capacity(np.eye(2), costs, K)


def test_the_matrix_is_checked_as_a_qubos() -> None:
    with pytest.raises(InputError, match=r"Q must be square, got shape \(2, 3\)"):
        Capacity(np.ones((2, 3)), np.ones(2), 1)
    with pytest.raises(InputError, match="Q must keep losses within float64"):
        Capacity(np.full((2, 2), 1e308), np.ones(2), 1)


def test_a_penalty_is_refused_where_it_says_nothing() -> None:
    with pytest.raises(InputError, match="a penalty needs unit costs"):
        Capacity(np.eye(2), [1.0, 2.0], 2).to_bqm(penalty=1.0)
    with pytest.raises(InputError, match="penalty must not be negative, got -1"):
        Capacity(np.eye(2), np.ones(2), 1).to_bqm(penalty=-1.0)
    with pytest.raises(InputError, match="penalty must be a finite number, got nan"):
        Capacity(np.eye(2), np.ones(2), 1).to_bqm(penalty=np.nan)
