"""tensor-train approaches its best draws and beats random ones; what draws them: test_tensor_trains."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from instances import costly, matrix

from qubopress import solvers
from qubopress.problems import BlackBox, Capacity, Instance, Qubo
from qubopress.solvers.qubo.tensor_train import Train

N = 5
EVERY = np.array(list(itertools.product((0, 1), repeat=N)), dtype=np.int8)


def test_approaching_points_makes_them_likely() -> None:
    one = Train(np.linspace(0.3, 0.6, N), 3, K=2, rng=np.random.default_rng(0))
    wanted = EVERY[[3, 24]]
    for _ in range(60):
        one.approach(wanted)
    draws = one.draw(500)
    assert np.mean((draws[:, None, :] == wanted).all(axis=2).any(axis=1)) > 0.8


def test_a_long_train_neither_overflows_nor_underflows() -> None:
    one = Train(np.full(1000, 0.5), 4, K=400, rng=np.random.default_rng(0))
    draws = one.draw(8)
    one.approach(draws)
    assert (draws.sum(axis=1) == 400).all()
    assert np.isfinite(one.theta).all()


def _instances() -> list[Instance]:
    A = matrix(60, seed=3)
    return [Qubo(matrix(20)), Qubo(A), Capacity(A, np.ones(60), 20), costly(60), Qubo(matrix(100))]


@pytest.mark.parametrize("instance", _instances())
def test_it_beats_random_draws_at_equal_evaluations(instance: Instance) -> None:
    learned = solvers.solve(instance, "tensor-train", restarts=1, samples=64, iterations=50, seed=1)
    drawn = solvers.solve(instance, "random", restarts=50, seed=1)
    assert learned.violation == drawn.violation == 0.0
    assert learned.loss is not None
    assert drawn.loss is not None
    assert learned.loss < drawn.loss


def test_a_black_box_is_asked_for_no_more_than_allowed_and_begins_at_its_start() -> None:
    asked = []

    def evaluate(x: Any) -> Any:
        asked.append(len(x))
        return -x[:, :3].sum(axis=1).astype(float)

    box = BlackBox(evaluate, 12, start=[0, 0, 0] + [1] * 4 + [0] * 5, K=4)
    found = solvers.solve(box, "tensor-train", evaluations=200, samples=30)
    assert sum(asked) == box.evaluations <= 200
    assert found.trace[0][1] == 0.0
    assert found.loss == -3.0
