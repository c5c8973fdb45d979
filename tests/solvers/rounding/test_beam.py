"""beam is exact where it keeps every prefix, and nearest plane with descent where it keeps one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import gram, optimum
from scipy.optimize import lsq_linear

from qubopress import solvers
from qubopress.problems import Rounding
from qubopress.solvers import Status
from qubopress.solvers.rounding.box_minimum import aims, boxed, centres
from qubopress.solvers.rounding.descent import descend, descend_pairs
from qubopress.solvers.rounding.factors import column_order, factor, sorted_columns, triangle
from qubopress.solvers.rounding.plane_kernel import planes
from qubopress.solvers.rounding.prefixes import _pick, cheapest


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


@pytest.mark.parametrize("block", [7, 70, 256])
def test_sorted_columns_leave_the_least_to_the_last(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qubopress.solvers.rounding.factors.SORTED", block)
    G = gram(70, seed=5)
    columns = sorted_columns(G)
    assert sorted(columns) == list(range(70))
    left = G.copy()
    for k in range(69, -1, -1):
        free = columns[: k + 1]
        assert left[columns[k], columns[k]] == pytest.approx(np.diag(left)[free].min())
        left = left - np.outer(left[:, columns[k]], left[columns[k]]) / left[columns[k], columns[k]]


def test_prefixes_longer_than_the_horizon_are_decided_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    one = layer(6, 300, seed=6, held=True)
    whole = solvers.solve(one, "beam", restarts=1, width=8)
    alone = solvers.solve(one, "beam", restarts=1, width=1)
    monkeypatch.setattr("qubopress.solvers.rounding.prefixes.HORIZON", 128)
    short = solvers.solve(one, "beam", restarts=1, width=8)
    assert short.loss == pytest.approx(whole.loss, rel=0.02)
    np.testing.assert_array_equal(solvers.solve(one, "beam", restarts=1, width=1).x, alone.x)


@settings(max_examples=100, deadline=None)
@given(
    costs=st.lists(st.sampled_from([1.0, 2.0, 3.0, 3.5, np.inf]), min_size=4, max_size=24),
    span=st.sampled_from([1, 2, 4]),
)
def test_the_cheapest_children_are_picked_and_of_equal_ones_the_first(costs: list[float], span: int) -> None:
    kept = len(costs) // span
    children = np.array(costs[: kept * span])
    parents, values = np.zeros(kept + 1, dtype=np.int64), np.zeros(kept + 1, dtype=np.int8)
    scratch = np.zeros(max(4, span) * kept)
    count = _pick(children, span, 1, parents, values, scratch)
    first = np.sort(np.argsort(children, kind="stable")[:kept])
    expected = first[np.isfinite(children[first])]
    assert count == len(expected)
    np.testing.assert_array_equal((values[:count] - 1) * kept + parents[:count], expected)
    np.testing.assert_array_equal(scratch[:count], children[expected])


def test_with_a_budget_alone_it_widens_until_the_beam_holds_everything() -> None:
    one = layer(1, 4)
    found = solvers.solve(one, "beam", seconds=5.0)
    assert found.status in (Status.FINISHED, Status.BUDGET)
    assert found.counts["restarts"] > 5
    assert found.loss == pytest.approx(optimum(one), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("order", ["sorted", "act", "given"])
def test_the_triangle_is_the_factor_of_the_ordered_gram(order: str) -> None:
    G = gram(300, seed=4)
    columns, lower = triangle(G, order, 1e-3)
    np.testing.assert_array_equal(columns, column_order(G, order, 1e-3))
    np.testing.assert_allclose(lower, factor(G[np.ix_(columns, columns)], 1e-3), atol=1e-10)
    assert (np.triu(lower, 1) == 0).all()


def test_a_triangle_of_columns_that_others_span_is_damped_until_it_is_one() -> None:
    columns, lower = triangle(np.ones((6, 6)), "sorted", 1e-18)
    assert (np.diag(lower) > 0).all()
    assert sorted(columns) == list(range(6))
