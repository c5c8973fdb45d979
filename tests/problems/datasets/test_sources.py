"""Where the files of a data set are looked for, and how they are fetched."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pooch
import pytest
from data_files import idx

from qubopress.problems.datasets import dataset as data
from qubopress.problems.datasets import published, sources
from qubopress.problems.errors import InputError, MissingDataError


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sources.Source]:
    """A data set of four small files that no folder holds yet; nothing outside `tmp_path` is looked at."""
    arrays = (np.arange(60).reshape(15, 2, 2), np.arange(15) % 3, np.arange(8).reshape(2, 2, 2), np.arange(2))
    contents = [idx(array.astype(np.uint8)) for array in arrays]
    files = tuple(
        replace(file, sha256=hashlib.sha256(content).hexdigest())
        for file, content in zip(published.FASHION_MNIST.files, contents, strict=True)
    )
    source = sources.Source(
        "tiny", files, "http://invalid/", debian="dataset-tiny", folder=tmp_path / "system"
    )
    origin = data.of_files(source, published.read_idx_files, what="tiny images")
    monkeypatch.setitem(data.DATASETS, "tiny", origin)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache")
    monkeypatch.setenv("QUBOPRESS_OFFLINE", "1")
    monkeypatch.setenv("QUBOPRESS_DATA", str(tmp_path / "own"))
    (tmp_path / "source").mkdir()
    for file, content in zip(files, contents, strict=True):
        (tmp_path / "source" / file.name).write_bytes(content)
    data.load_dataset.cache_clear()
    yield source
    data.load_dataset.cache_clear()


def install(source: sources.Source, folder: Path, *, packed: bool) -> None:
    folder.mkdir(parents=True)
    assert source.folder is not None
    for file in source.files:
        content = (source.folder.parent / "source" / file.name).read_bytes()
        target = folder / (file.name + ".gz" * packed)
        target.write_bytes(gzip.compress(content) if packed else content)


def fresh() -> data.Dataset:
    """The small data set, read anew."""
    data.load_dataset.cache_clear()
    return data.load_dataset("tiny")


def test_the_users_folders_come_before_the_systems_and_the_cache_last(
    tiny: sources.Source, tmp_path: Path
) -> None:
    assert tiny.find() is None
    weakest_first = [tmp_path / "cache" / "tiny", tiny.folder, tmp_path / "own", tmp_path / "own" / "tiny"]
    for folder in weakest_first:
        install(tiny, folder, packed=True)
        assert {path.parent for path in tiny.find() or []} == {folder}


def test_an_empty_data_variable_counts_as_none(
    tiny: sources.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tiny, tmp_path / "here", packed=False)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("QUBOPRESS_DATA", "")
    assert tiny.find() is None


def test_a_folder_that_lacks_a_file_is_passed_over(tiny: sources.Source, tmp_path: Path) -> None:
    install(tiny, tmp_path / "own", packed=True)
    install(tiny, tiny.folder, packed=True)
    (tmp_path / "own" / f"{tiny.files[3].name}.gz").unlink()
    assert {path.parent for path in tiny.find() or []} == {tiny.folder}


def test_plain_and_packed_sources_give_the_same_data_set(tiny: sources.Source, tmp_path: Path) -> None:
    install(tiny, tmp_path / "own", packed=False)
    plain = fresh()
    install(tiny, tmp_path / "own" / "tiny", packed=True)
    packed = fresh()
    assert plain.checksum == packed.checksum
    assert plain.train_inputs.shape == (15, 1, 2, 2)
    np.testing.assert_array_equal(plain.train_inputs.ravel() * 255, np.arange(60))
    np.testing.assert_array_equal(plain.test_targets, [0, 1])


def test_a_file_with_other_content_is_refused_from_any_source(tiny: sources.Source) -> None:
    install(tiny, tiny.folder, packed=True)
    (tiny.folder / f"{tiny.files[1].name}.gz").write_bytes(gzip.compress(idx(np.zeros(15, dtype=np.uint8))))
    with pytest.raises(InputError, match=r"train-labels.* must have the sha256"):
        fresh()


def test_missing_data_says_in_one_line_how_to_get_it(tiny: sources.Source) -> None:
    with pytest.raises(
        MissingDataError, match=r"OFFLINE.*apt install dataset-tiny.*QUBOPRESS_DATA.*4 files \(train-images"
    ) as error:
        data.load_dataset("tiny")
    assert "\n" not in str(error.value)


def test_offline_nothing_is_downloaded(tiny: sources.Source, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(pooch, "retrieve", lambda url, **_: asked.append(url))
    with pytest.raises(MissingDataError, match="QUBOPRESS_OFFLINE forbids"):
        fresh()
    assert asked == []


def test_a_failed_download_says_how_to_get_the_data(
    tiny: sources.Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(url: str, **options: object) -> str:
        raise ConnectionError("line one\nline two")

    monkeypatch.setattr(pooch, "retrieve", unreachable)
    monkeypatch.setenv("QUBOPRESS_OFFLINE", "0")
    with pytest.raises(MissingDataError, match=r"download failed \(ConnectionError\); install it") as error:
        fresh()
    assert "\n" not in str(error.value)


def test_a_download_asks_for_upstreams_files_with_their_checksums(
    tiny: sources.Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[str, str]] = []

    def retrieve(url: str, *, known_hash: str, fname: str, path: Path, downloader: object) -> str:
        asked.append((url, known_hash))
        return str(tmp_path / "source" / fname.removesuffix(".gz"))

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.delenv("QUBOPRESS_OFFLINE")
    assert len(fresh().train_targets) == 15
    assert asked == [(f"http://invalid/{file.name}.gz", f"md5:{file.md5}") for file in tiny.files]
