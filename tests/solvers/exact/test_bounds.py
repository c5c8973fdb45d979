"""Lower bounds: everything stays below the optimum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import matrix, optimum

from qubopress.problems import Qubo
from qubopress.solvers.exact.bounds import lattice, posiform, relaxations


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


def test_a_relaxation_answers_for_every_prefix_of_its_depth() -> None:
    n, A = 6, matrix(6, seed=2)
    linear = np.diag(A).copy()
    A = A - np.diag(linear)
    r = relaxations(A, linear, np.arange(1.0, n + 1), np.full(n, 0.4), lambda: False)
    assert r is not None
    x = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    for k in range(n):
        W, u = r.inverse[k, k:, k:], r.shift[k, k:]
        c = linear[k:] + 2 * A[k:, :k] @ x[:k]
        y = r.centre[k, k:] + x[:k] @ r.pull[k, :k, k:]
        np.testing.assert_allclose(2 * (A[k:, k:] - np.diag(u)) @ y, -(c + u), atol=1e-8)
        np.testing.assert_allclose(r.toward[k, k:], W @ r.costs[k:])
        assert r.size[k] == pytest.approx(r.costs[k:] @ W @ r.costs[k:])
        assert 0 < r.reserve[k] < 1e-6
    assert relaxations(A, linear, np.zeros(n), np.full(n, 0.5), lambda: True) is None
