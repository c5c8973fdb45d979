"""Refiners of a black box: exactly K, the start first, no more than allowed, better than draws."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from instances import black_box, free_black_box, matrix, optimum

from qubopress import solvers, suites
from qubopress.problems import BlackBox, Qubo
from qubopress.solvers import Status
from qubopress.solvers.black_box.ask_and_exchange import exchanged, moves
from qubopress.solvers.black_box.bayesian_swap import Process, _candidates, compressed

REFINERS = ("bayesian-swap", "protes", "cross-refine", "random-swap", "greedy-swap")


class Spy:
    """A Qubo's loss with everything that it was asked."""

    def __init__(self, n: int, *, seed: int = 0) -> None:
        self.losses, self.asked = Qubo(matrix(n, seed=seed)).losses, list[Any]()

    def __call__(self, x: Any) -> Any:
        self.asked.extend(x.copy())
        return self.losses(x)


def box_of(n: int, K: int | None, *, seed: int = 0) -> tuple[BlackBox, Spy]:
    spy = Spy(n, seed=seed)
    start = np.random.default_rng(seed).permutation(np.arange(n) < (n // 2 if K is None else K))
    return BlackBox(spy, n, start=start.astype(np.int8), K=K), spy


@pytest.mark.parametrize("name", REFINERS)
@pytest.mark.parametrize("K", [None, 1, 13, 29])
def test_every_point_has_k_ones_the_first_is_the_start_and_none_is_asked_twice(
    name: str, K: int | None
) -> None:
    box, spy = box_of(30, K)
    found = solvers.solve(box, name, evaluations=120)
    assert {int(x.sum()) for x in spy.asked} == {K} or K is None
    np.testing.assert_array_equal(spy.asked[0], box.start)
    assert len({x.tobytes() for x in spy.asked}) == len(spy.asked) == box.evaluations
    assert found.loss is not None
    assert found.loss <= box.loss(box.start)


@pytest.mark.parametrize("name", REFINERS)
@pytest.mark.parametrize("evaluations", [1, 2, 77, 300])
def test_the_budget_is_used_to_the_last_evaluation(name: str, evaluations: int) -> None:
    box, _ = box_of(30, 15)
    found = solvers.solve(box, name, evaluations=evaluations)
    assert box.evaluations == evaluations
    assert found.status is Status.BUDGET


@pytest.mark.parametrize("name", REFINERS)
def test_the_same_seed_and_evaluations_ask_the_same_points(name: str) -> None:
    asked = []
    for seed in (3, 3, 4):
        box, spy = box_of(24, 12)
        solvers.solve(box, name, evaluations=150, seed=seed)
        asked.append(np.array(spy.asked).tolist())
    assert asked[0] == asked[1] != asked[2]


@pytest.mark.parametrize("name", ["bayesian-swap", "protes", "cross-refine", "greedy-swap"])
@pytest.mark.parametrize("make", [black_box, free_black_box])
def test_a_small_box_is_solved_and_then_the_search_ends(name: str, make: Any) -> None:
    box = make(8)
    found = solvers.solve(box, name, evaluations=10_000)
    assert found.loss == optimum(make(8))


def test_random_swaps_end_in_a_local_optimum_once_a_restart_finds_nothing_new() -> None:
    box = black_box(8)
    found = solvers.solve(box, "random-swap", evaluations=10_000)
    assert found.status is Status.FINISHED
    assert found.x is not None
    for i, j in moves(box, found.x):
        y = np.array(found.x)
        y[i], y[j] = 1 - y[i], 1 - y[j]
        assert box.loss(y) >= box.loss(found.x)


@pytest.mark.parametrize("name", REFINERS)
def test_masks_without_a_loss_are_stepped_over(name: str) -> None:
    losses = Qubo(matrix(16)).losses
    start = (np.arange(16) < 8).astype(np.int8)
    box = BlackBox(lambda x: np.where(x[:, 3] == 0, np.inf, losses(x)), 16, start=start, K=8)
    found = solvers.solve(box, name, evaluations=200)
    assert found.loss is not None
    assert found.loss < box.loss(start)


@pytest.mark.parametrize("name", REFINERS)
def test_a_search_without_end_stops_at_the_target(name: str) -> None:
    box, _ = box_of(30, 15)
    found = solvers.solve(box, name, evaluations=2_000, target=box.loss(box.start) - 1e-9)
    assert found.status is Status.TARGET
    assert box.evaluations < 2_000


@pytest.mark.parametrize("name", REFINERS)
def test_it_beats_random_masks_at_equal_evaluations(name: str) -> None:
    gains = []
    for seed in range(5):
        box, _ = box_of(40, 20, seed=seed)
        found = solvers.solve(box, name, evaluations=200, seed=seed)
        drawn = [np.random.default_rng(seed).permutation(box.start) for _ in range(200)]
        assert found.loss is not None
        gains.append(float(box.losses(np.array(drawn)).min()) - found.loss)
    assert min(gains) > 0.0


@pytest.mark.parametrize("K", [2, None])
def test_moves_are_all_neighbours_once(K: int | None) -> None:
    box, _ = box_of(5, K)
    reached = set()
    for i, j in moves(box, box.start):
        y = np.array(box.start)
        y[i], y[j] = 1 - box.start[i], 1 - box.start[j]
        reached.add(y.tobytes())
    apart = {2: 2, None: 1}[K]
    every = [np.array(x, dtype=np.int8) for x in itertools.product((0, 1), repeat=5)]
    near = [x for x in every if box.violation(x) == 0 and np.abs(x - box.start).sum() == apart]
    assert reached == {x.tobytes() for x in near}
    assert len(moves(box, box.start)) == len(near)
    rng = np.random.default_rng(0)
    assert {exchanged(box, box.start, rng).tobytes() for _ in range(300)} == reached


def test_the_suite_refines_from_one_start_over_growing_parts() -> None:
    suite = suites.load("refinement")
    assert suite.by == "refine"
    assert {spec.prepare for spec in suite.instances} == {"swap"}
    assert {spec.name for spec in suite.solvers} == set(REFINERS)
    assert len({spec.parameters["refine"] for spec in suite.instances}) >= 3


# ---- the process of bayesian-swap


def test_candidates_are_new_keep_k_and_hold_every_neighbour() -> None:
    box, _ = box_of(12, 5)
    process = Process()
    process.losses[box.start.tobytes()] = 0.0
    found = _candidates(box, box.start, process, np.random.default_rng(0))
    near = {y.tobytes() for y in found if np.abs(y - box.start).sum() == 2}
    assert len(near) == 5 * 7
    assert {int(y.sum()) for y in found} == {5}
    assert len({y.tobytes() for y in found} - process.losses.keys()) == len(found) > len(near)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
def test_the_unit_of_the_losses_changes_no_choice(factor: float) -> None:
    asked = []
    for scale in (1.0, factor):
        losses = Qubo(matrix(20)).losses
        start = (np.arange(20) < 9).astype(np.int8)
        spied = list[Any]()

        def evaluate(x: Any, scale: float = scale, losses: Any = losses, spied: Any = spied) -> Any:
            spied.extend(x.copy())
            return scale * (losses(x) + 100.0)

        solvers.solve(BlackBox(evaluate, 20, start=start, K=9), "bayesian-swap", evaluations=60)
        asked.append(np.array(spied).tolist())
    assert asked[0] == asked[1]


def test_a_process_finds_the_best_exchange_of_a_sum_of_effects_from_few_losses() -> None:
    rng = np.random.default_rng(0)
    effects = rng.standard_normal(24)
    box = BlackBox(lambda x: 50.0 + x @ effects, 24, start=(np.arange(24) < 12).astype(np.int8), K=12)
    found = solvers.solve(box, "bayesian-swap", evaluations=90)
    assert found.loss == pytest.approx(50.0 + np.sort(effects)[:12].sum())
    rival = solvers.solve(
        BlackBox(lambda x: 50.0 + x @ effects, 24, start=box.start, K=12), "random-swap", evaluations=90
    )
    assert rival.loss is not None
    assert found.loss is not None
    assert rival.loss > found.loss


def test_losses_are_compressed_in_their_order_and_the_infinite_are_the_worst() -> None:
    for losses in ([1.0, 2.0, np.inf, 1.5], [-1.0, 0.0, np.inf, -0.5], [-1.0, -1.0, np.inf, 3.0]):
        values = compressed(np.array(losses))
        assert np.isfinite(values).all()
        assert abs(values.mean()) < 1e-12
        finite = np.isfinite(losses)
        order = np.argsort(np.array(losses)[finite], kind="stable")
        assert (np.diff(values[finite][order]) >= 0).all()
        assert values[2] == values.max()
    np.testing.assert_array_equal(compressed(np.array([2.0, np.inf])), [0.0, 1.0])
