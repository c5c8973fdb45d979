"""solve: what is refused, skipped, declined, and what reaches the caller."""

from __future__ import annotations

import numpy as np
import pytest
from registering import DIAGONAL, solve_with

from qubopress import solvers
from qubopress.problems import Capacity, InputError, Qubo, Rounding
from qubopress.solvers import Run, Status
from qubopress.solvers.run import Declined


def test_what_is_no_instance_is_refused() -> None:
    with pytest.raises(InputError, match=r"instance must be Qubo, .* or BlackBox, got ndarray"):
        solvers.solve(np.eye(2), "tabu")  # type: ignore[arg-type]


def test_a_declined_instance_is_skipped_with_the_reason() -> None:
    def search(qubo: Qubo, run: Run) -> None:
        raise Declined("too steep")

    found = solve_with(search)
    assert (found.status, found.message, found.x, found.loss) == (Status.SKIPPED, "too steep", None, None)


def test_an_instance_beyond_the_declared_size_is_skipped_before_the_solver_sees_it() -> None:
    found = solvers.solve(Qubo(np.eye(26)), "exhaustive")
    assert found.status is Status.SKIPPED
    assert found.message == "exhaustive takes at most 25 variables, got 26"


def test_a_solver_that_offers_nothing_has_failed() -> None:
    found = solve_with(lambda qubo, run: None)
    assert (found.status, found.x) == (Status.FAILED, None)
    assert (
        found.message
        == "the solver offered no solution within its budget; it must call run.offer(x) while run.open()"
    )


def test_bits_that_break_the_capacity_are_infeasible() -> None:
    capacity = Capacity(DIAGONAL.Q, np.ones(3), 1)
    found = solve_with(lambda instance, run: run.offer([1, 1, 1]) and None, capacity)
    assert (found.status, found.violation, found.trace) == (Status.INFEASIBLE, 2.0, [])


def test_an_error_of_the_solver_reaches_the_caller() -> None:
    def search(qubo: Qubo, run: Run) -> None:
        raise ZeroDivisionError("in the search")

    with pytest.raises(ZeroDivisionError, match="in the search"):
        solve_with(search)


def test_whoever_watches_is_given_the_run_before_the_search_and_changes_nothing() -> None:
    seen: list[Run] = []
    watched = solvers.solve(DIAGONAL, "one-flip", restarts=3, watch=seen.append)
    alone = solvers.solve(DIAGONAL, "one-flip", restarts=3)
    assert [run.counts["restarts"] for run in seen] == [3]
    assert np.array_equal(watched.x, alone.x)


@pytest.mark.parametrize("solver", ["beam", "sphere", "obq", "relaxation", "one-flip"])
def test_a_slow_solver_of_layers_says_how_far_it_is(solver: str) -> None:
    layer = Rounding(np.eye(3) + 0.5, np.full((4, 3), 0.3))
    runs: list[Run] = []
    solvers.solve(layer, solver, restarts=1, watch=runs.append)
    assert runs[0].done() == 1.0
