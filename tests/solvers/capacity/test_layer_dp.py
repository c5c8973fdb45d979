"""layer-dp is exact over short components, finds the optimum of wide ones, and says what it declines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from instances import matrix, optimum

from qubopress import solvers
from qubopress.problems import Capacity
from qubopress.solvers import Status
from qubopress.solvers.capacity.finishing import finish
from qubopress.solvers.capacity.layer_dp import _begun
from qubopress.solvers.run import Run


def layers(*widths: int, seed: int = 0) -> Any:
    """Couplings inside layers only, variables shuffled."""
    blocks = [matrix(width, seed=seed + place) for place, width in enumerate(widths)]
    Q = sp.block_diag(blocks).toarray()
    order = np.random.default_rng(seed).permutation(len(Q))
    return Q[np.ix_(order, order)]


@pytest.mark.parametrize("widths", [(3, 4, 5), (1, 1, 10), (12,), (1,) * 6])
@pytest.mark.parametrize("form", [np.array, sp.csr_array])
def test_enumerated_layers_are_proven_at_every_capacity(widths: Sequence[int], form: Any) -> None:
    Q = form(layers(*widths))
    for K in range(0, sum(widths) + 1, 1 if len(widths) == 3 else 3):
        capacity = Capacity(Q, np.ones(sum(widths)), K, 0.5)
        found = solvers.solve(capacity, "layer-dp", restarts=1)
        assert found.status is Status.OPTIMAL
        assert found.violation == 0.0
        assert found.loss == pytest.approx(optimum(capacity), abs=1e-9)


@pytest.mark.parametrize("unit", [1.0, 0.5, 0.1, 3e-7, 72.5, 1e9])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 1.0])
def test_costs_in_whole_units_are_solved_exactly(unit: float, share: float) -> None:
    costs = np.random.default_rng(1).integers(1, 9, 11) * unit
    capacity = Capacity(layers(4, 4, 3, seed=7), costs, share * float(costs.sum()))
    found = solvers.solve(capacity, "layer-dp", restarts=1)
    assert found.violation == 0.0
    assert found.loss == pytest.approx(optimum(capacity), abs=1e-9)
    assert found.status is Status.OPTIMAL


@pytest.mark.parametrize("K", [2, 9, 15, 24])
def test_wide_layers_end_where_long_exchanges_do(K: int, monkeypatch: pytest.MonkeyPatch) -> None:
    capacity = Capacity(layers(10, 12, 6), np.ones(28), K)
    proven = solvers.solve(capacity, "layer-dp", restarts=1)
    monkeypatch.setattr("qubopress.solvers.capacity.layer_dp.WIDTH", 4)
    found = solvers.solve(capacity, "layer-dp", restarts=2)
    assert (proven.status, found.status) == (Status.OPTIMAL, Status.FINISHED)
    assert found.bound is None
    assert found.loss == pytest.approx(proven.loss, abs=1e-9)


def test_wide_layers_with_costs_keep_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = np.random.default_rng(2).integers(2, 30, 28) / 2
    capacity = Capacity(layers(10, 12, 6, seed=3), costs, 0.4 * float(costs.sum()))
    proven = solvers.solve(capacity, "layer-dp", restarts=1)
    monkeypatch.setattr("qubopress.solvers.capacity.layer_dp.WIDTH", 4)
    found = solvers.solve(capacity, "layer-dp", restarts=3)
    assert proven.status is Status.OPTIMAL
    assert found.violation == 0.0
    assert found.loss == pytest.approx(proven.loss, abs=1e-9)


@pytest.mark.parametrize(
    ("Q", "costs", "K", "reason"),
    [
        (np.ones((300, 300)), np.ones(300), 9, "needs separate parts, but 300 of 300 variables couple"),
        (np.eye(3), [1.0, np.pi, 2.0], 4.0, "needs costs that are whole multiples of a unit; use swap"),
        (np.eye(2), [1.0, 3e6], 2e6, "takes capacities of at most 1000000 units of cost, got 2000000"),
        (np.eye(60), np.arange(60) + 1e5, 9e5, "joins at most 30000000 units of cost times components"),
    ],
)
def test_what_it_cannot_do_is_declined_in_one_line(Q: Any, costs: Any, K: float, reason: str) -> None:
    found = solvers.solve(Capacity(-Q, costs, K), "layer-dp", restarts=1)
    assert found.status is Status.SKIPPED
    assert reason in found.message
    assert "\n" not in found.message


def test_a_coupled_instance_that_is_small_is_searched() -> None:
    capacity = Capacity(matrix(60), np.ones(60), 20)
    found = solvers.solve(capacity, "layer-dp", restarts=1)
    assert found.status is Status.FINISHED
    greedy = solvers.solve(capacity, "greedy", restarts=1)
    assert found.loss is not None
    assert greedy.loss is not None
    assert found.loss < greedy.loss


def test_a_wide_curve_begins_at_the_better_of_two_greedy_points() -> None:
    capacity, all_of_it = Capacity(layers(40), np.ones(40), 40), np.arange(40)
    curve = _begun(capacity, all_of_it, np.ones(40, dtype=np.int64), 40, Run(capacity))
    assert sorted(curve.points) == list(range(41))
    for K, (loss, x) in curve.points.items():
        ends = [finish(Capacity(capacity.Q, np.ones(40), K), np.full(40, side)) for side in (0, 1)]
        assert x.sum() == K
        assert loss == pytest.approx(min(capacity.loss(end) for end in ends))


def test_the_baseline_and_then_a_greedy_point_are_offered_first() -> None:
    capacity = Capacity(layers(30, 40, 50), np.ones(120), 60)
    found = solvers.solve(capacity, "layer-dp", restarts=1)
    greedy = finish(capacity, np.zeros(120, dtype=np.int8))
    first = [loss for _, loss in found.trace[:2]]
    assert first == pytest.approx([capacity.loss(capacity.baseline()), capacity.loss(greedy)])


def test_a_target_that_the_baseline_meets_starts_no_search() -> None:
    capacity = Capacity(layers(30, 40, 50), np.ones(120), 60)
    target = capacity.loss(capacity.baseline())
    found = solvers.solve(capacity, "layer-dp", restarts=1, target=target)
    assert found.status is Status.TARGET
    assert found.counts == {}


def test_a_target_that_the_first_walks_meet_makes_no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    capacity = Capacity(layers(5, 5, 6, seed=1), np.ones(16), 9)
    target = optimum(capacity) + 1e-9
    monkeypatch.setattr("qubopress.solvers.capacity.layer_dp._begun", None)
    found = solvers.solve(capacity, "layer-dp", restarts=1, target=target)
    assert found.status is Status.TARGET
    assert len(found.trace) == 3
