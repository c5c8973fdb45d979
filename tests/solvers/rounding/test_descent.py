"""Descents over levels: where they end, and what they keep."""

from __future__ import annotations

import numpy as np
import pytest
from layers import layer

from qubopress import solvers
from qubopress.problems import Rounding
from qubopress.solvers import Run
from qubopress.solvers.rounding.descent import keep, spans


def test_keep_takes_over_exactly_the_neurons_that_are_better() -> None:
    one = layer(3, 5)
    best, other = one.nearest(), one.settle(one.nearest() ^ 1)
    losses, rows = one.row_losses(best), np.array([2, 0])
    expected = np.minimum(losses, np.where([True, False, True], one.row_losses(other), np.inf))
    assert not keep(one, best, losses, rows, best[rows])
    keep(one, best, losses, rows, other[rows])
    np.testing.assert_allclose(losses, expected)
    np.testing.assert_allclose(one.row_losses(best), expected)


@pytest.mark.parametrize("cost", [1, 7_000_000, 10**12])
def test_spans_cover_every_neuron_once(cost: int) -> None:
    one = layer(11, 2)
    rows = np.concatenate(list(spans(one, Run(one), cost)))
    np.testing.assert_array_equal(rows, np.arange(11))


def test_a_stopped_run_ends_the_spans() -> None:
    one = layer(4, 2)
    run = Run(one, seconds=1e-9)
    assert list(spans(one, run, 10**12)) == []
    assert run.exhausted


def test_a_tiny_gram_is_descended_like_a_large_one() -> None:
    one = layer(3, 12, seed=7)
    small = Rounding(one.gram * 1e-30, one.shift, one.scale)
    plain, scaled = (solvers.solve(each, "coordinate-descent", restarts=1) for each in (one, small))
    np.testing.assert_array_equal(plain.x, scaled.x)
