"""Convex shifts are best where they should be, and their bounds stay below the optimum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import matrix, optimum

from qubopress.problems import Qubo
from qubopress.solvers.convex_shifts import best_shift, reach_of, root_shift


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


def test_the_roots_shift_bounds_nearly_as_well_as_any() -> None:
    A = matrix(12, seed=4)
    c = np.diag(A).copy()
    np.fill_diagonal(A, 0.0)
    found = root_shift(A, c)
    assert found is not None
    u, W = found
    bound = -0.25 * (c + u) @ W @ (c + u)
    finer, V = best_shift(A, c, 1e-12 * np.diag(reach_of(A, c) ** 2), u)
    best = -0.25 * (c + finer) @ V @ (c + finer)
    assert bound <= best + 1e-9 <= optimum(Qubo(A + np.diag(c))) + 2e-9
    assert abs(bound - best) < 1e-2 * abs(best)


def test_the_roots_shift_ends_where_it_is_stopped() -> None:
    assert root_shift(np.zeros((2, 2)), np.ones(2), lambda: True) is None


def test_variables_without_a_slope_have_a_reach_all_the_same() -> None:
    assert (reach_of(np.zeros((3, 3)), np.array([1.0, 0.0, 0.0])) > 0).all()
    assert (reach_of(np.zeros((2, 2)), np.zeros(2)) > 0).all()
    assert reach_of(np.zeros((0, 0)), np.zeros(0)).size == 0
