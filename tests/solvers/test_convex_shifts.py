"""Convex shifts are best where they should be, and their bounds stay below the optimum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import matrix, optimum

from qubopress.problems import Qubo
from qubopress.solvers.convex_shifts import best_shift


def shifted(n: int, seed: int, spread: float) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    A = matrix(n, seed=seed)
    np.fill_diagonal(A, 0.0)
    c, S = rng.normal(size=n), spread * np.eye(n)
    u, W = best_shift(A, c, S, -1.1 * np.abs(A).sum(axis=1) - 1e-6)
    return A, c, S, u, W


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
