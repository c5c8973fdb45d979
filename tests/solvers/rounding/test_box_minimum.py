"""The minimum of the form inside its box, and where it says to aim."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from instances import gram
from scipy.optimize import lsq_linear

from qubopress.solvers.rounding.box_minimum import boxed
from qubopress.solvers.rounding.factors import factor


def box(f: int = 12) -> tuple[Any, Any, Any, Any]:
    """Aims (5, f) far outside a box of which some sides have length 0, and a factor."""
    rng = np.random.default_rng(f)
    low = rng.integers(-1, 2, (5, f)).astype(float)
    return rng.uniform(-3, 4, (5, f)), low, low + rng.integers(0, 3, (5, f)), factor(gram(f, seed=f), 0.01)


def test_the_centre_is_the_least_squares_solution_within_the_box(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qubopress.solvers.rounding.box_minimum.NEAR", 1e-9)
    aim, low, high, lower = box()
    found, _ = boxed(aim, low, high, lower, np)
    for x, goal, *ends in zip(found, aim, low, high, strict=True):
        held = ends[0] == ends[1]
        np.testing.assert_array_equal(x[held], ends[0][held])
        rest = lower @ goal - lower[:, held] @ x[held]
        free = lsq_linear(lower[:, ~held], rest, [end[~held] for end in ends], tol=1e-14)
        np.testing.assert_allclose(x[~held], free.x, atol=1e-4)


@pytest.mark.parametrize("rounds", [1, 20])
def test_a_slope_at_any_centre_changes_costs_by_a_constant(
    rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qubopress.solvers.rounding.box_minimum.ROUNDS", rounds)
    aim, low, high, lower = box()
    centre, slope = boxed(aim, low, high, lower, np)
    x = np.random.default_rng(0).integers(-2, 4, (50, *aim.shape))
    plain = np.square((x - aim) @ lower.T).sum(axis=2)
    told = np.square((x - centre) @ lower.T).sum(axis=2) + (slope * (x - centre)).sum(axis=2)
    np.testing.assert_allclose(np.ptp(told - plain, axis=0), 0.0, atol=1e-9)


def test_an_aim_within_the_box_is_its_own_centre() -> None:
    _, low, high, lower = box()
    inside = (low + high) / 2
    centre, slope = boxed(inside, low, high, lower, np)
    np.testing.assert_array_equal(centre, inside)
    np.testing.assert_array_equal(slope, 0.0)
