"""random-swap: where a restart ends."""

from __future__ import annotations

import numpy as np
from instances import black_box

from qubopress import solvers
from qubopress.solvers import Status
from qubopress.solvers.black_box.ask_and_exchange import moves


def test_random_swaps_end_in_a_local_optimum_once_a_restart_finds_nothing_new() -> None:
    box = black_box(8)
    found = solvers.solve(box, "random-swap", evaluations=10_000)
    assert found.status is Status.FINISHED
    assert found.x is not None
    for i, j in moves(box, found.x):
        y = np.array(found.x)
        y[i], y[j] = 1 - y[i], 1 - y[j]
        assert box.loss(y) >= box.loss(found.x)
