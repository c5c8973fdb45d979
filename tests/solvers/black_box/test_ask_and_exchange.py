"""Exchanges of a kept and a removed variable."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from black_boxes import box_of

from qubopress.solvers.black_box.ask_and_exchange import exchanged, moves


@pytest.mark.parametrize("K", [2, None])
def test_moves_are_all_neighbours_once(K: int | None) -> None:
    box, _ = box_of(5, K)
    reached = set()
    for i, j in moves(box, box.start):
        y = np.array(box.start)
        y[i], y[j] = 1 - box.start[i], 1 - box.start[j]
        reached.add(y.tobytes())
    apart = {2: 2, None: 1}[K]
    every = [np.array(x, dtype=np.int8) for x in itertools.product((0, 1), repeat=5)]
    near = [x for x in every if box.violation(x) == 0 and np.abs(x - box.start).sum() == apart]
    assert reached == {x.tobytes() for x in near}
    assert len(moves(box, box.start)) == len(near)
    rng = np.random.default_rng(0)
    assert {exchanged(box, box.start, rng).tobytes() for _ in range(300)} == reached
