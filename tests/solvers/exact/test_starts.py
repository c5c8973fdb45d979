"""Annealings end in local minima, most of them the ground states of small instances."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from instances import matrix, optimum

from qubopress.problems import Qubo
from qubopress.solvers import Run
from qubopress.solvers.exact.starts import annealed


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("sparse", [False, True])
def test_annealings_find_the_optimum_of_small_instances(scale: float, sparse: bool) -> None:
    Q = scale * matrix(12, seed=4)
    qubo = Qubo(sp.csr_array(Q) if sparse else Q)
    found = list(annealed(qubo, Run(qubo, restarts=1), 4))
    assert len(found) == 4
    assert min(map(qubo.loss, found)) == pytest.approx(optimum(qubo), rel=1e-12)


def test_no_flip_betters_what_an_annealing_ends_in() -> None:
    qubo = Qubo(matrix(40, seed=1))
    for x in annealed(qubo, Run(qubo, restarts=1), 3):
        flipped = np.abs(x - np.eye(40, dtype=np.int8))
        assert (qubo.losses(flipped) >= qubo.loss(x) - 1e-12).all()


def test_a_run_that_is_over_anneals_nothing() -> None:
    qubo = Qubo(matrix(5))
    run = Run(qubo, seconds=0.0)
    assert list(annealed(qubo, run, 3)) == []
