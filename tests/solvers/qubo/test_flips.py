"""Compiled pieces: slopes that stay true, and descent that ends where no flip helps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import matrix, sparse_matrix

from qubopress.problems import Qubo
from qubopress.solvers.qubo.flips import descend, flip, loss_of, matrix_of, noise, slopes

MATRICES = st.sampled_from([matrix, sparse_matrix])
SIZES = st.sampled_from([1e-15, 1.0, 1e15])


@settings(deadline=None)
@given(form=MATRICES, n=st.integers(1, 12), seed=st.integers(0, 100), flips=st.integers(1, 30))
def test_flips_keep_slopes_and_loss_true(form: Any, n: int, seed: int, flips: int) -> None:
    one, rng = Qubo(form(n, seed=seed), 0.5), np.random.default_rng(seed)
    x = rng.integers(0, 2, n, dtype=np.int8)
    slope, loss = slopes(one, x), one.loss(x)
    for i in rng.integers(0, n, flips):
        loss += flip(matrix_of(one), slope, x, int(i))
    np.testing.assert_allclose(slope, slopes(one, x), atol=1e-9)
    assert loss == pytest.approx(one.loss(x), abs=1e-9)
    assert loss_of(one, slope, x) == pytest.approx(one.loss(x), abs=1e-9)


@settings(deadline=None)
@given(
    form=MATRICES, n=st.integers(1, 12), seed=st.integers(0, 100), size=st.sampled_from([1e-15, 1.0, 1e15])
)
def test_descent_ends_where_no_flip_helps(form: Any, n: int, seed: int, size: float) -> None:
    one = Qubo(size * form(n, seed=seed))
    x = np.random.default_rng(seed).integers(0, 2, n, dtype=np.int8)
    slope = slopes(one, x)
    assert descend(matrix_of(one), slope, x, noise(one), 10_000)
    neighbours = np.bitwise_xor(x, np.eye(n, dtype=np.int8))
    assert (one.losses(neighbours) >= one.loss(x) - 1e-9 * size).all()


def test_descent_stops_after_as_many_flips_as_it_may() -> None:
    one, x = Qubo(-np.eye(5)), np.zeros(5, dtype=np.int8)
    assert not descend(matrix_of(one), slopes(one, x), x, noise(one), 2)
    assert x.sum() == 2
