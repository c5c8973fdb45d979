"""greedy counts interactions, ends feasible in one pass, and never raises a loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import matrix, optimum

from qubopress import solvers
from qubopress.problems import Capacity
from qubopress.solvers import Status
from qubopress.solvers.capacity.finishing import finish


def test_twins_are_not_kept_together_though_both_matter_most() -> None:
    Q = -np.diag([3.0, 2.9, 1.0])
    Q[0, 1] = Q[1, 0] = 2.0
    capacity = Capacity(Q, np.ones(3), 2)
    found = solvers.solve(capacity, "greedy", restarts=1)
    assert found.x is not None
    assert found.x.tolist() == [1, 0, 1]
    assert capacity.baseline().tolist() == [1, 1, 0]


def test_the_better_of_both_directions_counts() -> None:
    adds = drops = 0
    for seed in range(20):
        capacity = Capacity(matrix(14, seed=seed), np.ones(14), 7)
        up, down = (capacity.loss(finish(capacity, np.full(14, side))) for side in (0, 1))
        found = solvers.solve(capacity, "greedy", restarts=1)
        assert found.loss == pytest.approx(min(up, down), abs=1e-9)
        adds, drops = adds + (up < down), drops + (down < up)
    assert min(adds, drops) > 0


def test_one_start_is_deterministic_and_restarts_only_help() -> None:
    capacity = Capacity(matrix(40), np.ones(40), 15)
    one, other = (solvers.solve(capacity, "greedy", restarts=1, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(one.x, other.x)
    more = solvers.solve(capacity, "greedy", restarts=200)
    assert more.status is Status.FINISHED
    assert more.loss is not None
    assert one.loss is not None
    assert more.loss < one.loss


@pytest.mark.parametrize("K", range(9))
def test_linear_energies_are_solved_exactly(K: int) -> None:
    capacity = Capacity(np.diag([5.0, -1.0, 3.0, -4.0, 2.0, 0.0, -7.0, 1.0]), np.ones(8), K)
    assert solvers.solve(capacity, "greedy", restarts=1).loss == pytest.approx(optimum(capacity))


def test_under_costs_a_kept_variable_that_harms_is_dropped() -> None:
    capacity = Capacity(np.diag([-1.0, 2.0]), [1.0, 2.0], 3.0)
    assert finish(capacity, np.ones(2, dtype=np.int8)).tolist() == [1, 0]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), share=st.floats(0.0, 1.0), unit=st.booleans())
def test_it_ends_feasible_at_any_capacity(seed: int, share: float, unit: bool) -> None:
    rng = np.random.default_rng(seed)
    costs = np.ones(9) if unit else rng.integers(1, 30, 9) / 10
    K = round(9 * share) if unit else share * float(costs.sum())
    found = solvers.solve(Capacity(matrix(9, seed=seed), costs, K), "greedy", restarts=3)
    assert found.violation == 0.0
