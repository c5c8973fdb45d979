"""What a search found, every claim of it checked after the clock has stopped."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from registering import DIAGONAL, solve_with

from qubopress import solvers
from qubopress.problems import Qubo, Rounding
from qubopress.solvers import Run, Status


def test_true_claims_are_believed() -> None:
    found = solve_with(lambda qubo, run: run.offer([1, 1, 0], -3.0) and None)
    assert (found.loss, found.status, found.message) == (-3.0, Status.FINISHED, "")


def test_a_false_claim_is_a_lie_and_the_reported_loss_is_the_true_one() -> None:
    found = solve_with(lambda qubo, run: run.offer([1, 1, 0], -99.0) and None)
    assert (found.loss, found.status) == (-3.0, Status.LIED)
    assert found.message == "claimed loss -99.0, but the bits have -3.0"


def test_a_false_claim_in_the_middle_of_a_trace_is_a_lie() -> None:
    def search(qubo: Qubo, run: Run) -> None:
        run.offer([1, 0, 0], -1.0)
        run.offer([0, 1, 0], -2.5)
        run.offer([1, 1, 1], -7.0)

    found = solve_with(search)
    assert (found.loss, found.status) == (-7.0, Status.LIED)
    assert found.message == "claimed loss -2.5, but the bits have -2.0"
    assert [loss for _, loss in found.trace] == [-1.0, -2.0, -7.0]


def test_a_lie_about_one_neuron_is_a_lie_about_the_layer() -> None:
    solvers.solver("liar", accepts=Qubo)(lambda qubo, run: run.offer(np.zeros(qubo.n), -5.0) and None)
    found = solvers.solve(Rounding(np.eye(2), [[0.2, 0.3], [0.6, 0.1]]), "liar")
    assert found.status is Status.LIED


def test_claims_are_checked_after_the_clock_has_stopped() -> None:
    class Slow(Qubo):
        def loss(self, x: Any) -> float:
            time.sleep(0.2)
            return super().loss(x)

    found = solve_with(lambda qubo, run: run.offer([1, 1, 0], -3.0) and None, Slow(DIAGONAL.Q), seconds=0.1)
    assert found.seconds < 0.2
    assert found.status is Status.FINISHED


def test_a_bound_above_a_solution_is_a_lie() -> None:
    def search(qubo: Qubo, run: Run) -> None:
        run.offer([1, 1, 1])
        run.prove(-6.0)

    found = solve_with(search)
    assert found.status is Status.LIED
    assert found.message == "claimed bound -6.0, but bits of loss -7.0 were found"


def test_the_highest_finite_bound_counts_and_proves() -> None:
    def search(qubo: Qubo, run: Run) -> None:
        for bound in (-np.inf, -9.0, -7.0, -8.0, np.nan, np.inf):
            run.prove(bound)
        run.offer([1, 1, 1])

    found = solve_with(search)
    assert (found.bound, found.status) == (-7.0, Status.OPTIMAL)


def test_a_large_offset_does_not_widen_what_counts_as_proven() -> None:
    def search(qubo: Qubo, run: Run) -> None:
        run.offer([0, 0, 0])
        run.prove(1e6 - 7e-3)

    found = solve_with(search, Qubo(1e-3 * DIAGONAL.Q, 1e6))
    assert found.status is Status.FINISHED
