"""Rows of largest volume, and prefixes with a bit."""

from __future__ import annotations

import numpy as np

from qubopress.solvers.qubo.crosses import largest, with_bit


def test_a_bit_goes_after_a_prefix_and_before_a_suffix() -> None:
    kept = np.array([[0, 1], [1, 1]], dtype=np.int8)
    assert with_bit(kept, first=False).tolist() == [[0, 1, 0], [0, 1, 1], [1, 1, 0], [1, 1, 1]]
    assert with_bit(kept, first=True).tolist() == [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]]


def test_the_row_of_the_lowest_loss_is_always_kept() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        losses = rng.normal(size=(8, 4))
        rows = largest(losses, 3)
        assert len(rows) == len(set(rows.tolist())) == 3
        assert int(np.argmin(losses.min(axis=1))) in rows


def test_rows_are_kept_of_a_table_that_nobody_could_ask_for() -> None:
    assert largest(np.full((8, 4), np.inf), 3).tolist() == [0, 1, 2]
    assert largest(np.full((2, 4), np.inf), 3).tolist() == [0, 1]


def test_rows_are_kept_of_a_table_asked_for_in_part() -> None:
    losses = np.full((8, 4), np.inf)
    losses[5, 2] = -1.0
    assert 5 in largest(losses, 3).tolist()
