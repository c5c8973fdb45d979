"""Nearest planes over many levels take, column after column, what costs least given those before."""

from __future__ import annotations

import numpy as np
import pytest
from instances import gram

from qubopress.problems.quantization.planes import planes_of


def layer(n: int = 5, f: int = 60, *, groups: int = 1, seed: int = 0):
    rng = np.random.default_rng(seed)
    group = np.arange(f) * groups // f
    steps = (rng.random((n, groups)) + 0.5).astype(np.float32)
    target = (rng.uniform(-1, 8, (n, f)) * steps[:, group]).astype(np.float32)
    return gram(f, seed=seed), target, steps, group, np.full(f, 7, np.float32)


def by_hand(form, target, steps, group, top, order, damping) -> np.ndarray:
    """One coordinate after another in float64, from the inverse triangle's definition."""
    damped = form + damping * np.diag(form).mean() * np.eye(len(form))
    columns = np.argsort(-np.diag(form), kind="stable") if order == "act" else np.arange(len(form))
    lower = np.linalg.cholesky(damped[np.ix_(columns, columns)][::-1, ::-1])[::-1, ::-1].T
    levels, errors = np.zeros(target.shape), np.zeros(target.shape)
    for i, column in enumerate(columns):
        pull = errors[:, columns[:i]] @ lower[i, :i] / lower[i, i]
        step = steps[:, group[column]]
        levels[:, column] = np.clip(np.rint((target[:, column] - pull) / step), 0, top[column])
        errors[:, column] = step * levels[:, column] - target[:, column]
    return levels


@pytest.mark.parametrize("order", ["act", "given"])
@pytest.mark.parametrize("groups", [1, 4])
def test_each_level_is_the_nearest_given_those_before(groups: int, order: str) -> None:
    form, target, steps, group, top = layer(groups=groups)
    found = planes_of(form, order=order, damping=0.01).nearest(target, steps, group, top)
    expected = by_hand(form, target, steps, group, top, order, 0.01)
    assert (found != expected).mean() <= 0.01  # what float32 decides otherwise is a tie


def test_a_fixed_level_stays_and_the_others_make_up_for_it() -> None:
    form, target, steps, group, top = layer(f=30)
    fixed = np.full(target.shape, -1, np.int8)
    fixed[:, 3] = 7
    free = planes_of(form).nearest(target, steps, group, top)
    held = planes_of(form).nearest(target, steps, group, top, fixed)
    assert (held[:, 3] == 7).all()
    assert (held != free).sum() > len(target)


def test_without_correlation_each_level_is_the_nearest_alone() -> None:
    _, target, steps, group, top = layer(groups=3)
    found = planes_of(np.eye(60)).nearest(target, steps, group, top)
    np.testing.assert_array_equal(found, np.clip(np.rint(target / steps[:, group]), 0, top))


@pytest.mark.parametrize("groups", [1, 4])
def test_the_price_is_the_loss_with_the_damping_in_units_of_the_dearest_coordinate(groups: int) -> None:
    form, target, steps, group, top = layer(groups=groups)
    levels, prices = planes_of(form, damping=0.01).priced(target, steps, group, top)
    damped = form + 0.01 * np.diag(form).mean() * np.eye(len(form))
    errors = (steps[:, group] * levels - target).astype(float)
    columns = np.argsort(-np.diag(form), kind="stable")
    unit = np.diag(np.linalg.cholesky(damped[np.ix_(columns, columns)][::-1, ::-1])).max() ** 2
    np.testing.assert_allclose(prices * unit, np.einsum("nf,nf->n", errors @ damped, errors), rtol=1e-3)
