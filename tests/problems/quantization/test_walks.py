"""Walks end below where sweeps do, keep to their box and to what is fixed, and tell the loss they reached."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from instances import gram

from qubopress.problems.quantization.fit import best_steps
from qubopress.problems.quantization.lanes import furthest, lanes
from qubopress.problems.quantization.sweeps import sweep_levels
from qubopress.problems.quantization.walks import PAIRED, SPREAD, Walks, moves_by_loss, walks_of

N, F, TOP = 6, 40, 7

ALL_BITS = np.int32(255)
"""Bits of a key that number up to 256 places."""


@numba.njit
def told(off, one, other, first, second, low, high, scales, places):
    return furthest(off, one, other, first, second, low, high, scales, places)


class Case:
    """Rows of weights, swept levels on some steps, and what a walk needs beside them."""

    def __init__(self, groups: int = 1, *, fixed: np.ndarray | None = None) -> None:
        rng = np.random.default_rng(groups)
        self.gram = gram(F).astype(np.float32)
        self.group = np.arange(F) * groups // F
        self.steps = (rng.random((N, groups)) * 0.2 + 0.2).astype(np.float32)
        self.zeros = np.full((N, groups), 3, np.float32)
        self.weights = (0.7 * rng.standard_normal((N, F))).astype(np.float32)
        self.top, self.fixed = np.full(F, TOP, np.float32), fixed
        near = np.rint(self.weights / self.steps[:, self.group]) + 3
        self.levels = np.clip(near, 0, TOP).astype(np.float32)
        if fixed is not None:
            self.levels = np.where(fixed >= 0, fixed, self.levels).astype(np.float32)
        field = self.field()
        sweep_levels(self.gram, self.levels, field, self.steps, self.group, self.top, fixed=fixed, passes=99)

    def errors(self) -> np.ndarray:
        return self.steps[:, self.group] * (self.levels - 3) - self.weights

    def field(self) -> np.ndarray:
        return np.ascontiguousarray(self.errors() @ self.gram)

    def losses(self) -> np.ndarray:
        return np.einsum("nf,nf->n", self.errors() @ self.gram, self.errors(), dtype=np.float64)

    def walk(
        self, walks: Walks | None = None, *, refits: bool = False, moves: int = 300
    ) -> tuple[int, np.ndarray]:
        wanted = (self.zeros, self.weights @ self.gram) if refits else None
        spread = self.field(), self.steps, self.group, self.top
        pace = {"moves": np.full(N, moves), "tenure": 4, "seed": 3}
        walks = walks or walks_of(self.gram)
        return walks.walk(self.levels, *spread, fixed=self.fixed, refits=wanted, **pace)


@pytest.mark.parametrize("groups", [1, 3])
def test_a_walk_ends_below_where_sweeps_do_and_inside_the_box(groups: int) -> None:
    case = Case(groups)
    before, steps = case.losses(), case.steps.copy()
    assert case.walk()[0] == N * 300
    assert (case.losses() <= before * (1 + 1e-5)).all()
    assert case.losses().sum() < 0.95 * before.sum()
    assert set(np.unique(case.levels)) <= set(range(TOP + 1))
    np.testing.assert_array_equal(case.steps, steps)


def test_a_walk_from_a_bad_start_first_goes_down() -> None:
    case, swept = Case(), Case()
    case.levels[:] = 0.0
    case.walk()
    assert case.losses().sum() < swept.losses().sum()


def test_steps_that_follow_leave_less_than_steps_that_stay() -> None:
    stay, follow = Case(), Case()
    stay.walk()
    follow.walk(refits=True)
    assert follow.losses().sum() < stay.losses().sum()
    assert (follow.steps != stay.steps).all()
    best = best_steps(
        follow.levels - 3, follow.steps, follow.gram, follow.weights @ follow.gram, follow.group
    )
    np.testing.assert_allclose(follow.steps, best, rtol=0.02)


@pytest.mark.parametrize("refits", [False, True])
def test_what_a_walk_says_it_takes_off_is_what_the_losses_fall_by(refits: bool) -> None:
    case = Case()
    before = case.losses()
    _, gains = case.walk(refits=refits)
    np.testing.assert_allclose(gains, before - case.losses(), rtol=1e-3)


@pytest.mark.parametrize("f", [1, 31, 32, 33, 128, 150])
def test_the_furthest_of_either_half_is_told_and_all_are_brought_up_to_date(f: int) -> None:
    rng, rows = np.random.default_rng(f), lanes(6, f)
    off, one, other, low, high, scales = rows
    for row in (off, one, other, scales):
        row[:f] = rng.standard_normal(f)
    scales[:f] = np.abs(scales[:f])
    low[:f], high[:f] = rng.choice([-9.0, 0.0], f), rng.choice([9.0, 0.0], f)
    moved = off + 0.5 * one - 0.25 * other
    for given in (None, scales):
        seen = np.abs(np.clip(moved, low, high) * (1.0 if given is None else given)).reshape(2, -1)
        start = off.copy()
        keys = told(start, one, other, np.float32(0.5), np.float32(-0.25), low, high, given, ALL_BITS)
        np.testing.assert_allclose(start, moved, atol=1e-6)
        for side, key in enumerate(keys):
            if seen[side].any():
                assert (key & ALL_BITS) == seen[side].argmax() + side * seen.shape[1]
            else:
                assert key <= ALL_BITS


def test_no_more_is_promised_than_the_levels_keep() -> None:
    """Errors of float32 that build up over thousands of moves must not end in a worse place."""
    case = Case()
    case.walk(refits=True, moves=20_000)
    before = case.losses()
    case.walk(refits=True, moves=20_000)
    assert (case.losses() <= before * (1 + 1e-4)).all()


def test_fixed_levels_and_inputs_that_nothing_reaches_stay() -> None:
    fixed = np.full((N, F), -1, np.int8)
    fixed[:, ::4] = 2
    case = Case(fixed=fixed)
    case.gram[1], case.gram[:, 1] = 0.0, 0.0
    before = case.levels.copy()
    case.walk()
    assert (case.levels[:, ::4] == 2).all()
    np.testing.assert_array_equal(case.levels[:, 1], before[:, 1])
    assert (case.levels != before).any()


def test_a_row_that_has_no_error_does_not_move() -> None:
    case = Case()
    case.weights = (case.steps * (case.levels - 3)).astype(np.float32)
    before = case.levels.copy()
    case.walk()
    np.testing.assert_array_equal(case.levels, before)


def test_moves_go_by_the_loss_within_bounds() -> None:
    assert moves_by_loss(np.array([1.0, 1.0, 4.0]), 100).tolist() == [50, 50, 200]
    assert moves_by_loss(np.array([0.0, 1.0]), 100).tolist() == [100 // SPREAD, 200]
    assert moves_by_loss(np.append(np.zeros(99), 1.0), 100)[-1] == 100 * SPREAD
    assert moves_by_loss(np.zeros(2), 100).tolist() == [100 // SPREAD] * 2


def test_who_moves_first_is_told_in_steps_of_its_own_group() -> None:
    """The first weight is 0.4 off with a step of 1, the second 0.3 with a step of 0.1."""
    levels, steps = np.array([[3.0, 3.0]], np.float32), np.array([[1.0, 0.1]], np.float32)
    field, top = np.array([[-0.4, -0.3]], np.float32), np.full(2, TOP, np.float32)
    walks = walks_of(np.eye(2, dtype=np.float32))
    walks.walk(levels, field, steps, np.arange(2), top, moves=np.array([1]), tenure=2, seed=0)
    assert levels.tolist() == [[3.0, 4.0]]


def test_the_second_of_two_moves_is_judged_behind_the_first() -> None:
    """Each of two would help alone; with the other gone a level up, the way costs more than it brings."""
    form, errors = np.eye(PAIRED, dtype=np.float32), np.zeros((1, PAIRED), np.float32)
    form[0, -1] = form[-1, 0] = 0.5
    errors[0, [0, -1]] = -0.6
    levels, ones, top = np.full_like(errors, 3), np.ones((1, 1), np.float32), np.full(PAIRED, TOP, np.float32)
    group, pace = np.zeros(PAIRED, np.int64), {"moves": np.array([2]), "tenure": 2, "seed": 0}
    walks_of(form).walk(levels, errors @ form, ones, group, top, **pace)
    assert sorted(levels[0, [0, -1]]) == [3.0, 4.0]


@pytest.mark.parametrize("moves", [1, 2, 3, 8])
def test_no_more_moves_are_made_than_asked_for(moves: int) -> None:
    case = Case()
    before = case.levels.copy()
    case.levels[:] = 0.0
    assert case.walk(moves=moves)[0] == N * moves
    assert (np.abs(case.levels).sum(axis=1) <= moves).all()
    assert (before != case.levels).any()


def test_one_weight_alone_finds_its_place() -> None:
    levels, ones, field = (
        np.zeros((1, 1), np.float32),
        np.ones((1, 1), np.float32),
        np.full((1, 1), -0.7, np.float32),
    )
    walks = walks_of(np.eye(1, dtype=np.float32))
    top, place = np.full(1, TOP, np.float32), np.zeros(1, np.int64)
    walks.walk(levels, field, ones, place, top, moves=np.array([40]), tenure=2, seed=0)
    assert levels.tolist() == [[1.0]]


def walked(form: np.ndarray, errors: list[float], *, moves: int) -> list[float]:
    """Levels of the first coordinates after a walk from 3, with errors at first and at the end of a row."""
    f = len(form)
    field = np.zeros((1, f), np.float32)
    field[0, : len(errors) - 1], field[0, -1] = errors[:-1], errors[-1]
    levels, ones, top = (
        np.full((1, f), 3, np.float32),
        np.ones((1, 1), np.float32),
        np.full(f, TOP, np.float32),
    )
    pace = {"moves": np.array([moves]), "tenure": 2, "seed": 0}
    walks_of(form).walk(levels, field @ form, ones, np.zeros(f, np.int64), top, **pace)
    return [*levels[0, : len(errors) - 1], levels[0, -1]]


def test_of_many_inputs_the_stronger_goes_first_though_its_weight_is_a_little_less_off() -> None:
    for f, first in ((2 * PAIRED, [4.0, 3.0, 3.0]), (PAIRED // 2, [3.0, 4.0, 3.0])):
        form = np.eye(f, dtype=np.float32)
        form[1, 1] = 1 / 3
        assert walked(form, [-0.6, -0.65, 0.0], moves=1) == first


def test_a_second_weight_that_is_off_much_less_waits_for_what_the_first_does() -> None:
    """The first throws its neighbour further off than the last weight is, and that one then helps more."""
    form = np.eye(2 * PAIRED, dtype=np.float32)
    form[0, 1] = form[1, 0] = 0.5
    assert walked(form, [-0.9, 0.5, -0.44], moves=2) == [4.0, 2.0, 3.0]
