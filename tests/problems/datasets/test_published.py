"""EMNIST and CIFAR-10 as they are published: archives, planes, and images that stand upright."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pooch
import pytest
from data_files import idx

from qubopress.problems.datasets import dataset as data
from qubopress.problems.datasets import published, sources
from qubopress.problems.errors import MissingDataError


def emnist_files(folder: Path, *, packed: bool) -> list[np.ndarray]:
    """Small files of EMNIST's names; images 3 × 2, stored column by column."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (n, 3, 2), dtype=np.uint8) for n in (5, 4)]
    labels = [rng.integers(0, 47, n, dtype=np.uint8) for n in (5, 4)]
    folder.mkdir(parents=True)
    stored = [images[0].transpose(0, 2, 1), labels[0], images[1].transpose(0, 2, 1), labels[1]]
    for file, array in zip(published.EMNIST.files, stored, strict=True):
        content = idx(np.ascontiguousarray(array))
        (folder / (file.name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    return [images[0], labels[0], images[1], labels[1]]


def cifar_files(folder: Path, *, records: int = 3) -> np.ndarray:
    """Small batches of CIFAR-10's names; all their records, the test batch last."""
    rng = np.random.default_rng(1)
    made = rng.integers(0, 256, (6 * records, 3073), dtype=np.uint8)
    made[:, 0] %= 10
    folder.mkdir(parents=True)
    for number, file in enumerate(published.CIFAR_10.files):
        (folder / file.name).write_bytes(made[number * records : (number + 1) * records].tobytes())
    return made


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the user's own, and nothing cached anywhere."""
    monkeypatch.setenv("QUBOPRESS_DATA", str(tmp_path / "own"))
    monkeypatch.setenv("QUBOPRESS_OFFLINE", "1")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache")
    data.load_dataset.cache_clear()
    yield tmp_path / "own"
    data.load_dataset.cache_clear()


@pytest.mark.parametrize("packed", [False, True])
def test_emnist_images_stand_upright(alone: Path, packed: bool) -> None:
    train_images, train_labels, test_images, _ = emnist_files(alone / "emnist-balanced", packed=packed)
    dataset = data.load_dataset("emnist-balanced")
    np.testing.assert_array_equal(np.round(dataset.train_inputs[:, 0] * 255), train_images)
    np.testing.assert_array_equal(np.round(dataset.test_inputs[:, 0] * 255), test_images)
    np.testing.assert_array_equal(dataset.train_targets, train_labels)
    assert dataset.train_inputs.flags.c_contiguous


def test_cifar_has_three_planes_and_five_training_batches(alone: Path) -> None:
    made = cifar_files(alone / "cifar-10")
    dataset = data.load_dataset("cifar-10")
    assert dataset.train_inputs.shape == (15, 3, 32, 32)
    assert dataset.test_inputs.shape == (3, 3, 32, 32)
    np.testing.assert_array_equal(dataset.train_targets, made[:15, 0])
    np.testing.assert_array_equal(np.round(dataset.test_inputs[0, 2, 0] * 255), made[15, 2049:2081])


def archive_of(folder: Path, kind: str) -> Path:
    """A .zip or .tar.gz of a folder, its files below another one, with a stranger that climbs out of it."""
    path = folder.parent / f"packed.{kind}"
    files = sorted(folder.iterdir())
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("../../escaped.txt", "no")
            for file in files:
                packed.write(file, f"gzip/{file.name}")
        return path
    with tarfile.open(path, "w:gz") as rolled:
        for file in files:
            rolled.add(file, f"../{file.name}")
    return path


@pytest.mark.parametrize(("source", "kind"), [(published.EMNIST, "zip"), (published.CIFAR_10, "tar.gz")])
def test_an_archive_gives_up_its_wanted_members_and_nothing_else(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: sources.Source, kind: str
) -> None:
    if kind == "zip":
        emnist_files(tmp_path / "made", packed=True)
    else:
        cifar_files(tmp_path / "made")
    archive = archive_of(tmp_path / "made", kind)
    asked: list[tuple[str, str]] = []

    def retrieve(url: str, *, known_hash: str, path: Path, downloader: object) -> str:
        path.mkdir(parents=True)
        asked.append((url, known_hash))
        return str(archive)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.delenv("QUBOPRESS_OFFLINE")
    name = source.name
    dataset = data.load_dataset(name)
    assert len(dataset.test_targets) in (3, 4)
    assert asked == [(source.url, f"md5:{source.archive_md5}")]
    assert not list(tmp_path.glob("**/escaped.txt"))
    kept = {path.name.removesuffix(".gz") for path in (tmp_path / "cache" / name).iterdir()}
    assert kept == {file.name for file in source.files}
    data.load_dataset.cache_clear()
    assert data.load_dataset(name).checksum == dataset.checksum
    assert len(asked) == 1


def test_an_archive_without_a_file_counts_as_a_failed_download(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cifar_files(tmp_path / "made")
    (tmp_path / "made" / "test_batch.bin").unlink()
    archive = archive_of(tmp_path / "made", "tar.gz")
    monkeypatch.setattr(pooch, "retrieve", lambda *_, **__: str(archive))
    monkeypatch.delenv("QUBOPRESS_OFFLINE")
    with pytest.raises(MissingDataError, match=r"cifar-10 is not on this machine and its download failed"):
        data.load_dataset("cifar-10")


def test_a_data_set_without_a_package_names_the_folder_alone(alone: Path) -> None:
    with pytest.raises(MissingDataError, match=r"download; set QUBOPRESS_DATA to a folder with its 6 files"):
        data.load_dataset("cifar-10")
