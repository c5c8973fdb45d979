"""beam is exact where it keeps every prefix, and nearest plane with descent where it keeps one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import gram, optimum

from qubopress import solvers
from qubopress.problems import Rounding
from qubopress.solvers import Status
from qubopress.solvers.lattice import descend


def layer(n: int, f: int, *, seed: int = 0, levels: Any = 2, held: bool = False) -> Rounding:
    rng = np.random.default_rng(seed)
    fixed = np.where(rng.random((n, f)) < 0.3, 1, -1) if held else None
    return Rounding(gram(f, seed=seed), rng.uniform(-0.5, 1.5, (n, f)), rng.random(n) + 0.5, levels, fixed)


@settings(max_examples=30, deadline=None)
@given(f=st.integers(1, 6), seed=st.integers(0, 10_000), levels=st.sampled_from([2, 3]), held=st.booleans())
def test_with_every_prefix_kept_it_finds_the_optimum(f: int, seed: int, levels: int, held: bool) -> None:
    one = layer(2, f, seed=seed, levels=levels, held=held)
    found = solvers.solve(one, "beam", restarts=1, width=levels**f, damping=1e-8)
    assert found.loss == pytest.approx(optimum(one), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("levels", [2, 5])
def test_with_one_prefix_it_is_nearest_plane_and_descent(levels: int) -> None:
    one = layer(6, 70, seed=1, levels=levels)
    plane = solvers.solve(one, "nearest-plane", restarts=1, damping=3e-3)
    assert plane.x is not None
    x = plane.x.copy()
    descend(one, x, np.arange(one.n))
    found = solvers.solve(one, "beam", restarts=1, width=1)
    assert found.loss == pytest.approx(one.loss(x), rel=1e-9)


def test_a_wide_beam_beats_a_narrow_one_on_a_layer() -> None:
    one = layer(12, 60, seed=2)
    narrow, wide = (solvers.solve(one, "beam", restarts=1, width=width) for width in (1, 256))
    assert narrow.loss is not None
    assert wide.loss is not None
    assert wide.loss < narrow.loss


def test_neurons_in_batches_end_like_neurons_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one = layer(7, 40, seed=3, held=True)
    whole = solvers.solve(one, "beam", restarts=1, width=8)
    monkeypatch.setattr("qubopress.solvers.beam.PREFIXES", 8 * 40 * 2)
    parts = solvers.solve(one, "beam", restarts=1, width=8)
    np.testing.assert_array_equal(whole.x, parts.x)
    assert len(parts.trace) > len(whole.trace)


def test_with_a_budget_alone_it_widens_until_the_beam_holds_everything() -> None:
    one = layer(1, 4)
    found = solvers.solve(one, "beam", seconds=5.0)
    assert found.status in (Status.FINISHED, Status.BUDGET)
    assert found.counts["restarts"] > 5
    assert found.loss == pytest.approx(optimum(one), rel=1e-6, abs=1e-9)
