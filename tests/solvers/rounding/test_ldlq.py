"""ldlq: nearest plane in the given order, and passes over the columns."""

from __future__ import annotations

import numpy as np
from layers import CASES, each_case, layer

from qubopress import solvers


@each_case
def test_ldlq_without_passes_is_nearest_plane_in_the_given_order(case: str) -> None:
    one = CASES[case]
    fed = solvers.solve(one, "ldlq", restarts=1, passes=0)
    plane = solvers.solve(one, "nearest-plane", restarts=1, order="given")
    np.testing.assert_array_equal(fed.x, plane.x)


def test_one_cyclic_pass_is_one_best_move_a_column_from_left_to_right() -> None:
    one = layer(3, 6, seed=6, levels=4, held=True)
    x = one.nearest()
    for row in range(one.n):
        for i in np.flatnonzero(one.fixed[row] < 0):
            tries = np.repeat(x[[row]], 4, axis=0)
            tries[:, i] = np.arange(4)
            x[row] = tries[np.argmin(one.row_losses(tries, np.full(4, row)))]
    found = solvers.solve(one, "coordinate-descent", restarts=1, rule="cyclic", passes=1)
    np.testing.assert_array_equal(found.x, x)
