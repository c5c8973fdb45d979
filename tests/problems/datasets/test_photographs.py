"""Photographs come from the installed packages, are split by scene, and get a sensor's noise by seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qubopress.problems import InputError, MissingDataError
from qubopress.problems.datasets import photographs, pictures
from qubopress.problems.datasets.dataset import load_dataset

RNG = np.random.default_rng(0)


def grey(light: float, *, side: int = 128, images: int = 1) -> np.ndarray:
    """Images (N, 3, side, side) in sRGB of one linear light."""
    value = photographs._to_srgb(np.float64(light))
    return np.full((images, 3, side, side), value, dtype=np.float32)


def level(monkeypatch: pytest.MonkeyPatch, *, shot: float, read: float) -> None:
    """Noise of one level alone."""
    monkeypatch.setattr(photographs, "SHOT", (shot, shot))
    monkeypatch.setattr(photographs, "READ", (read, read))


# ---- The data set


def test_noisy_and_clean_images_come_in_pairs() -> None:
    data = load_dataset("photographs")
    assert data.train_inputs.shape == data.train_targets.shape == (1077, 3, 32, 32)
    assert data.test_inputs.shape == data.test_targets.shape == (36, 3, 96, 96)
    for array in (data.train_inputs, data.train_targets, data.test_inputs, data.test_targets):
        assert array.dtype == np.float32
        assert not array.flags.writeable
        assert array.min() >= 0
        assert array.max() <= 1
    assert np.abs(data.train_inputs - data.train_targets).mean(axis=(1, 2, 3)).min() > 0


def test_more_photographs_begin_with_the_others_and_are_judged_by_the_same() -> None:
    data, more = load_dataset("photographs"), load_dataset("more-photographs")
    assert more.train_inputs.shape == more.train_targets.shape == (2869, 3, 32, 32)
    np.testing.assert_array_equal(more.train_inputs[:1077], data.train_inputs)
    np.testing.assert_array_equal(more.test_inputs, data.test_inputs)
    assert more.checksum != data.checksum


def test_a_grey_photograph_is_the_same_in_three_colours_where_it_may_be_grey() -> None:
    path = photographs._path("skimage/data/camera.png")
    grey = pictures.read_picture(path, grey=True)
    assert grey.shape == (3, 512, 512)
    assert (grey == grey[0]).all()
    with pytest.raises(InputError, match="must hold 8-bit red, green and blue, got mode L; convert it"):
        pictures.read_picture(path)


def test_no_scene_is_on_both_sides() -> None:
    trained = photographs.TRAIN + photographs.MORE
    assert not set(trained) & set(photographs.TEST)
    stereo = [name for name in trained + photographs.TEST if "motorcycle" in name]
    assert len(stereo) == 1  # both eyes see one scene


def test_a_test_image_comes_back_under_each_draw_of_noise() -> None:
    data = load_dataset("photographs")
    noisy, clean = (array.reshape(12, 3, 3, 96, 96) for array in (data.test_inputs, data.test_targets))
    assert (clean == clean[:, :1]).all()
    assert len({image.tobytes() for image in clean[:, 0]}) == 12
    assert len({image.tobytes() for image in noisy.reshape(36, -1)}) == 36


def test_more_draws_leave_the_first_ones() -> None:
    noisy, clean = photographs.held_out_images(seeds=4)
    data = load_dataset("photographs")
    np.testing.assert_array_equal(noisy[:, :3].reshape(data.test_inputs.shape), data.test_inputs)
    np.testing.assert_array_equal(clean[:, :3].reshape(data.test_inputs.shape), data.test_targets)


def test_the_checksum_tells_how_noise_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    before = photographs._checksum()
    assert photographs._checksum() == before == load_dataset("photographs").checksum
    level(monkeypatch, shot=0.01, read=0.01)
    assert photographs._checksum() != before


def test_a_picture_that_does_not_ship_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs, "TRAIN", ("skimage/data/unicorn.png",))
    with pytest.raises(MissingDataError, match=r"unicorn.png must ship with scikit-image, got no such file"):
        photographs.photographs()


# ---- Noise


def test_noise_is_a_function_of_the_seed_and_of_an_images_place() -> None:
    clean = grey(0.2, side=8, images=3)
    noisy = photographs.sensor_noise(clean, seed=5)
    np.testing.assert_array_equal(photographs.sensor_noise(clean[:2], seed=5), noisy[:2])
    assert not np.array_equal(photographs.sensor_noise(clean, seed=6), noisy)
    assert not np.array_equal(noisy[0], noisy[1])


@pytest.mark.parametrize("light", [0.1, 0.3, 0.6])
def test_the_variance_grows_with_the_light(monkeypatch: pytest.MonkeyPatch, light: float) -> None:
    level(monkeypatch, shot=0.004, read=0.01)
    noisy = photographs.sensor_noise(grey(light, side=256), seed=0)
    seen = photographs._to_light(noisy.astype(np.float64))
    assert seen.mean() == pytest.approx(light, rel=0.005)
    assert seen.var() == pytest.approx(0.004 * light + 0.01**2, rel=0.03)


def test_noise_is_that_of_counts_where_there_is_no_read_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    level(monkeypatch, shot=0.02, read=1e-9)
    seen = photographs._to_light(photographs.sensor_noise(grey(0.2), seed=0).astype(np.float64)) / 0.02
    np.testing.assert_allclose(seen, np.round(seen), atol=1e-3)


def test_each_image_has_its_own_level() -> None:
    noisy = photographs.sensor_noise(grey(0.3, images=40), seed=0)
    spread = noisy.std(axis=(1, 2, 3))
    assert spread.max() > 3 * spread.min()


def test_light_goes_to_srgb_and_back() -> None:
    values = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(photographs._to_srgb(photographs._to_light(values)), values, atol=1e-7)
    assert photographs._to_light(np.array(0.5)) == pytest.approx(0.2140, abs=1e-4)  # IEC 61966-2-1


# ---- Pictures


def test_tiles_are_disjoint_and_in_order() -> None:
    picture = np.arange(3 * 5 * 7, dtype=np.uint8).reshape(3, 5, 7)
    squares = pictures.tiles(picture, 2)
    assert squares.shape == (6, 3, 2, 2)
    np.testing.assert_array_equal(squares[4], picture[:, 2:4, 2:4])
    values = squares[:, 0].ravel()
    assert len(set(values.tolist())) == len(values)


def test_few_tiles_are_spread_over_the_picture() -> None:
    picture = RNG.integers(0, 256, (3, 8, 20), dtype=np.uint8)
    every = pictures.tiles(picture, 2)
    np.testing.assert_array_equal(pictures.tiles(picture, 2, most=4), every[[5, 15, 25, 35]])
    np.testing.assert_array_equal(pictures.tiles(picture, 2, most=99), every)


def test_a_picture_comes_as_it_was_written(tmp_path: Path) -> None:
    array = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(array).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pictures.read_picture(tmp_path / "a.png"), array.transpose(2, 0, 1))


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        pictures.read_picture(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_colour_picture_is_refused_in_one_line(tmp_path: Path) -> None:
    colour = Image.fromarray(RNG.integers(0, 256, (40, 70, 3), dtype=np.uint8))
    colour.convert("L").save(tmp_path / "grey.png")
    colour.save(tmp_path / "a.gif")
    colour.save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "half.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.png").write_text("no picture")
    refused(tmp_path / "grey.png", "must hold 8-bit red, green and blue, got mode L; convert it")
    refused(tmp_path / "a.gif", "must be a readable PNG or JPEG, got: cannot identify image file")
    refused(tmp_path / "half.png", "must be a readable PNG or JPEG, got:")
    refused(tmp_path / "text.png", "must be a readable PNG or JPEG, got: cannot identify image file")
    refused(tmp_path / "absent.png", "must be a readable PNG or JPEG, got:.*No such file")


def test_a_picture_that_announces_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (40, 70)).save(tmp_path / "a.png")
    monkeypatch.setattr(pictures, "LIMIT", 2799)
    refused(tmp_path / "a.png", "must have at most 2,799 pixels, got 40 × 70; cut it")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # where the library itself would warn
    refused(tmp_path / "a.png", "must have at most 2,799 pixels")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # and where it would raise
    refused(tmp_path / "a.png", "must be a readable PNG or JPEG, got: Image size")
