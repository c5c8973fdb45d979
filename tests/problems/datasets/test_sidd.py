"""SIDD's small set is found where the user put it, split by scene, and refused where it is not whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qubopress.problems import InputError, MissingDataError
from qubopress.problems.datasets.dataset import load_dataset
from qubopress.problems.datasets.sidd import sidd


def write(root: Path, number: int, scene: int, *, side: tuple[int, int] = (100, 200)) -> Path:
    """A picture's folder as SIDD has it; its clean picture is all `scene`, its noisy one 1 more."""
    place = root / "Data" / f"{number:04}_{scene:03}_S6_00100_00060_3200_L"
    place.mkdir(parents=True)
    for name, value in (("NOISY", scene + 1), ("GT", scene)):
        Image.new("RGB", side[::-1], (value, number, 0)).save(place / f"{name}_SRGB_010.PNG")
    return place


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUBOPRESS_DATA", str(tmp_path))
    load_dataset.cache_clear()
    return tmp_path


def scenes_of(images: np.ndarray) -> set[int]:
    return set(np.round(images[:, 0] * 255).astype(int).ravel().tolist())


def test_every_third_scene_is_held_out(root: Path) -> None:
    for number in range(1, 13):
        write(root, number, (number - 1) // 2 + 1)
    data = load_dataset("sidd")
    assert scenes_of(data.train_targets) == {1, 2, 4, 5}
    assert scenes_of(data.test_targets) == {3, 6}
    assert scenes_of(data.train_inputs) == {2, 3, 5, 6}  # noisy ones are 1 more
    assert data.train_inputs.shape == (8 * 18, 3, 32, 32)
    assert data.test_inputs.shape == (4 * 2, 3, 96, 96)
    assert data.name == "sidd"


def test_noisy_and_clean_squares_come_from_the_same_picture(root: Path) -> None:
    for number in range(1, 5):
        write(root, number, number)
    noisy, clean, test_noisy, test_clean, _ = sidd()
    np.testing.assert_array_equal(noisy[:, 1], clean[:, 1])
    np.testing.assert_array_equal(test_noisy[:, 1], test_clean[:, 1])


def test_two_scenes_train_on_one(root: Path) -> None:
    write(root, 1, 1)
    write(root, 2, 5)
    _, clean, _, test_clean, _ = sidd()
    assert (scenes_of(clean), scenes_of(test_clean)) == ({1}, {5})


def test_a_scene_of_many_pictures_gives_a_few_of_them(root: Path) -> None:
    for number in range(1, 12):
        write(root, number, 1)
    write(root, 12, 2)
    _, clean, *_ = sidd()
    assert set(np.round(clean[:, 1] * 255).astype(int).ravel().tolist()) == {1, 4, 7, 10}


@pytest.mark.parametrize("folder", ["sidd", "SIDD_Small_sRGB_Only"])
def test_the_set_may_lie_in_a_folder_of_its_own(root: Path, folder: str) -> None:
    write(root / folder, 1, 1)
    write(root / folder, 2, 2)
    assert len(sidd()[0])


def test_the_checksum_is_that_of_the_content(root: Path) -> None:
    for number in range(1, 4):
        place = write(root, number, number)
    before = sidd()[4]
    assert sidd()[4] == before
    Image.new("RGB", (200, 100), (9, 9, 9)).save(place / "GT_SRGB_010.PNG")
    assert sidd()[4] != before


def test_a_set_that_is_not_there_is_said_to_be_missing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingDataError, match=r"holds no such folder; fetch SIDD_Small_sRGB_Only from"):
        load_dataset("sidd")
    (root / "Data").mkdir()
    with pytest.raises(MissingDataError, match="must hold folders such as 0001_001_S6_00100_00060_3200_L"):
        load_dataset("sidd")
    monkeypatch.delenv("QUBOPRESS_DATA")
    with pytest.raises(MissingDataError, match="but QUBOPRESS_DATA is not set; fetch"):
        load_dataset("sidd")


def test_one_scene_cannot_be_split(root: Path) -> None:
    write(root, 1, 1)
    with pytest.raises(InputError, match="must have at least 2 scenes, to split them, got 1"):
        sidd()


def test_a_picture_without_its_counterpart_is_refused(root: Path) -> None:
    (write(root, 1, 1) / "GT_SRGB_010.PNG").unlink()
    with pytest.raises(InputError, match=r"must have GT_SRGB_010.PNG beside it, got no such file"):
        sidd()


def test_pictures_that_do_not_fit_each_other_are_refused(root: Path) -> None:
    place = write(root, 1, 1)
    write(root, 2, 2)
    Image.new("RGB", (200, 101)).save(place / "GT_SRGB_010.PNG")
    with pytest.raises(InputError, match=r"must be as large as .*, got 200 × 100 and 200 × 101"):
        sidd()


def test_a_picture_smaller_than_a_square_is_refused(root: Path) -> None:
    write(root, 1, 1)
    write(root, 2, 2, side=(95, 200))
    with pytest.raises(InputError, match=r"must be at least 96 × 96, got 200 × 95"):
        sidd()


def test_a_damaged_picture_is_refused(root: Path) -> None:
    place = write(root, 1, 1)
    write(root, 2, 2)
    (place / "NOISY_SRGB_010.PNG").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(InputError, match="must be a readable PNG or JPEG"):
        sidd()
