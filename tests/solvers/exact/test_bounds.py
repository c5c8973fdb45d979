"""Lower bounds: everything stays below the optimum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import matrix, optimum

from qubopress.problems import Qubo
from qubopress.solvers.exact.bounds import blank, lattice, posiform, relaxations


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 10), seed=st.integers(0, 10_000))
def test_the_sum_of_savings_never_exceeds_the_optimum(n: int, seed: int) -> None:
    qubo = Qubo(np.random.default_rng(seed).normal(size=(n, n)), 2.0)
    assert posiform(qubo) <= optimum(qubo)


def test_the_sum_of_savings_is_the_optimum_where_nothing_couples() -> None:
    assert posiform(Qubo(np.diag([-2.0, 3.0, -0.5]), 1.0)) == pytest.approx(-1.5)


@pytest.mark.parametrize(
    ("Q", "step"),
    [
        (np.diag([3.0, 6.0, -9.0]), 3.0),
        ([[1.0, 1.0], [1.0, 0.0]], 1.0),
        ([[2.0, 1.0], [1.0, -4.0]], 2.0),
        (np.diag([0.75, 0.5]), 0.25),
        (np.diag([0.1, 0.2]), 0.0),
        (np.diag([1.0, 1e14]), 0.0),
        (np.zeros((2, 2)), 0.0),
    ],
)
def test_the_lattice_is_the_greatest_common_step_of_the_losses(Q: Any, step: float) -> None:
    assert lattice(Qubo(Q, 0.3)) == step


@pytest.mark.parametrize("hasty", [False, True])
def test_a_relaxation_answers_for_every_prefix_of_its_depth(hasty: bool) -> None:
    n, A = 6, matrix(6, seed=2)
    linear = np.diag(A).copy()
    A = A - np.diag(linear)
    r = blank(n, np.arange(1.0, n + 1))
    depths = relaxations(r, A, linear, np.full(n, 0.4), hasty=hasty)
    x = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    for k in range(n):
        assert r.ready[0] == k
        assert next(depths) == k
        W, u = r.inverse[k, k:, k:], r.shift[k, k:]
        c = linear[k:] + 2 * A[k:, :k] @ x[:k]
        y = r.centre[k, k:] + x[:k] @ r.pull[k, :k, k:]
        np.testing.assert_allclose(2 * (A[k:, k:] - np.diag(u)) @ y, -(c + u), atol=1e-8)
        np.testing.assert_allclose(r.toward[k, k:], W @ r.costs[k:])
        assert r.size[k] == pytest.approx(r.costs[k:] @ W @ r.costs[k:])
        assert 0 < r.reserve[k] < 1e-6
        if hasty:
            np.testing.assert_array_equal(u, r.shift[0, k:])
    assert r.ready[0] == n + 1
    assert list(depths) == []


def test_a_depth_prepared_with_care_bounds_its_nodes_better_than_in_haste() -> None:
    n, A = 12, matrix(12, seed=5)
    linear = np.diag(A).copy()
    A = A - np.diag(linear)
    bounds, points = [], np.random.default_rng(0).integers(0, 2, (50, n))
    for hasty in (True, False):
        r = blank(n, np.zeros(n))
        for _ in relaxations(r, A, linear, np.full(n, 0.5), hasty=hasty):
            pass
        c = linear[4:] + 2 * points[:, :4] @ A[:4, 4:] + r.shift[4, 4:]
        bounds.append(-0.25 * np.einsum("ki,ij,kj->k", c, r.inverse[4, 4:, 4:], c).mean())
    assert bounds[0] < bounds[1]
