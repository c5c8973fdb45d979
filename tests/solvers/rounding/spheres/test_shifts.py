"""A neuron's own shift says what its form is, at bits, and bounds it from below."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from layers import deficient
from proofs import SCALES

from qubopress.solvers.rounding.spheres.shifts import Shifted, shifted

POINTS = np.array(list(itertools.product((0.0, 1.0), repeat=9)))


def forms(f: int, rank: int, seed: int, scale: float) -> tuple[Any, Shifted | None]:
    """The form at every point, and its shift."""
    rng = np.random.default_rng(seed)
    gram = scale * deficient(f + 1, rank, seed=seed)[1:, 1:]
    place, pull = rng.uniform(-0.5, 1.5, f), scale * rng.normal(size=f) / 10
    away = POINTS[:, :f] - place
    exact = np.einsum("ni,ij,nj->n", away, gram, away) + 2 * away @ pull + scale
    return exact, shifted(gram, place, pull, scale, float(exact.min()))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("rank", [4, 9, 12])
def test_the_shifted_form_is_the_form_at_all_bits_and_bounds_it(scale: float, rank: int) -> None:
    for seed in range(5):
        exact, found = forms(9, rank, seed, scale)
        assert found is not None
        terms = (POINTS[:, found.order] - found.target) @ found.lower.T
        told = (terms**2).sum(axis=1) + found.constant
        assert np.abs(told - exact).max() <= found.doubt
        assert found.doubt < 1e-6 * exact.max()
        assert found.constant - found.doubt <= found.least <= exact.min()


def test_the_bound_beside_the_tree_is_the_semidefinite_one() -> None:
    for seed in range(5):
        exact, found = forms(9, 6, seed, 1.0)
        assert found is not None
        assert found.least > found.constant
        finer = _semidefinite(9, 6, seed)
        assert finer - 1e-2 * abs(exact.min()) <= found.least <= finer + 1e-6


def _semidefinite(f: int, rank: int, seed: int) -> float:
    """The best bound of a diagonal on the same form, by a barrier followed much further."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qubopress.solvers.rounding.spheres.shifts.BOUND", 1e-7)
        found = forms(f, rank, seed, 1.0)[1]
    assert found is not None
    return found.least


def test_a_form_of_nothing_has_a_shift_too() -> None:
    gram = deficient(8, 3, seed=2)[1:, 1:]
    found = shifted(gram, np.zeros(7), np.zeros(7), 0.0, 0.0)
    assert found is not None
    assert -1e-3 < found.least <= 0.0
