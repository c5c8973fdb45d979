"""Orders of columns, and the triangular factors of a Gram matrix in them."""

from __future__ import annotations

import numpy as np
import pytest
from instances import gram
from layers import deficient

from qubopress import solvers
from qubopress.problems import Rounding
from qubopress.solvers.rounding.factors import column_order, factor, sorted_columns, sorted_factor, triangle


@pytest.mark.parametrize("block", [7, 70, 256])
def test_sorted_columns_leave_the_least_to_the_last(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qubopress.solvers.rounding.factors.SORTED", block)
    G = gram(70, seed=5)
    columns = sorted_columns(G)
    assert sorted(columns) == list(range(70))
    left = G.copy()
    for k in range(69, -1, -1):
        free = columns[: k + 1]
        assert left[columns[k], columns[k]] == pytest.approx(np.diag(left)[free].min())
        left = left - np.outer(left[:, columns[k]], left[columns[k]]) / left[columns[k], columns[k]]


@pytest.mark.parametrize("order", ["sorted", "act", "given"])
def test_the_triangle_is_the_factor_of_the_ordered_gram(order: str) -> None:
    G = gram(300, seed=4)
    columns, lower = triangle(G, order, 1e-3)
    np.testing.assert_array_equal(columns, column_order(G, order, 1e-3))
    np.testing.assert_allclose(lower, factor(G[np.ix_(columns, columns)], 1e-3), atol=1e-10)
    assert (np.triu(lower, 1) == 0).all()


def test_a_triangle_of_columns_that_others_span_is_damped_until_it_is_one() -> None:
    columns, lower = triangle(np.ones((6, 6)), "sorted", 1e-18)
    assert (np.diag(lower) > 0).all()
    assert sorted(columns) == list(range(6))


def test_the_factor_is_lower_triangular_and_gives_the_damped_gram() -> None:
    G = gram(6)
    T = factor(G, 0.01)
    np.testing.assert_array_equal(T, np.tril(T))
    np.testing.assert_allclose(T.T @ T, G + 0.01 * np.mean(np.diag(G)) * np.eye(6), atol=1e-12)


@pytest.mark.parametrize("rank", [1, 3])
def test_a_rank_deficient_gram_is_factored_however_small_the_damping(rank: int) -> None:
    X = np.random.default_rng(rank).normal(size=(rank, 60)) * 1e3
    layer = Rounding(X.T @ X, np.random.default_rng(0).random((2, 60)))
    found = solvers.solve(layer, "nearest-plane", restarts=1, damping=1e-8)
    assert found.loss is not None
    assert found.loss <= layer.loss(layer.nearest())


def test_an_indefinite_gram_within_the_tolerance_is_damped_until_it_factors() -> None:
    T = factor(np.diag([1.0, -1e-6]), 1e-8)
    assert np.isfinite(T).all()


@pytest.mark.parametrize("rank", [3, 9, 20])
def test_the_sorted_factor_gives_the_gram_back_with_marked_columns_first(rank: int) -> None:
    G = deficient(9, rank, seed=rank)
    first = np.arange(9) % 4 == 2
    columns, T = sorted_factor(G, first)
    np.testing.assert_array_equal(T, np.tril(T))
    np.testing.assert_allclose(T.T @ T, G[np.ix_(columns, columns)], atol=1e-13)
    assert set(columns[:2]) == {2, 6}
