"""tensor-train draws from the train it holds, climbs the true gradient, and beats random draws."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import tntorch
import torch
from instances import costly, matrix

from qubopress import solvers
from qubopress.problems import BlackBox, Capacity, Instance, Qubo
from qubopress.solvers.tensor_train import Train

N = 5
EVERY = np.array(list(itertools.product((0, 1), repeat=N)), dtype=np.int8)


def train(ones: int | None, seed: int = 0) -> Train:
    return Train(N, 3, np.random.default_rng(seed), ones=ones, chances=np.linspace(0.3, 0.6, N))


def distribution(theta: Any, ones: int | None) -> Any:
    """Probability of every point by tntorch: the train times the indicator of its weight."""
    cores = [torch.tensor(np.exp(core).transpose(1, 0, 2)) for core in theta]
    cores[0], cores[-1] = cores[0].sum(dim=0, keepdim=True), cores[-1].sum(dim=2, keepdim=True)
    tensor = tntorch.Tensor(cores)
    mask = 1.0 if ones is None else tntorch.weight_mask(N, [ones]).torch().double()
    full = (tensor.torch() * mask).numpy().reshape(-1)
    return full / full.sum()


@pytest.mark.parametrize("ones", [None, 0, 1, 3, 5])
def test_draws_follow_the_train_times_tntorchs_indicator(ones: int | None) -> None:
    one = train(ones)
    draws = one.draw(20_000)
    shares = np.bincount(draws @ (1 << np.arange(N)[::-1]), minlength=2**N) / 20_000
    np.testing.assert_allclose(shares, distribution(one.theta, ones), atol=0.015)


@pytest.mark.parametrize("ones", [None, 2])
def test_a_step_climbs_the_gradient_of_the_likelihood(ones: int | None) -> None:
    one = train(ones)
    points = EVERY[[3, 5, 24]]
    gradient = one.gradient(points)
    place, step = (2, 1, 0, 1), np.zeros_like(one.theta)
    step[place] = 1e-5
    rows = points @ (1 << np.arange(N)[::-1])
    up, down = (np.log(distribution(one.theta + s * step, ones)[rows]).mean() for s in (1, -1))
    assert gradient[place] == pytest.approx((up - down) / 2e-5, rel=1e-5)


def test_approaching_points_makes_them_likely() -> None:
    one = train(2)
    wanted = EVERY[[3, 24]]
    for _ in range(60):
        one.approach(wanted)
    draws = one.draw(500)
    assert np.mean((draws[:, None, :] == wanted).all(axis=2).any(axis=1)) > 0.8


def test_a_long_train_neither_overflows_nor_underflows() -> None:
    one = Train(1000, 4, np.random.default_rng(0), ones=400, chances=np.full(1000, 0.5))
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
