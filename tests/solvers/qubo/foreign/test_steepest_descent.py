"""D-Wave's steepest descent."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from qubopress import solvers
from qubopress.problems import Qubo
from qubopress.solvers import Status


@pytest.mark.parametrize("sparse", [False, True])
def test_no_flip_improves_where_it_ends(sparse: bool) -> None:
    Q = np.triu(np.random.default_rng(0).standard_normal((30, 30)))
    qubo = Qubo(sp.csr_array(Q) if sparse else Q)
    found = solvers.solve(qubo, "steepest-descent", restarts=1, num_reads=1)
    assert found.status is Status.FINISHED
    assert found.x is not None
    flipped = np.abs(np.eye(30, dtype=int) - found.x)
    assert (qubo.losses(flipped) >= found.loss - 1e-12).all()
    assert found.counts["flips"] > 0


def test_more_reads_find_no_worse() -> None:
    qubo = Qubo(np.triu(np.random.default_rng(1).standard_normal((80, 80))))
    few, many = (solvers.solve(qubo, "steepest-descent", restarts=1, num_reads=k).loss for k in (1, 200))
    assert few is not None
    assert many is not None
    assert many < few


def test_a_large_sparse_model_ends_at_its_budget() -> None:
    rng = np.random.default_rng(0)
    n = 5000
    i, j = rng.integers(0, n, (2, 3 * n))
    qubo = Qubo(sp.coo_array((rng.standard_normal(3 * n), (i, j)), shape=(n, n)).tocsr())
    found = solvers.solve(qubo, "steepest-descent", seconds=0.3)
    assert found.status is Status.BUDGET
    assert found.loss is not None
    assert found.loss < 0
