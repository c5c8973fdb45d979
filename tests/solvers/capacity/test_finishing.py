"""Any bits brought to the capacity."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from qubopress.problems import Capacity
from qubopress.solvers.adapters import finish


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 8),
    seed=st.integers(0, 1000),
    share=st.floats(0.0, 1.2),
    unit=st.booleans(),
    sparse=st.booleans(),
)
def test_finished_bits_keep_to_the_capacity(
    n: int, seed: int, share: float, unit: bool, sparse: bool
) -> None:
    rng = np.random.default_rng(seed)
    costs = np.ones(n) if unit else rng.integers(11, 30, n) / 10
    K = round(min(share, 1.0) * n) if unit else share * float(costs.sum())
    Q = rng.integers(-5, 6, (n, n)).astype(float)
    capacity = Capacity(sp.csr_array(Q) if sparse else Q, costs, K)
    x = rng.integers(0, 2, n).astype(np.int8)
    before = x.copy()
    done = finish(capacity, x)
    assert capacity.violation(done) == 0.0
    np.testing.assert_array_equal(x, before)
    if capacity.violation(x) == 0.0:
        assert capacity.loss(done) <= capacity.loss(x)
