"""A grid holds the values its definition says, and nothing rounds off it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from qubopress.problems import InputError
from qubopress.problems.quantization.grids import GRIDS, Grid, grid_for

WIDTHS = range(1, 9)
PER = ("tensor", "channel")


def weights(n: int = 3, f: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, f)) * np.arange(1, n + 1)[:, None]


def levels(grid: Grid) -> np.ndarray:
    """All values of each row: (n, levels)."""
    q = np.arange(grid.low, grid.high + 1, dtype=float)
    return grid.value(np.tile(q, (len(grid.step), 1)))


def error(grid: Grid, w: np.ndarray) -> np.ndarray:
    return ((grid.nearest(w) - w) ** 2).sum(axis=1)


@pytest.mark.parametrize(("name", "per", "bits"), [*itertools.product(GRIDS, PER, WIDTHS)])
def test_nearest_is_the_nearest_of_all_values(name, per, bits) -> None:
    w = weights()
    grid = grid_for(w, bits=bits, grid=name, per=per)
    assert grid.high - grid.low + 1 == 2**bits
    distance = np.abs(levels(grid)[:, None, :] - w[:, :, None]).min(axis=2)
    np.testing.assert_allclose(np.abs(grid.nearest(w) - w), distance, atol=1e-12)


@pytest.mark.parametrize(("name", "per"), [*itertools.product(GRIDS, PER)])
def test_position_and_value_undo_each_other_and_rows_are_neurons(name, per) -> None:
    w = weights()
    grid = grid_for(w, bits=4, grid=name, per=per)
    assert grid.step.shape == grid.zero.shape == (3, 1)
    np.testing.assert_allclose(grid.value(grid.position(w)), w, atol=1e-12)
    assert (len(np.unique(grid.step)) == 1) == (per == "tensor")


@pytest.mark.parametrize("bits", WIDTHS)
def test_the_code_grid_is_the_published_one(bits) -> None:
    w = np.array([[0.3, -0.8, 0.5]])
    grid = grid_for(w, bits=bits, grid="code", per="tensor")
    assert (grid.low, grid.high) == (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    assert grid.step.item() == pytest.approx(0.8 / 2 ** (bits - 1))
    assert grid.zero.item() == 0


def test_one_bit_of_the_code_grid_is_minus_one_and_zero() -> None:
    grid = grid_for(np.array([[0.5, -1.5]]), bits=1, grid="code", per="tensor")
    np.testing.assert_array_equal(levels(grid), [[-1.5, 0.0]])


@pytest.mark.parametrize("bits", WIDTHS)
def test_the_minmax_grid_spans_the_range_with_a_whole_zero_point(bits) -> None:
    w = np.array([[0.7, -0.2, 0.1]])
    grid = grid_for(w, bits=bits, grid="minmax", per="tensor")
    assert (grid.low, grid.high) == (0, 2**bits - 1)
    assert grid.step.item() == pytest.approx(0.9 / (2**bits - 1))
    assert grid.zero.item() == int(grid.zero.item())
    assert 0 <= grid.zero.item() <= grid.high
    np.testing.assert_array_equal(grid.nearest(np.zeros((1, 1))), [[0.0]])


@pytest.mark.parametrize("sign", [1, -1])
def test_the_range_is_made_to_hold_zero(sign) -> None:
    grid = grid_for(sign * np.array([[1.0, 2.0]]), bits=2, grid="minmax", per="tensor")
    assert grid.step.item() == pytest.approx(2 / 3)
    assert 0.0 in levels(grid)


@pytest.mark.parametrize(("bits", "per"), [*itertools.product(WIDTHS, PER)])
def test_the_mse_grid_never_rounds_worse_than_the_minmax_grid(bits, per) -> None:
    w = weights()
    small, whole = (error(grid_for(w, bits=bits, grid=name, per=per), w) for name in ("mse", "minmax"))
    assert small.sum() <= whole.sum()
    if per == "channel":
        assert (small <= whole).all()


def test_the_mse_grid_gives_up_an_outlier_for_the_rest() -> None:
    w = np.append(np.random.default_rng(0).uniform(-1, 1, 2000), 3.0)[None]
    small, whole = (grid_for(w, bits=3, grid=name, per="tensor") for name in ("mse", "minmax"))
    assert small.step.item() < 0.9 * whole.step.item()
    assert error(small, w).sum() < 0.9 * error(whole, w).sum()


@pytest.mark.parametrize(("name", "per"), [*itertools.product(GRIDS, PER)])
def test_zeros_lie_on_every_grid(name, per) -> None:
    w = np.array([[0.0, 0.0], [1.0, -2.0]])
    grid = grid_for(w, bits=4, grid=name, per=per)
    np.testing.assert_array_equal(grid.nearest(w)[0], [0.0, 0.0])
    assert (grid.step > 0).all()


@given(
    hnp.arrays(np.float64, (2, 3), elements=st.floats(-1e30, 1e30)),
    st.sampled_from(GRIDS),
    st.sampled_from(PER),
    st.integers(1, 8),
)
def test_whatever_the_weights_their_nearest_values_are_finite_and_within_the_range(
    w, name, per, bits
) -> None:
    grid = grid_for(w, bits=bits, grid=name, per=per)
    nearest = grid.nearest(w)
    reach = np.abs(w).max() if per == "tensor" else np.abs(w).max(axis=1, keepdims=True)
    assert np.isfinite(nearest).all()
    # A whole zero point may move an end of the range by half a step.
    assert (np.abs(nearest) <= reach * (1 + 1e-12) + grid.step).all()


def test_a_row_a_trillion_times_smaller_keeps_its_own_step() -> None:
    w = weights(2) * np.array([[1e-12], [1.0]])
    grid = grid_for(w, bits=8, grid="minmax", per="channel")
    assert (np.abs(grid.nearest(w) - w) <= grid.step).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bits": 0}, r"bits must be an integer in \[1, 8\], got 0"),
        ({"bits": 9}, r"bits must be an integer in \[1, 8\], got 9"),
        ({"bits": True}, r"bits must be an integer in \[1, 8\], got True"),
        ({"bits": 4.0}, r"bits must be an integer in \[1, 8\], got 4.0"),
        ({"bits": "4"}, r"bits must be an integer in \[1, 8\], got '4'"),
        ({"grid": "max"}, "grid must be one of code, minmax, mse, got 'max'"),
        ({"per": "row"}, "per must be tensor or channel, got 'row'"),
        ({"weights": [[np.nan, 1.0]]}, r"weights must be finite, got nan at index \(0, 0\)"),
        ({"weights": [1.0, 2.0]}, r"weights must have 2 dimension\(s\), got shape \(2,\)"),
    ],
)
def test_a_grid_that_there_is_not_is_refused(given, message) -> None:
    arguments = {"weights": weights(), "bits": 4, "grid": "minmax", "per": "tensor"} | given
    with pytest.raises(InputError, match=message):
        grid_for(arguments.pop("weights"), **arguments)
