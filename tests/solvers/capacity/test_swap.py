"""swap finds the optimum of small slices at every capacity and never leaves them."""

from __future__ import annotations

import numpy as np
import pytest
from instances import costly, matrix, optimum, sparse_matrix

from qubopress import solvers
from qubopress.problems import Capacity
from qubopress.problems.arrays import Floats
from qubopress.solvers import Status
from qubopress.solvers.capacity.exchanges import Slice
from qubopress.solvers.capacity.finishing import finish


@pytest.mark.parametrize("K", range(11))
@pytest.mark.parametrize("mode", ["tabu", "anneal"])
def test_small_slices_are_solved_at_every_capacity(K: int, mode: str) -> None:
    capacity = Capacity(matrix(10, seed=K), np.ones(10), K, 0.5)
    found = solvers.solve(capacity, "swap", restarts=3, mode=mode)
    assert found.violation == 0.0
    assert found.loss == pytest.approx(optimum(capacity), abs=1e-9)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("mode", ["tabu", "anneal"])
def test_costs_of_any_size_are_kept_to_and_used(share: float, unit: float, mode: str) -> None:
    small = costly(9)
    capacity = Capacity(small.Q, small.costs * unit, share * float(small.costs.sum()) * unit)
    found = solvers.solve(capacity, "swap", restarts=5, mode=mode)
    assert found.violation == 0.0
    assert found.loss == pytest.approx(optimum(capacity), abs=1e-9)


@pytest.mark.parametrize("mode", ["tabu", "anneal"])
@pytest.mark.parametrize("costs", [np.ones(40), np.arange(1.0, 41.0)], ids=["unit costs", "other costs"])
def test_a_sparse_matrix_is_searched_like_the_dense_one_and_not_filled(mode: str, costs: Floats) -> None:
    Q = sparse_matrix(40)
    sparse, dense = (Capacity(one, costs, float(costs.sum()) // 2) for one in (Q, Q.toarray()))
    found = [solvers.solve(one, "swap", restarts=2, mode=mode) for one in (sparse, dense)]
    np.testing.assert_array_equal(found[0].x, found[1].x)
    assert Slice.of(sparse).matrix[0].size == sparse.qubo.couplings.nnz


def test_the_greedy_baseline_is_where_it_begins() -> None:
    capacity = Capacity(matrix(30), np.ones(30), 10)
    found = solvers.solve(capacity, "swap", restarts=1)
    assert found.trace[0][1] == capacity.loss(capacity.baseline())
    assert found.status is Status.FINISHED


@pytest.mark.parametrize("mode", ["tabu", "anneal"])
def test_one_walk_of_many_variables_ends_at_most_where_greedy_does(mode: str) -> None:
    capacity = Capacity(sparse_matrix(1500), np.ones(1500), 1100)
    found = solvers.solve(capacity, "swap", restarts=1, num_sweeps=1, mode=mode)
    assert found.loss is not None
    assert found.loss <= capacity.loss(finish(capacity, np.ones(1500, dtype=np.int8)))


@pytest.mark.parametrize("mode", ["tabu", "anneal"])
@pytest.mark.parametrize("K", [15, 120, 285])
def test_no_exchange_improves_what_it_ends_in(mode: str, K: int) -> None:
    capacity = Capacity(matrix(300), np.ones(300), K)
    found = solvers.solve(capacity, "swap", restarts=1, mode=mode)
    assert found.x is not None
    slope = capacity.qubo.linear + 2.0 * (capacity.qubo.couplings @ found.x)
    kept, gone = np.flatnonzero(found.x == 1), np.flatnonzero(found.x == 0)
    change = slope[gone] - slope[kept][:, None] - 2.0 * capacity.qubo.couplings[np.ix_(kept, gone)]
    assert change.min() > -1e-9


def test_work_is_counted_in_moves_and_sweeps() -> None:
    capacity = Capacity(matrix(30), np.ones(30), 10)
    tabu = solvers.solve(capacity, "swap", restarts=2, num_sweeps=70)
    anneal = solvers.solve(capacity, "swap", restarts=2, num_sweeps=70, mode="anneal")
    assert tabu.counts["moves"] == 2 * 2 * 70
    assert anneal.counts["sweeps"] == 2 * 70


@pytest.mark.parametrize("mode", ["tabu", "anneal"])
def test_many_sweeps_stop_at_the_budget(mode: str) -> None:
    capacity = Capacity(matrix(400), np.ones(400), 100)
    solvers.solve(Capacity(matrix(4), np.ones(4), 2), "swap", restarts=1, mode=mode)
    found = solvers.solve(capacity, "swap", seconds=0.1, num_sweeps=1_000_000, mode=mode)
    assert found.status is Status.BUDGET
    assert found.seconds < 0.1 + 3.0
