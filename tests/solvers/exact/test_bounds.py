"""Lower bounds: convex shifts are best where they should be, and everything stays below the optimum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import matrix, optimum

from qubopress.problems import Qubo
from qubopress.solvers.exact.bounds import best_shift, lattice, posiform, relaxations


def shifted(n: int, seed: int, spread: float) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    A = matrix(n, seed=seed)
    np.fill_diagonal(A, 0.0)
    c, S = rng.normal(size=n), spread * np.eye(n)
    u, W = best_shift(A, c, S, -1.1 * np.abs(A).sum(axis=1) - 1e-6)
    return A, c, S, u, W


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 10), seed=st.integers(0, 10_000))
def test_the_sum_of_savings_never_exceeds_the_optimum(n: int, seed: int) -> None:
    qubo = Qubo(np.random.default_rng(seed).normal(size=(n, n)), 2.0)
    assert posiform(qubo) <= optimum(qubo)


def test_the_sum_of_savings_is_the_optimum_where_nothing_couples() -> None:
    assert posiform(Qubo(np.diag([-2.0, 3.0, -0.5]), 1.0)) == pytest.approx(-1.5)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 9), seed=st.integers(0, 10_000), spread=st.sampled_from([1e-3, 1.0]))
def test_a_shift_gives_the_inverse_of_a_convex_matrix_and_a_valid_bound(
    n: int, seed: int, spread: float
) -> None:
    A, c, _, u, W = shifted(n, seed, spread)
    M = A - np.diag(u)
    assert np.linalg.eigvalsh(M)[0] > 0
    np.testing.assert_allclose(M @ W, np.eye(n), atol=1e-6)
    assert -0.25 * (c + u) @ W @ (c + u) <= optimum(Qubo(A + np.diag(c))) + 1e-9


def test_no_small_change_betters_the_best_shift() -> None:
    A, c, S, u, W = shifted(6, 3, 0.1)

    def expected(v: Any) -> float:
        inverse = np.linalg.inv(A - np.diag(v))
        return float(-0.25 * ((c + v) @ inverse @ (c + v) + (inverse * S).sum()))

    assert expected(u) == pytest.approx(-0.25 * ((c + u) @ W @ (c + u) + (W * S).sum()))
    for step in 0.3 * np.random.default_rng(0).normal(size=(40, 6)):
        if np.linalg.eigvalsh(A - np.diag(u + step))[0] > 0:
            assert expected(u + step) <= expected(u) + 2e-3 * abs(expected(u))


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
