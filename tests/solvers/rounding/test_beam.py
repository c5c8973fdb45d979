"""beam is exact where it keeps every prefix, and nearest plane with descent where it keeps one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import gram, optimum

from qubopress import solvers
from qubopress.problems import Rounding
from qubopress.solvers import Status
from qubopress.solvers.rounding.box_minimum import aims, centres
from qubopress.solvers.rounding.descent import descend, descend_pairs
from qubopress.solvers.rounding.factors import column_order, factor
from qubopress.solvers.rounding.plane_kernel import planes
from qubopress.solvers.rounding.prefixes import cheapest


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


@pytest.mark.parametrize("order", ["sorted", "act", "given"])
def test_with_one_prefix_and_shifts_within_the_box_it_is_nearest_plane_and_descent(order: str) -> None:
    one = replace(layer(6, 70, seed=1, levels=5), shift=np.random.default_rng(1).uniform(0, 4, (6, 70)))
    plane = solvers.solve(one, "nearest-plane", restarts=1, damping=3e-3, order=order)
    assert plane.x is not None
    x = plane.x.copy()
    descend(one, x, np.arange(one.n))
    found = solvers.solve(one, "beam", restarts=1, width=1, damping=3e-3, order=order)
    assert found.loss == pytest.approx(one.loss(x), rel=1e-9)


@pytest.mark.parametrize("levels", [2, 5])
def test_one_prefix_that_aims_at_the_shift_is_the_nearest_plane(levels: int) -> None:
    one, every = layer(6, 70, seed=1, levels=levels, held=True), np.arange(6)
    columns = column_order(one.gram, "act")
    lower = factor(one.gram[np.ix_(columns, columns)], 3e-3)
    plane = planes(one, every, columns, lower)
    np.testing.assert_array_equal(cheapest(one, every, columns, lower, 1), plane[:, columns])


def test_a_wide_beam_beats_a_narrow_one_on_a_layer() -> None:
    one = layer(12, 60, seed=2)
    narrow, wide = (solvers.solve(one, "beam", restarts=1, width=width) for width in (1, 256))
    assert narrow.loss is not None
    assert wide.loss is not None
    assert wide.loss < narrow.loss


def test_neurons_in_batches_end_like_neurons_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one = layer(7, 40, seed=3, held=True)
    whole = solvers.solve(one, "beam", restarts=1, width=8)
    monkeypatch.setattr("qubopress.solvers.rounding.beam.PREFIXES", 8 * 40 * 2)
    parts = solvers.solve(one, "beam", restarts=1, width=8)
    np.testing.assert_array_equal(whole.x, parts.x)
    assert len(parts.trace) > len(whole.trace)


@pytest.mark.parametrize("held", [False, True])
def test_damping_between_two_levels_adds_a_constant_alone(held: bool) -> None:
    one = layer(3, 7, seed=4, held=held)
    columns = column_order(one.gram, "sorted", 0.1)
    lower = factor(one.gram[np.ix_(columns, columns)], 0.1)
    aim = aims(one, columns, lower)
    rng = np.random.default_rng(0)
    errors = rng.integers(0, 2, (50, 1, 7))[:, :, columns] - aim
    damped = np.square(errors @ lower.T).sum(axis=2)
    plain = np.array([one.row_losses(x) / one.scale**2 for x in (errors + aim)[:, :, np.argsort(columns)]])
    np.testing.assert_allclose(np.ptp(damped - plain, axis=0), 0.0, atol=1e-9)


def test_prefixes_that_know_of_fixed_coordinates_and_the_box_are_better() -> None:
    one, every = layer(40, 60, seed=7, held=True), np.arange(40)
    columns = column_order(one.gram, "sorted", 3e-3)
    lower = factor(one.gram[np.ix_(columns, columns)], 3e-3)
    unbound = aims(one, columns, lower)
    blind, aware = (
        cheapest(one, every, columns, lower, 16, target=target)
        for target in ((unbound, np.zeros(one.shape)), centres(one, columns, lower))
    )
    back = np.argsort(columns)
    assert blind is not None
    assert aware is not None
    assert one.loss(aware[:, back]) < 0.97 * one.loss(blind[:, back])


@pytest.mark.parametrize("levels", [2, 4])
def test_where_pairs_end_no_single_or_double_step_helps(levels: int) -> None:
    one, every = layer(4, 12, seed=8, levels=levels, held=True), np.arange(4)
    x = one.nearest()
    descend(one, x, every)
    before = one.loss(x)
    descend_pairs(one, x, every, 100)
    assert one.loss(x) < before
    assert not one.violation(x)
    losses = one.row_losses(x)
    field = (x - one.shift) @ one.gram
    cheaper = np.where((x < one.levels - 1) & ((x == 0) | (field <= 0)), 1, -1)
    for i in range(one.f):
        for j in range(i + 1):
            near = x.copy()
            near[:, [i, j]] += cheaper[:, [i, j]].astype(np.int8)
            allowed = (one.fixed[:, [i, j]] < 0).all(axis=1)
            assert (one.row_losses(near) >= losses - 1e-9)[allowed].all()


def test_no_scan_changes_nothing_and_one_scan_is_one_pair_and_a_descent() -> None:
    one, every = layer(4, 30, seed=8), np.arange(4)
    x = one.nearest()
    descend(one, x, every)
    start = x.copy()
    assert descend_pairs(one, x, every, 0) == 0
    np.testing.assert_array_equal(x, start)
    assert descend_pairs(one, x, every, 1) > 0
    assert one.loss(x) < one.loss(start)


def test_the_sorted_order_beats_that_of_mean_squares() -> None:
    one = layer(40, 150, seed=1)
    act, ordered = (
        solvers.solve(one, "beam", restarts=1, width=8, order=order) for order in ("act", "sorted")
    )
    assert act.loss is not None
    assert ordered.loss is not None
    assert ordered.loss < act.loss


def test_prefixes_longer_than_the_horizon_are_decided_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    one = layer(6, 300, seed=6, held=True)
    whole = solvers.solve(one, "beam", restarts=1, width=8)
    alone = solvers.solve(one, "beam", restarts=1, width=1)
    monkeypatch.setattr("qubopress.solvers.rounding.prefixes.HORIZON", 128)
    short = solvers.solve(one, "beam", restarts=1, width=8)
    assert short.loss == pytest.approx(whole.loss, rel=0.02)
    np.testing.assert_array_equal(solvers.solve(one, "beam", restarts=1, width=1).x, alone.x)


def test_with_a_budget_alone_it_widens_until_the_beam_holds_everything() -> None:
    one = layer(1, 4)
    found = solvers.solve(one, "beam", seconds=5.0)
    assert found.status in (Status.FINISHED, Status.BUDGET)
    assert found.counts["restarts"] > 5
    assert found.loss == pytest.approx(optimum(one), rel=1e-6, abs=1e-9)
