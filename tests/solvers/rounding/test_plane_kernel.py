"""Nearest planes and draws, column after column."""

from __future__ import annotations

import numpy as np

from qubopress.problems import Rounding
from qubopress.solvers.rounding.plane_kernel import planes


def test_levels_are_drawn_with_probability_exp_minus_cost_over_temperature() -> None:
    one, draws = Rounding([[2.0]], [[1.3]], levels=5), 40_000
    rows, heat = np.zeros(draws, dtype=np.int64), np.full(draws, 3.0)
    luck = np.random.default_rng(1).random((draws, 1))
    x = planes(one, rows, np.array([0]), np.sqrt([[2.0]]), warmth=heat, draws=luck)
    odds = np.exp(-2.0 * (np.arange(5) - 1.3) ** 2 / 3.0)
    shares = np.bincount(x[:, 0], minlength=5) / draws
    np.testing.assert_allclose(shares, odds / odds.sum(), atol=4 * 0.5 / np.sqrt(draws))


def test_a_cold_draw_far_outside_the_levels_is_the_nearest_level() -> None:
    one, lower = Rounding([[1.0]], [[1e6]], levels=3), np.array([[1.0]])
    only = np.array([0])
    x = planes(one, only, only, lower, warmth=np.array([1e-9]), draws=np.array([[0.999]]))
    assert x.tolist() == [[2]]
