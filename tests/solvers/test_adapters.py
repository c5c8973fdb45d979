"""Adapters: rows of a layer, and fields for a capacity."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from instances import gram, levels, matrix, optimum, rounding

from qubopress import solvers
from qubopress.problems import Capacity, Qubo, Rounding
from qubopress.solvers import Run, Status, registry
from qubopress.solvers.adapters import FIELDS


@pytest.fixture
def exact() -> Iterator[str]:
    """A solver that proves the optimum of a Qubo and knows no other shape."""
    search = solvers.get("exhaustive").search
    solvers.solver("exact-qubo", accepts=Qubo, exact=True)(lambda qubo, run: search(qubo, run))
    yield "exact-qubo"
    del registry._REGISTRY["exact-qubo"]


@pytest.fixture
def seen() -> Iterator[list[Run]]:
    """The runs that a solver named `spy` was given; it offers zeros and uses up no time."""
    runs: list[Run] = []

    def spy(qubo: Qubo, run: Run) -> None:
        runs.append(run)
        while run.open():
            run.offer(np.zeros(qubo.n))

    solvers.solver("spy", accepts=Qubo)(spy)
    solvers.warm("spy", Rounding)
    solvers.warm("spy", Capacity)
    runs.clear()
    yield runs
    del registry._REGISTRY["spy"]


# --- rows


@pytest.mark.parametrize("layer", [rounding(4, 6), levels(3, 3)])
def test_rows_are_solved_to_the_optimum_of_the_layer(exact: str, layer: Rounding) -> None:
    found = solvers.solve(layer, exact, restarts=1)
    assert found.adapter == "rows"
    assert found.status is Status.OPTIMAL
    assert found.loss == pytest.approx(optimum(layer), rel=1e-9)
    assert found.bound is not None
    assert found.bound <= optimum(layer)


def test_the_trace_of_a_layer_begins_at_round_to_nearest() -> None:
    layer = Rounding(gram(8, seed=5), np.random.default_rng(0).random((6, 8)))
    found = solvers.solve(layer, "tabu", restarts=1)
    assert found.trace[0] == (0.0, pytest.approx(layer.loss(layer.nearest())))
    assert found.trace[-1][1] == found.loss
    assert found.loss is not None
    assert found.loss < found.trace[0][1]


def test_every_neuron_gets_its_share_though_the_one_before_used_its_up(seen: list[Run]) -> None:
    found = solvers.solve(Rounding(np.eye(2), np.full((8, 2), 0.9)), "spy", seconds=0.8)
    assert len(seen) == 8
    assert found.status is Status.BUDGET
    assert seen[0].seconds == pytest.approx(0.1, rel=0.2)
    assert all(run.seconds is not None and 0.0 < run.seconds < 0.15 for run in seen)


def test_neurons_that_were_not_reached_stay_at_nearest() -> None:
    layer = Rounding(gram(300, seed=1), np.random.default_rng(1).random((60, 300)))
    begun = time.monotonic()
    found = solvers.solve(layer, "neal", seconds=0.05)
    assert time.monotonic() - begun < 3.0
    assert found.x is not None
    np.testing.assert_array_equal(found.x[-1], layer.nearest()[-1])
    assert found.status is Status.BUDGET


def test_a_target_leaves_each_neuron_what_the_others_do_not_use(seen: list[Run]) -> None:
    layer = Rounding(np.eye(2), [[0.9, 0.9], [0.1, 0.1], [0.9, 0.1]])
    nearest = layer.loss(layer.nearest())
    found = solvers.solve(layer, "spy", restarts=1, target=nearest - 1e-3)
    assert [run.target for run in seen[:1]] == [pytest.approx(0.02 - 1e-3)]
    assert found.status is Status.FINISHED
    solvers.solve(layer, "spy", restarts=1, target=nearest)
    assert len(seen) == 3


def test_levels_that_no_bits_can_write_are_declined() -> None:
    found = solvers.solve(Rounding(np.eye(2), [[0.2, 1.4]], levels=3), "tabu")
    assert found.status is Status.SKIPPED
    assert found.message.startswith("levels must be powers of two to be written in bits")


def test_a_neuron_without_a_free_coordinate_costs_nothing(exact: str) -> None:
    layer = Rounding(gram(3), np.full((2, 3), 0.4), fixed=[[0, 1, 0], [-1, -1, -1]])
    found = solvers.solve(layer, exact, restarts=1)
    assert found.status is Status.OPTIMAL
    assert found.x is not None
    assert found.x[0].tolist() == [0, 1, 0]


# --- fields


@pytest.mark.parametrize("K", range(1, 10))
@pytest.mark.parametrize("form", [np.array, sp.csr_array])
def test_fields_are_feasible_at_every_capacity_and_their_bound_valid(exact: str, K: int, form: Any) -> None:
    capacity = Capacity(form(matrix(10, seed=K)), np.ones(10), K, 2.0)
    found, best = solvers.solve(capacity, exact, restarts=1), optimum(capacity)
    assert (found.adapter, found.violation) == ("field-search", 0.0)
    assert found.bound is not None
    assert found.loss is not None
    assert found.bound <= best <= found.loss + 1e-9


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9, 2.0])
def test_the_field_search_keeps_to_a_capacity_of_costs(exact: str, share: float) -> None:
    costs = np.random.default_rng(3).integers(1, 9, 9) / 10
    capacity = Capacity(matrix(9, seed=3), costs, share * float(costs.sum()))
    found, best = solvers.solve(capacity, exact, restarts=1), optimum(capacity)
    assert found.violation == 0.0
    assert found.loss is not None
    assert found.loss >= best - 1e-9
    if found.adapter == "field-search":
        assert found.bound is not None
        assert found.bound <= best
    if share == 2.0:
        assert found.status is Status.OPTIMAL


def test_linear_costs_are_solved_exactly_by_fields(exact: str) -> None:
    capacity = Capacity(np.diag([5.0, -1.0, 3.0, -4.0, 2.0]), np.ones(5), 3)
    found = solvers.solve(capacity, exact, restarts=1)
    assert found.status is Status.OPTIMAL
    assert found.x is not None
    assert found.x.tolist() == [0, 1, 0, 1, 1]


def test_a_field_that_meets_the_capacity_is_searched_on(seen: list[Run]) -> None:
    capacity = Capacity(np.diag([-1.0, -1.0, 1.0, 1.0]), np.ones(4), 2)
    assert solvers.solve(capacity, "one-flip", restarts=1).loss == -2.0
    found = solvers.solve(capacity, "spy", restarts=1)
    assert len(seen) == FIELDS
    assert found.status is Status.FINISHED
    fields = {float(run.instance.Q[0, 0]) for run in seen if isinstance(run.instance, Qubo)}
    assert len(fields) == FIELDS


@pytest.mark.parametrize(
    ("capacity", "costs", "adapter"),
    [
        ("penalty", np.ones(4), "penalty"),
        ("penalty", np.arange(1.0, 5.0), "field-search"),
        ("field-search", np.ones(4), "field-search"),
    ],
)
def test_a_capacity_reaches_a_solver_as_its_registration_says(
    capacity: str, costs: Any, adapter: str
) -> None:
    def search(qubo: Qubo, run: Run) -> None:
        while run.open():
            run.offer(np.zeros(qubo.n))

    solvers.solver("mine", accepts=Qubo, capacity=capacity)(search)
    try:
        found = solvers.solve(Capacity(matrix(4), costs, 2), "mine", restarts=1)
    finally:
        del registry._REGISTRY["mine"]
    assert found.adapter == adapter
