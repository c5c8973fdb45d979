"""All solvers of a capacity against enumeration and against each other, and the penalty as their baseline."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from instances import costly, matrix, optimum

from qubopress import problems, solvers
from qubopress.problems import Capacity, Instance
from qubopress.solvers import Status
from qubopress.solvers.adapters import penalised

AWARE = ["greedy", "swap", "field-search", "layer-dp"]


class Seen(Exception):  # noqa: N818 - an answer, not an error
    """The formulation has yielded its instance."""


@functools.cache
def pruning(network: str, keep: float) -> Capacity:
    """The hybrid instance of a network of ours."""
    seen: list[Instance] = []

    def decide(_: int, instance: Instance) -> Any:
        seen.append(instance)
        raise Seen("seen")

    with pytest.raises(Seen, match="seen"):
        problems.drive(problems.get("hybrid"), problems.classification_task(network), {"keep": keep}, decide)
    assert isinstance(seen[0], Capacity)
    return seen[0]


def enumerated(solver: str, n: int) -> None:
    for K in range(n + 1):
        capacity = Capacity(matrix(n, seed=K), np.ones(n), K)
        found = solvers.solve(capacity, solver, restarts=3)
        assert found.violation == 0.0
        assert found.loss == pytest.approx(optimum(capacity), abs=1e-9)


@pytest.mark.parametrize(("solver", "n"), [("swap", 12), ("layer-dp", 12)])
def test_every_slice_is_solved_to_the_optimum(solver: str, n: int) -> None:
    enumerated(solver, n)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["swap", "layer-dp"])
def test_every_slice_of_sixteen_is_solved_to_the_optimum(solver: str) -> None:
    enumerated(solver, 16)


@pytest.mark.parametrize("solver", ["swap", "layer-dp"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
def test_costs_are_solved_to_the_optimum(solver: str, share: float) -> None:
    small = costly(11)
    capacity = Capacity(small.Q, small.costs, share * float(small.costs.sum()))
    found = solvers.solve(capacity, solver, restarts=5)
    assert found.violation == 0.0
    assert found.loss == pytest.approx(optimum(capacity), abs=1e-9)


@pytest.mark.parametrize("solver", AWARE)
def test_every_answer_on_a_network_is_feasible(solver: str) -> None:
    for keep in (0.1, 0.3, 0.5, 0.95):
        found = solvers.solve(pruning("digits-cnn", keep), solver, restarts=1)
        assert found.violation == 0.0, keep


@pytest.mark.parametrize("solver", AWARE)
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
def test_every_answer_on_a_large_coupled_instance_is_feasible(solver: str, keep: float) -> None:
    capacity = Capacity(matrix(500), np.ones(500), round(500 * keep))
    found = solvers.solve(capacity, solver, seconds=0.3)
    if solver == "layer-dp":
        assert found.status is Status.SKIPPED
    else:
        assert found.violation == 0.0


def test_exchanges_end_below_greedy_on_a_large_coupled_instance() -> None:
    capacity = Capacity(matrix(200), np.ones(200), 60)
    swap, greedy = (solvers.solve(capacity, name, restarts=1).loss for name in ("swap", "greedy"))
    assert swap is not None
    assert greedy is not None
    assert swap < greedy


# --- the penalty


def test_the_penalised_energy_is_the_loss_inside_the_slice_and_higher_outside() -> None:
    capacity = Capacity(matrix(6), np.ones(6), 2, 0.5)
    qubo = penalised(capacity, 3.0)
    for x in np.eye(6, dtype=np.int8):
        assert qubo.loss(x) == pytest.approx(capacity.loss(x) + 3.0)
        twice = np.maximum(x, np.roll(x, 1))
        assert qubo.loss(twice) == pytest.approx(capacity.loss(twice))


def test_the_default_penalty_leaves_no_infeasible_local_optimum() -> None:
    capacity = Capacity(matrix(8), np.ones(8), 3)
    qubo = penalised(capacity)
    for code in range(256):
        x = np.array([(code >> i) & 1 for i in range(8)], dtype=np.int8)
        if capacity.violation(x):
            neighbours = [np.bitwise_xor(x, row) for row in np.eye(8, dtype=np.int8)]
            assert min(qubo.loss(y) for y in neighbours) < qubo.loss(x)
