"""Crops of photographs: the same for a seed, no pixel of a held-out one calibrates."""

from __future__ import annotations

import numpy as np
import pytest

from qubopress.problems.datasets import crops
from qubopress.problems.datasets.dataset import load_dataset
from qubopress.problems.datasets.pictures import read_picture
from qubopress.problems.datasets.shipped import shipped
from qubopress.problems.errors import MissingDataError


def test_crops_are_squares_in_the_unit_interval() -> None:
    found = crops.calibration_crops(5, seed=0)
    assert found.shape == (5, 3, 224, 224)
    assert found.dtype == np.float32
    assert 0 <= found.min() < 0.1 < 0.9 < found.max() <= 1
    assert len({crop.tobytes() for crop in found}) == 5


def test_a_smaller_draw_begins_a_larger_one_and_seeds_differ() -> None:
    many = crops.held_out_crops(6, seed=1)
    np.testing.assert_array_equal(crops.held_out_crops(3, seed=1), many[:3])
    assert not np.array_equal(crops.held_out_crops(3, seed=2), many[:3])


@pytest.mark.parametrize("name", crops.TRAIN)
def test_the_sides_of_a_scene_share_no_pixel(name: str) -> None:
    sides = [crops._part(name, left=left) for left in (True, False)]
    np.testing.assert_array_equal(np.concatenate(sides, axis=2), read_picture(shipped(name)))


def test_no_scene_that_judges_calibrates() -> None:
    assert not set(crops.TRAIN) & set(crops.JUDGES)
    assert len(load_dataset("photograph-crops").test_inputs) == crops.TEST_CROPS


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(MissingDataError, match="the package no-such must be installed, got no no_such/a"):
        shipped("no_such/a")
    with pytest.raises(MissingDataError, match=r"the package scikit-image must be .*; install it again"):
        shipped("skimage/data/no-such.png")
