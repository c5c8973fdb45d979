"""dwave-tabu: bounded calls of the library's search, each from where the last one ended."""

from __future__ import annotations

import numpy as np
import pytest
from instances import matrix, sparse_matrix

from qubopress import solvers
from qubopress.problems import Qubo
from qubopress.solvers import Status
from qubopress.solvers.qubo import dwave_tabu
from qubopress.solvers.run import Run


@pytest.mark.parametrize("tenure", [0, 1, 1000])
@pytest.mark.parametrize("Q", [matrix(12), sparse_matrix(12)])
def test_every_tenure_finds_the_ground_state_of_a_small_instance(Q: object, tenure: int) -> None:
    qubo = Qubo(Q, 3.0)
    found = solvers.solve(qubo, "dwave-tabu", restarts=1, tenure=tenure)
    assert found.loss == pytest.approx(solvers.solve(qubo, "exhaustive").loss)


def test_a_restart_goes_on_from_the_incumbent(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = []

    def call(qubo: Qubo, run: Run, matrix: object, start: object, *rest: int, fresh: bool) -> object:
        starts.append((np.array(start).tolist(), fresh))
        return np.ones(qubo.n, dtype=np.int8)

    monkeypatch.setattr(dwave_tabu, "_call", call)
    solvers.solve(Qubo(-np.eye(6)), "dwave-tabu", restarts=3)
    assert [fresh for _, fresh in starts] == [True, False, False]
    assert starts[1][0] == starts[2][0] == [1] * 6


def test_the_work_of_a_restart_is_bounded_by_moves_and_not_by_time() -> None:
    qubo = Qubo(matrix(30))
    few, many = (
        solvers.solve(qubo, "dwave-tabu", restarts=2, num_restarts=k).counts["searches"] for k in (0, 7)
    )
    assert (few, many) == (2, 16)


def test_a_call_longer_than_the_budget_is_cut_off() -> None:
    found = solvers.solve(Qubo(matrix(100)), "dwave-tabu", seconds=0.2, num_restarts=10_000)
    assert found.status is Status.BUDGET
    assert found.seconds < 0.2 + 3.0


def test_a_target_ends_a_call_whatever_the_offset() -> None:
    qubo = Qubo(matrix(100), 1e4)
    best = solvers.solve(qubo, "dwave-tabu", restarts=1).loss
    assert best is not None
    found = solvers.solve(qubo, "dwave-tabu", restarts=1, target=best + 20.0, num_restarts=10_000)
    assert found.status is Status.TARGET
    assert found.counts["searches"] < 100
