"""Refiners of a black box: exactly K, the start first, no more than allowed, better than draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from black_boxes import box_of
from instances import black_box, free_black_box, matrix, optimum

from qubopress import solvers, suites
from qubopress.problems import BlackBox, Qubo
from qubopress.solvers import Status

REFINERS = ("bayesian-swap", "protes", "cross-refine", "random-swap", "greedy-swap")


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


def test_the_suite_refines_from_one_start_over_growing_parts() -> None:
    suite = suites.load("refinement")
    assert suite.by == "refine"
    assert {spec.prepare for spec in suite.instances} == {"swap"}
    assert {spec.name for spec in suite.solvers} == set(REFINERS)
    assert len({spec.parameters["refine"] for spec in suite.instances}) >= 3
