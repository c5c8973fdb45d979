"""The run: budget, incumbent, claims, parts; and what `solve` makes of how a solver behaves."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registering import DIAGONAL, solve_with

from qubopress import solvers
from qubopress.problems import BlackBox, Capacity, InputError, Qubo, Rounding
from qubopress.solvers import OfferError, Run, Status


def black_box() -> BlackBox:
    return BlackBox(lambda x: x.sum(axis=1).astype(float), 4, start=[1, 1, 1, 1])


# --- offers


def test_the_first_and_every_better_point_become_the_incumbent() -> None:
    run = Run(DIAGONAL)
    assert run.offer([1, 0, 0])
    assert not run.offer([0, 0, 0])
    assert run.offer([0, 0, 1])
    assert run.best is not None
    assert run.best.tolist() == [0, 0, 1]
    assert (run.loss, run.violation) == (-4.0, 0.0)
    assert [one.loss for one in run.history] == [-1.0, -4.0]


def test_a_point_as_good_as_the_incumbent_does_not_replace_it() -> None:
    run = Run(Qubo(np.zeros((2, 2))))
    run.offer([1, 0])
    assert not run.offer([0, 1])


def test_the_incumbent_is_a_copy() -> None:
    run, x = Run(DIAGONAL), np.array([0, 0, 1], dtype=np.int8)
    run.offer(x)
    x[:] = 1
    assert run.best is not None
    assert run.best.tolist() == [0, 0, 1]


def test_a_feasible_point_beats_any_infeasible_one_and_only_it_is_traced() -> None:
    run = Run(Capacity(np.diag([-1.0, -2.0, -4.0]), np.ones(3), 1))
    run.offer([1, 1, 1])
    assert run.history == []
    assert run.violation == 2.0
    assert run.offer([1, 0, 0])
    assert not run.offer([1, 1, 1])
    assert [one.loss for one in run.history] == [-1.0]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([0, 1], r"bits must have shape \(3,\), got \(2,\)"),
        ([[0, 1, 1]], r"bits must have shape \(3,\), got \(1, 3\)"),
        ([0, 0.5, 1], r"bits must be integers in \[0, 1\], got .*0\.5"),
        ([0, 1, 2], r"bits must be integers in \[0, 1\], got .*2"),
        ([0, np.nan, 1], r"bits must be integers in \[0, 1\], got .*nan"),
        (["a", "b", "c"], "bits must be numbers"),
    ],
)
def test_what_is_no_solution_cannot_be_offered(x: Any, message: str) -> None:
    with pytest.raises(OfferError, match=message):
        Run(DIAGONAL).offer(x)


@pytest.mark.parametrize("claim", [np.nan, np.inf, -np.inf])
def test_a_claim_must_be_finite(claim: float) -> None:
    with pytest.raises(OfferError, match="a claimed loss must be finite, got"):
        Run(DIAGONAL).offer([0, 0, 0], claim)


def test_an_offer_error_reaches_the_caller_of_solve() -> None:
    with pytest.raises(OfferError, match="bits must have shape"):
        solve_with(lambda qubo, run: run.offer([0]) and None)


def test_an_incumbent_remembers_the_work_that_was_counted_before_it() -> None:
    run = Run(DIAGONAL, unit="flips")
    run.offer([0, 0, 0])
    run.tally("flips", 7)
    run.tally("sweeps", 100)
    run.offer([0, 0, 1])
    assert [one.work for one in run.history] == [0, 7]


def test_of_a_black_box_the_evaluations_so_far_are_remembered() -> None:
    run = Run(black_box(), unit="evaluations")
    run.offer([1, 1, 1, 1])
    run.losses(np.array([[0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 1, 1]], dtype=np.int8))
    run.offer([0, 0, 0, 0])
    assert run.history[-1].work == run.work()["evaluations"] >= 3


def test_work_cannot_be_counted_down() -> None:
    with pytest.raises(InputError, match="work must be counted up, got -1 flips; pass what was done since"):
        Run(DIAGONAL).tally("flips", -1)


# --- budgets


def test_every_open_counts_as_a_restart() -> None:
    run = Run(DIAGONAL, restarts=2)
    assert [run.open() for _ in range(4)] == [True, True, False, False]
    assert run.opened == 2
    assert not run.stopped()


def test_time_used_up_stops_the_run() -> None:
    run = Run(DIAGONAL, seconds=0.02)
    assert run.open()
    assert 0.0 < run.remaining() <= 0.02
    time.sleep(0.03)
    assert run.stopped()
    assert not run.open()
    assert run.remaining() == 0.0


def test_without_seconds_time_is_endless() -> None:
    assert Run(DIAGONAL).remaining() == np.inf


def test_a_solver_that_never_polls_is_still_said_to_have_used_its_budget() -> None:
    def search(qubo: Qubo, run: Run) -> None:
        while run.remaining():
            run.offer([0, 0, 1])

    assert solve_with(search, seconds=0.05).status is Status.BUDGET


def test_a_reached_target_stops_the_run() -> None:
    run = Run(DIAGONAL, target=-3.0)
    run.offer([0, 1, 0])
    assert not run.stopped()
    run.offer([1, 1, 0])
    assert run.stopped()
    assert not run.open()


def test_an_infeasible_point_does_not_reach_the_target() -> None:
    run = Run(Capacity(DIAGONAL.Q, np.ones(3), 1), target=-3.0)
    run.offer([1, 1, 1])
    assert not run.stopped()


def test_a_proven_optimum_stops_the_run() -> None:
    run = Run(DIAGONAL)
    run.prove(-7.0)
    assert not run.stopped()
    run.offer([1, 1, 1])
    assert run.stopped()


def test_only_new_points_use_up_evaluations_and_only_those_of_this_run() -> None:
    box = black_box()
    box.losses(np.eye(4))
    run = Run(box, evaluations=2)
    assert run.evaluations_left() == 2
    run.offer([1, 0, 0, 0])
    assert run.evaluations_left() == 2
    run.offer([1, 1, 0, 0])
    assert run.evaluations_left() == 1
    run.offer([1, 1, 1, 0])
    assert run.stopped()


def test_evaluations_end_when_every_solution_is_known() -> None:
    box = BlackBox(lambda x: x.sum(axis=1).astype(float), 3, start=[1, 0, 0], K=1)
    run = Run(box, evaluations=100)
    assert run.evaluations_left() == 3
    box.losses(np.eye(3))
    assert run.stopped()


def test_a_search_bounded_by_evaluations_alone_ends_though_there_are_fewer_solutions() -> None:
    for name in ("random", "tensor-train"):
        found = solvers.solve(black_box(), name, evaluations=1000)
        assert (found.loss, found.status) == (0.0, Status.BUDGET)


def test_evaluations_do_not_bound_the_search_of_a_qubo() -> None:
    found = solvers.solve(DIAGONAL, "one-flip", evaluations=5, restarts=2)
    assert found.status is Status.FINISHED


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ({"seconds": 0}, "seconds must be positive, got 0"),
        ({"seconds": np.inf}, "seconds must be .*finite"),
        ({"restarts": 0}, "restarts must be an integer of at least 1, got 0"),
        ({"restarts": 1.5}, r"restarts must be an integer of at least 1, got 1\.5"),
        ({"evaluations": 0}, "evaluations must be an integer of at least 1, got 0"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"threads": 0}, r"threads must be an integer in \[1, 256\], got 0"),
        ({"threads": 10**6}, r"threads must be an integer in \[1, 256\], got 1000000"),
        ({"target": np.nan}, "target must be .*finite"),
    ],
)
def test_a_budget_that_is_none_is_refused(budget: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        solvers.solve(black_box(), "random", **budget)


# --- parts


def test_a_part_has_its_own_share_of_the_time_on_the_clock_of_the_whole() -> None:
    run = Run(DIAGONAL, seconds=10.0)
    time.sleep(0.02)
    part = run.part(DIAGONAL, 0, seconds=1.0)
    part.offer([0, 0, 1])
    assert part.seconds == 1.0
    assert part.begun >= 0.02
    assert part.history[0].seconds >= 0.02
    assert part.elapsed() <= run.elapsed() - 0.02
    assert run.part(DIAGONAL, 1, seconds=99.0).seconds == pytest.approx(10.0, abs=1.0)


@settings(deadline=None)
@given(seed=st.integers(0, 2**40), index=st.integers(0, 1000))
def test_a_part_draws_numbers_of_its_own_that_depend_on_seed_and_index_alone(seed: int, index: int) -> None:
    run = Run(DIAGONAL, seed=seed)
    run.rng.random(3)
    first, again, next_one = (
        run.part(DIAGONAL, i).rng.integers(2**60, size=2).tolist() for i in (index, index, index + 1)
    )
    assert first == again
    assert first != next_one
    assert first == Run(DIAGONAL, seed=seed).part(DIAGONAL, index).rng.integers(2**60, size=2).tolist()


# --- how a search ends


def test_a_solver_is_a_dozen_lines() -> None:
    @solvers.solver("first-best", accepts=Qubo)
    def first_best(qubo: Qubo, run: Run, *, tries: int = 5) -> None:
        """Flip random variables, keep what helps."""
        x = np.zeros(qubo.n, dtype=int)
        while run.open():
            for _ in range(tries):
                y = x.copy()
                y[run.rng.integers(qubo.n)] ^= 1
                if run.offer(y):
                    x = y

    found = solvers.solve(DIAGONAL, "first-best", restarts=20, tries=10)
    assert (found.loss, found.status) == (-7.0, Status.FINISHED)
    layer = solvers.solve(Rounding(np.eye(2), [[0.2, 0.9]]), "first-best", restarts=20)
    assert layer.x is not None
    assert layer.x.tolist() == [[0, 1]]


def test_work_is_counted_over_the_parts_of_a_layer() -> None:
    layer = Rounding(np.eye(3), np.full((4, 3), 0.3))
    found = solvers.solve(layer, "exhaustive", restarts=1)
    assert found.counts == {"restarts": 4, "solutions": 4 * 8}


def test_a_black_box_counts_its_evaluations_and_the_same_seed_the_same_work() -> None:
    def search() -> dict[str, int]:
        box = BlackBox(lambda x: x.sum(axis=1), 10, start=np.ones(10))
        return solvers.solve(box, "random", evaluations=40, seed=3).counts

    assert search() == search()
    assert search()["evaluations"] == 40


def test_the_share_that_is_done_is_of_the_time_of_the_evaluations_or_what_the_solver_says() -> None:
    spent = Run(Qubo(np.eye(2)), seconds=10.0)
    spent.started -= 4.0
    assert spent.done() == pytest.approx(0.4, abs=0.05)
    asked = Run(black_box(), evaluations=4)
    asked.losses(np.eye(asked.instance.n, dtype=np.int8)[:1])
    assert asked.done() == 0.25
    told = Run(Qubo(np.eye(2)), restarts=1)
    assert (told.done(), told.open()) == (0.0, True)
    told.share = 0.5
    assert told.done() == 0.5
    restarted = Run(Qubo(np.eye(2)), restarts=4)
    assert all(restarted.open() for _ in range(3))
    assert restarted.done() == 0.5
