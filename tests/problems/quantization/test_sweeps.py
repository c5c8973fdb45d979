"""Sweeps move one level at a time to where it is best, and end where none helps."""

from __future__ import annotations

import numpy as np
import pytest
from instances import gram

from qubopress.problems import Rounding
from qubopress.problems.quantization.sweeps import sweep_levels


@pytest.mark.parametrize("groups", [1, 3])
def test_where_sweeps_end_no_single_level_is_better_elsewhere(groups: int) -> None:
    rng = np.random.default_rng(groups)
    n, f = 4, 24
    group = np.arange(f) * groups // f
    one = Rounding(gram(f), rng.uniform(-1, 8, (n, f)), rng.random((n, groups)) + 0.5, 8, group=group)
    start = one.nearest()
    steps = one.scale.astype(np.float32)
    levels, small = start.astype(np.float32), one.gram.astype(np.float32)
    field = ((levels - one.shift) * one.steps @ one.gram).astype(np.float32)
    moves = sweep_levels(small, levels, field, steps, group, np.full(f, 7, np.float32), passes=100)
    found = levels.astype(np.int8)
    assert moves > 0
    assert one.loss(found) < one.loss(start)
    np.testing.assert_allclose(field, (found - one.shift) * one.steps @ one.gram, rtol=0, atol=1e-4)
    for i in range(f):
        for level in range(8):
            other = found.copy()
            other[:, i] = level
            assert (one.row_losses(other) >= one.row_losses(found) * (1 - 1e-4)).all()


def test_fixed_levels_stay() -> None:
    fixed = np.array([[3, -1]], np.int8)
    levels, field = np.array([[3.0, 0.0]], np.float32), np.array([[-9.0, -9.0]], np.float32)
    ones = np.ones((1, 1), np.float32)
    top = np.full(2, 7, np.float32)
    sweep_levels(np.eye(2, dtype=np.float32), levels, field, ones, np.zeros(2, np.int64), top, fixed=fixed)
    assert levels.tolist() == [[3.0, 7.0]]
