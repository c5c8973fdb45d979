"""random-nearest-plane: nearest plane where there is no heat, better where there are draws."""

from __future__ import annotations

import numpy as np
from layers import CASES, each_case, layer

from qubopress import solvers
from qubopress.solvers.rounding.factors import column_order, factor
from qubopress.solvers.rounding.plane_kernel import planes


@each_case
def test_without_heat_draws_are_nearest_plane(case: str) -> None:
    one, rows = CASES[case], np.array([3, 1, 1])
    columns = column_order(one.gram, "act")
    lower = factor(one.gram[np.ix_(columns, columns)], 0.01)
    draws = np.random.default_rng(0).random((3, one.f))
    cold = planes(one, rows, columns, lower, warmth=np.full(3, 1e-12), draws=draws)
    plain = solvers.solve(one, "nearest-plane", restarts=1, damping=0.01)
    assert plain.x is not None
    np.testing.assert_array_equal(cold, plain.x[rows])


def test_draws_beat_the_plane_that_they_start_from() -> None:
    one = layer(8, 40, seed=4)
    plane = solvers.solve(one, "nearest-plane", restarts=1, damping=3e-3)
    drawn = solvers.solve(one, "random-nearest-plane", restarts=1, samples=50)
    assert plane.loss is not None
    assert drawn.loss is not None
    assert drawn.loss < 0.95 * plane.loss
    assert drawn.counts["samples"] == 50 * 8
