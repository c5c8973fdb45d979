"""Products of a Qubo as linear terms, and where a search is hinted to begin."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from instances import matrix

from qubopress.problems import Capacity, Qubo
from qubopress.solvers.exact.linearised import local_start, products


@pytest.mark.parametrize("form", [np.array, sp.csr_array])
def test_diagonal_and_products_give_the_loss_back(form: type) -> None:
    Q = matrix(9)
    qubo = Qubo(form(Q), 3.0)
    rows, columns, values = products(qubo)
    assert (rows < columns).all()
    for x in np.random.default_rng(0).integers(0, 2, (20, 9)):
        linear = x @ np.diag(Q) + values @ (x[rows] * x[columns])
        assert linear + 3.0 == pytest.approx(qubo.loss(x))


def test_it_begins_where_no_flip_helps_and_under_a_capacity_at_the_baseline() -> None:
    qubo, capacity = Qubo(matrix(12)), Capacity(matrix(12), np.ones(12), 5)
    x = local_start(qubo)
    flipped = np.abs(x - np.eye(12, dtype=np.int8))
    assert (qubo.losses(flipped) >= qubo.loss(x) - qubo.resolution).all()
    np.testing.assert_array_equal(local_start(capacity), capacity.baseline())
