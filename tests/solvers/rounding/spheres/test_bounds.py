"""The least cost of coordinates still free."""

from __future__ import annotations

import numpy as np
import pytest
from layers import deficient

from qubopress.problems import Rounding
from qubopress.solvers import Run
from qubopress.solvers.rounding.factors import sorted_factor
from qubopress.solvers.rounding.spheres.bounds import curbs


@pytest.mark.parametrize("rank", [12, 40])
def test_curbs_leave_the_free_gram_semidefinite_at_every_depth(rank: int) -> None:
    G = deficient(30, rank, seed=rank)
    columns, T = sorted_factor(G, np.zeros(30, dtype=bool))
    found = curbs(T, Run(Rounding(G, np.zeros((1, 30)))))
    ordered = G[np.ix_(columns, columns)]
    assert found.sum() > 0.01 * np.trace(G) / 30
    for depth, u in enumerate(found):
        assert (u >= 0).all()
        rest = (ordered - np.diag(u))[depth:, depth:]
        assert np.linalg.eigvalsh(rest).min(initial=0.0) > -1e-12
