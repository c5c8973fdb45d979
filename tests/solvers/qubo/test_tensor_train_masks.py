"""Masks draw from the train times tntorch's indicator of K ones and climb the true gradient."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import tntorch
import torch

from qubopress.solvers.qubo.tensor_train import Train
from qubopress.solvers.qubo.tensor_train_masks import Masks

N = 5
EVERY = np.array(list(itertools.product((0, 1), repeat=N)), dtype=np.int8)


each_kind = pytest.mark.parametrize("kind", [Masks, Train])


def masks(K: int | None, kind: type[Masks] = Masks) -> Masks:
    return kind(np.linspace(0.3, 0.6, N), 3, K=K, rng=np.random.default_rng(0))


def distribution(theta: Any, K: int | None) -> Any:
    """Probability of every point by tntorch: the train times the indicator of its weight."""
    cores = [torch.tensor(np.exp(core).transpose(1, 0, 2)) for core in theta]
    cores[0], cores[-1] = cores[0].sum(dim=0, keepdim=True), cores[-1].sum(dim=2, keepdim=True)
    indicator = 1.0 if K is None else tntorch.weight_mask(N, [K]).torch().double()
    full = (tntorch.Tensor(cores).torch() * indicator).numpy().reshape(-1)
    return full / full.sum()


@each_kind
@pytest.mark.parametrize("K", [None, 0, 1, 3, 5])
def test_draws_follow_the_train_times_tntorchs_indicator(K: int | None, kind: type[Masks]) -> None:
    one = masks(K, kind)
    draws = one.draw(20_000)
    shares = np.bincount(draws @ (1 << np.arange(N)[::-1]), minlength=2**N) / 20_000
    np.testing.assert_allclose(shares, distribution(one.theta, K), atol=0.015)


@each_kind
@pytest.mark.parametrize("K", [None, 2])
def test_the_gradient_is_that_of_the_weighted_log_likelihood(K: int | None, kind: type[Masks]) -> None:
    one, points, weights = masks(K, kind), EVERY[[3, 5, 24]], np.array([0.5, 0.8, -0.4])
    gradient, rows = one.gradient(points, weights), points @ (1 << np.arange(N)[::-1])
    for place in [(0, 0, 1, 1), (2, 1, 0, 1), (4, 1, 2, 0)]:
        step = np.zeros_like(one.theta)
        step[place] = 1e-5
        up, down = (weights @ np.log(distribution(one.theta + s * step, K)[rows]) for s in (1, -1))
        assert gradient[place] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-9)


def test_climbing_makes_points_likely() -> None:
    one, wanted = masks(2), EVERY[[3, 24]]
    for _ in range(60):
        one.climb(0.5 * one.gradient(wanted, np.full(2, 0.5)))
    draws = one.draw(500)
    assert np.mean((draws[:, None, :] == wanted).all(axis=2).any(axis=1)) > 0.8


def test_a_long_train_neither_overflows_nor_underflows() -> None:
    one = Masks(np.full(1000, 0.5), 4, K=400, rng=np.random.default_rng(0))
    draws = one.draw(8)
    one.climb(one.gradient(draws, np.full(8, 1 / 8)))
    assert (one.draw(8).sum(axis=1) == 400).all()
    assert np.isfinite(one.theta).all()
