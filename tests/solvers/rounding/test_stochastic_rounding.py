"""stochastic-rounding: up as often as the fraction says."""

from __future__ import annotations

import numpy as np
import pytest
from layers import layer

from qubopress import solvers
from qubopress.problems import Rounding


def test_a_weight_rounds_up_with_its_fraction_as_probability() -> None:
    one = Rounding(np.eye(100), np.full((50, 100), 2.3), levels=9)
    found = solvers.solve(one, "stochastic-rounding", restarts=1, samples=1)
    assert found.x is not None
    assert set(np.unique(found.x)) == {2, 3}
    assert np.mean(found.x == 3) == pytest.approx(0.3, abs=0.03)


def test_each_neuron_keeps_its_own_best_of_more_samples() -> None:
    one = layer(6, 12, seed=5)
    few, many = (solvers.solve(one, "stochastic-rounding", restarts=1, samples=k) for k in (2, 200))
    assert few.x is not None
    assert many.x is not None
    assert (one.row_losses(many.x) <= one.row_losses(few.x)).all()
    assert many.counts["samples"] == 200 * 6
