"""coordinate-descent, and ldlq with its passes: no single move helps where they end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layers import CASES, each_case

from qubopress import solvers
from qubopress.problems import Rounding
from qubopress.solvers import Status


def single_moves(one: Rounding, x: Any, row: int) -> list[float]:
    """Losses of a neuron after every change of one free coordinate."""
    losses = []
    for i in np.flatnonzero(one.fixed[row] < 0):
        for level in range(one.levels[i]):
            moved = np.array(x[row])
            moved[i] = level
            losses.append(one.row_losses(moved[None], np.array([row]))[0])
    return losses


def assert_no_single_move_helps(one: Rounding, x: Any) -> None:
    for row, loss in enumerate(one.row_losses(x)):
        assert min(single_moves(one, x, row), default=loss) >= loss - one.resolution


@each_case
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("ldlq", {"passes": 1000}),
        ("coordinate-descent", {"rule": "cyclic"}),
        ("coordinate-descent", {"rule": "greedy"}),
    ],
    ids=["ldlq", "cyclic", "greedy"],
)
def test_descent_ends_where_no_single_move_helps(case: str, name: str, given: dict[str, Any]) -> None:
    one = CASES[case]
    found = solvers.solve(one, name, restarts=1, **given)
    assert found.status is Status.FINISHED
    assert_no_single_move_helps(one, found.x)
