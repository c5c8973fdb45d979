"""A fitted grid leaves less under the Gram matrix than one of the weights' range, and its steps are best."""

from __future__ import annotations

import numpy as np
import pytest
from instances import gram

from qubopress.problems.quantization.fit import best_steps, fitted
from qubopress.problems.quantization.grids import Grid, grid_for


def loss(weights: np.ndarray, form: np.ndarray, grid: Grid, levels: np.ndarray) -> np.ndarray:
    errors = grid.value(levels) - weights
    return np.einsum("nf,nf->n", errors @ form, errors)


def heavy(n: int = 12, f: int = 64, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Weights with a few large ones, which the grid of their range is spent on."""
    rng = np.random.default_rng(seed)
    return rng.standard_t(3, (n, f)), gram(f, seed=seed)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("group", [0, 24])
def test_a_layer_loses_less_than_nearest_on_the_grid_of_its_range(bits: int, group: int) -> None:
    weights, form = heavy()
    fit = fitted(weights, form, bits=bits, group=group)
    plain = grid_for(weights, bits=bits, grid="minmax", per="channel", group=group)
    near = np.clip(np.rint(plain.position(weights)), 0, 2**bits - 1)
    assert loss(weights, form, fit.grid, fit.levels).sum() < 0.9 * loss(weights, form, plain, near).sum()
    assert fit.grid.step.shape == (12, 1 if group == 0 else 3)
    assert set(np.unique(fit.levels)) <= set(range(2**bits))
    np.testing.assert_array_equal(fit.grid.step, fit.grid.step.astype(np.float32))
    np.testing.assert_array_equal(fit.grid.zero, np.rint(fit.grid.zero))


@pytest.mark.parametrize("groups", [1, 3])
def test_no_other_steps_are_better_for_the_integers_found(groups: int) -> None:
    weights, form = heavy(f=30)
    places = np.arange(30) * groups // 30
    rng = np.random.default_rng(1)
    codes = np.rint(weights * 2) + (weights == 0)
    steps = best_steps(codes, np.full((12, groups), 0.5), form, weights @ form, places)

    def left(tried: np.ndarray) -> np.ndarray:
        errors = tried[:, places] * codes - weights
        return np.einsum("nf,nf->n", errors @ form, errors)

    for _ in range(50):
        other = steps * (1 + 0.05 * rng.standard_normal(steps.shape))
        assert (left(steps) <= left(other) * (1 + 1e-6)).all()


def test_a_row_of_zeros_keeps_a_step_and_has_no_loss() -> None:
    weights, form = heavy()
    weights[3] = 0.0
    fit = fitted(weights, form, bits=4)
    assert fit.grid.step[3] > 0
    assert (fit.grid.value(fit.levels)[3] == 0).all()


def test_more_tries_leave_layers_no_worse() -> None:
    """A walk from a better start may end above one from a worse: on average it does not."""
    losses = np.zeros(2)
    for seed in range(6):
        weights, form = heavy(seed=seed)
        for i, tries in enumerate((1, 12)):
            fit = fitted(weights, form, bits=3, tries=tries)
            losses[i] += loss(weights, form, fit.grid, fit.levels).sum()
    assert losses[1] <= losses[0] * 1.01


@pytest.mark.parametrize("unit", [1e-60, 1e60])
def test_the_unit_of_the_inputs_changes_no_choice(unit: float) -> None:
    weights, form = heavy()
    plain, scaled = fitted(weights, form, bits=3), fitted(weights, form * unit, bits=3)
    assert (plain.levels != scaled.levels).mean() < 0.2
    losses = [loss(weights, form, fit.grid, fit.levels).sum() for fit in (plain, scaled)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
