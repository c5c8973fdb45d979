"""The solvers for layers against their definitions: orders, feedback, draws, descents and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import gram

from qubopress import solvers
from qubopress.problems import Rounding
from qubopress.solvers import Run, Status
from qubopress.solvers.rounding.descent import keep, spans
from qubopress.solvers.rounding.factors import column_order, factor
from qubopress.solvers.rounding.plane_kernel import planes
from qubopress.solvers.rounding.relaxation import _Soft


def layer(n: int = 4, f: int = 7, *, seed: int = 0, levels: Any = 2, held: bool = False) -> Rounding:
    rng = np.random.default_rng(seed)
    top = np.broadcast_to(levels, (f,))
    fixed = np.where(rng.random((n, f)) < 0.3, 1, -1) if held else None
    shift = rng.uniform(-0.5, 0.5, (n, f)) + rng.uniform(0, top - 1, (n, f))
    return Rounding(gram(f, seed=seed), shift, rng.uniform(0.5, 2.0, n), levels, fixed)


CASES = {
    "two levels": layer(),
    "many levels": layer(seed=1, levels=[2, 3, 16, 2, 5, 127, 2]),
    "fixed": layer(seed=2, held=True),
    "fixed levels": layer(seed=3, levels=4, held=True),
}
each_case = pytest.mark.parametrize("case", CASES)


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


# --- what they share


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


# --- random-nearest-plane


@each_case
def test_without_heat_draws_are_nearest_plane(case: str) -> None:
    one, rows = CASES[case], np.array([3, 1, 1])
    columns = column_order(one.gram, "act")
    lower = factor(one.gram[np.ix_(columns, columns)], 0.01)
    draws = np.random.default_rng(0).random((3, one.f))
    cold = planes(one, rows, columns, lower, warmth=np.full(3, 1e-12), draws=draws)
    plain = solvers.solve(one, "nearest-plane", restarts=1, damping=0.01)
    assert plain.x is not None
    np.testing.assert_array_equal(cold, plain.x[rows])


def test_levels_are_drawn_with_probability_exp_minus_cost_over_temperature() -> None:
    one, draws = Rounding([[2.0]], [[1.3]], levels=5), 40_000
    rows, heat = np.zeros(draws, dtype=np.int64), np.full(draws, 3.0)
    luck = np.random.default_rng(1).random((draws, 1))
    x = planes(one, rows, np.array([0]), np.sqrt([[2.0]]), warmth=heat, draws=luck)
    odds = np.exp(-2.0 * (np.arange(5) - 1.3) ** 2 / 3.0)
    shares = np.bincount(x[:, 0], minlength=5) / draws
    np.testing.assert_allclose(shares, odds / odds.sum(), atol=4 * 0.5 / np.sqrt(draws))


def test_a_cold_draw_far_outside_the_levels_is_the_nearest_level() -> None:
    one, lower = Rounding([[1.0]], [[1e6]], levels=3), np.array([[1.0]])
    only = np.array([0])
    x = planes(one, only, only, lower, warmth=np.array([1e-9]), draws=np.array([[0.999]]))
    assert x.tolist() == [[2]]


def test_draws_beat_the_plane_that_they_start_from() -> None:
    one = layer(8, 40, seed=4)
    plane = solvers.solve(one, "nearest-plane", restarts=1, damping=3e-3)
    drawn = solvers.solve(one, "random-nearest-plane", restarts=1, samples=50)
    assert plane.loss is not None
    assert drawn.loss is not None
    assert drawn.loss < 0.95 * plane.loss
    assert drawn.counts["samples"] == 50 * 8


# --- stochastic-rounding


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


# --- ldlq and coordinate-descent


@each_case
def test_ldlq_without_passes_is_nearest_plane_in_the_given_order(case: str) -> None:
    one = CASES[case]
    fed = solvers.solve(one, "ldlq", restarts=1, passes=0)
    plane = solvers.solve(one, "nearest-plane", restarts=1, order="given")
    np.testing.assert_array_equal(fed.x, plane.x)


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


def test_one_cyclic_pass_is_one_best_move_a_column_from_left_to_right() -> None:
    one = layer(3, 6, seed=6, levels=4, held=True)
    x = one.nearest()
    for row in range(one.n):
        for i in np.flatnonzero(one.fixed[row] < 0):
            tries = np.repeat(x[[row]], 4, axis=0)
            tries[:, i] = np.arange(4)
            x[row] = tries[np.argmin(one.row_losses(tries, np.full(4, row)))]
    found = solvers.solve(one, "coordinate-descent", restarts=1, rule="cyclic", passes=1)
    np.testing.assert_array_equal(found.x, x)


def test_a_tiny_gram_is_descended_like_a_large_one() -> None:
    one = layer(3, 12, seed=7)
    small = Rounding(one.gram * 1e-30, one.shift, one.scale)
    plain, scaled = (solvers.solve(each, "coordinate-descent", restarts=1) for each in (one, small))
    np.testing.assert_array_equal(plain.x, scaled.x)


# --- obq


def obq_by_definition(one: Rounding, damping: float) -> Any:
    """Invert anew for every weight that is rounded."""
    H = one.gram + damping * np.mean(np.diag(one.gram)) * np.eye(one.f)
    x = np.zeros(one.shape, dtype=np.int8)
    for row in range(one.n):
        weights, free = one.shift[row].copy(), list(range(one.f))
        while free:
            inverse = np.linalg.inv(H[np.ix_(free, free)])
            level = np.clip(np.floor(weights[free] + 0.5), 0, one.levels[free] - 1)
            cost = (level - weights[free]) ** 2 / np.diag(inverse)
            held = [k for k, i in enumerate(free) if one.fixed[row, i] >= 0]
            k = held[0] if held else int(np.argmin(cost))
            i = free[k]
            x[row, i] = one.fixed[row, i] if held else level[k]
            weights[free] += (x[row, i] - weights[i]) / inverse[k, k] * inverse[k]
            free.remove(i)
    return x


@settings(max_examples=40, deadline=None)
@given(
    f=st.integers(1, 8), seed=st.integers(0, 10_000), levels=st.sampled_from([2, 3, 16]), held=st.booleans()
)
def test_obq_equals_its_definition_or_round_to_nearest(f: int, seed: int, levels: int, held: bool) -> None:
    one = layer(1, f, seed=seed, levels=levels, held=held)
    found = solvers.solve(one, "obq", restarts=1, damping=0.02)
    defined = obq_by_definition(one, 0.02)
    # The solver offers round to nearest first, which may be better by chance.
    np.testing.assert_array_equal(found.x, min(one.nearest(), defined, key=one.loss))


def test_obq_states_the_size_that_it_takes() -> None:
    assert solvers.get("obq").max_variables == 4_096


# --- relaxation


def test_the_gradient_by_hand_is_that_of_the_relaxed_loss() -> None:
    one = layer(3, 6, seed=8, levels=3, held=True)
    soft = _Soft(one, push=0.1)
    V = soft.V.clone().requires_grad_()
    h = torch.clamp(1.2 * torch.sigmoid(V) - 0.1, 0.0, 1.0)
    e = torch.where(soft.fixed, soft.held, h) - soft.target
    beta = 20.0 - 18.0 * (0.6 - 0.2) / 0.8
    pushed = torch.where(soft.fixed, torch.zeros(()), 1 - (2 * h - 1).abs() ** beta)
    (((e @ soft.gram) * e * soft.square).sum() + 0.1 * pushed.sum()).backward()
    torch.testing.assert_close(soft.gradient(0.6), V.grad)
    assert V.grad is not None
    assert V.grad.abs().max() > 0


def test_the_soft_layer_begins_at_the_float_one_inside_its_levels() -> None:
    one = Rounding(np.eye(3), [[0.3, 1.7, 5.2]], levels=3)
    soft = _Soft(one, push=0.0)
    h = 1.2 * torch.sigmoid(soft.V) - 0.1
    np.testing.assert_allclose(soft.floor + h.numpy(), [[0.3, 1.7, 1.99]], atol=1e-6)


def test_relaxation_beats_round_to_nearest_on_correlated_inputs() -> None:
    one = layer(10, 40, seed=9)
    found = solvers.solve(one, "relaxation", restarts=1, steps=500)
    assert found.loss is not None
    assert found.loss < 0.5 * one.loss(one.nearest())
    assert found.counts["steps"] == 500


def test_a_push_to_the_corners_leaves_nothing_between_them() -> None:
    one = layer(4, 20, seed=10)
    soft = _Soft(one, push=100.0)
    adam = torch.optim.Adam([soft.V], lr=0.05)
    for step in range(400):
        soft.V.grad = soft.gradient(step / 400)
        adam.step()
    h = torch.clamp(1.2 * torch.sigmoid(soft.V) - 0.1, 0.0, 1.0)
    assert float(torch.minimum(h, 1 - h).max()) < 0.05
