"""The cache: built once, mapped, never stale, never half written, never of a caller's data."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qubopress import problems
from qubopress.problems import cache
from qubopress.problems.arrays import Floats


class Counted:
    """A build that counts how often it ran."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self) -> dict[str, Floats]:
        self.runs += 1
        return {"gram": np.eye(3) * 0.1, "span": np.array([0.0, 1.0])}


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> problems.Task:
    monkeypatch.setenv("QUBOPRESS_CACHE", str(tmp_path / "kept"))
    return problems.classification_task("digits-mlp", calibration=20)


def test_a_piece_is_built_once_and_comes_back_mapped_and_equal(task: problems.Task) -> None:
    build = Counted()
    for _ in range(3):
        found = cache.cached(task, "piece", build)
    assert build.runs == 1
    assert isinstance(found["gram"], np.memmap)
    assert not found["gram"].flags.writeable
    np.testing.assert_array_equal(found["gram"], build()["gram"])


@pytest.mark.parametrize("change", ["piece", "identity", "code"])
def test_another_piece_task_or_code_is_built_anew(
    task: problems.Task, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = Counted()
    cache.cached(task, "piece", build)
    if change == "code":
        monkeypatch.setattr(cache, "_code", lambda: "another")
    other = dataclasses.replace(task, identity="another") if change == "identity" else task
    cache.cached(other, "another" if change == "piece" else "piece", build)
    assert build.runs == 2


def test_a_callers_data_never_goes_to_disk(task: problems.Task, tmp_path: Path) -> None:
    own = problems.own_task(task.network, (task.inputs, task.targets))
    build = Counted()
    for _ in range(2):
        cache.cached(own, "piece", build)
    assert build.runs == 2
    assert not (tmp_path / "kept").exists()


def test_a_damaged_piece_is_built_again(task: problems.Task, tmp_path: Path) -> None:
    build = Counted()
    cache.cached(task, "piece", build)
    (file,) = (tmp_path / "kept").glob("*/gram.npy")
    file.write_bytes(b"not an array")
    found = cache.cached(task, "piece", build)
    np.testing.assert_array_equal(found["gram"], build()["gram"])


def test_one_flipped_bit_in_a_piece_is_found_and_the_piece_built_again(
    task: problems.Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = Counted()
    cache.cached(task, "piece", build)
    (file,) = (tmp_path / "kept").glob("*/gram.npy")
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    monkeypatch.setattr(cache, "_sound", {})
    found = cache.cached(task, "piece", build)
    assert build.runs == 2
    np.testing.assert_array_equal(found["gram"], build()["gram"])


def test_a_piece_without_its_checksums_is_built_again(
    task: problems.Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = Counted()
    cache.cached(task, "piece", build)
    for sums in (tmp_path / "kept").glob("*/checksums.txt"):
        sums.unlink()
    monkeypatch.setattr(cache, "_sound", {})
    cache.cached(task, "piece", build)
    assert build.runs == 2


def test_who_judges_builds_anew_once_and_leaves_the_kept_pieces(task: problems.Task, tmp_path: Path) -> None:
    build = Counted()
    cache.cached(task, "piece", build)
    before = sorted((tmp_path / "kept").rglob("*"))
    (tmp_path / "anew").mkdir()
    with cache.kept_in(tmp_path / "anew"):
        for _ in range(3):
            cache.cached(task, "piece", build)
        assert build.runs == 2
    assert sorted((tmp_path / "kept").rglob("*")) == before
    cache.cached(task, "piece", build)
    assert build.runs == 2


def test_without_a_place_to_write_everything_still_works(
    task: problems.Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("QUBOPRESS_CACHE", str(tmp_path / "file"))
    build = Counted()
    np.testing.assert_array_equal(cache.cached(task, "piece", build)["span"], [0.0, 1.0])
    assert build.runs >= 1


def test_many_at_once_leave_one_whole_piece(task: problems.Task, tmp_path: Path) -> None:
    found: list[Any] = []
    barrier = threading.Barrier(8)

    def reader() -> None:
        barrier.wait()
        found.append(cache.cached(task, "piece", Counted())["gram"].sum())

    threads = [threading.Thread(target=reader) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [pytest.approx(0.3)] * 8
    (kept,) = (tmp_path / "kept").iterdir()
    assert sorted(path.name for path in kept.iterdir()) == ["checksums.txt", "gram.npy", "span.npy"]


def test_the_instance_is_the_same_from_the_cache(task: problems.Task) -> None:
    generate = problems.get("adaround").generate
    first, second = (next(generate(task, bits=3)) for _ in range(2))
    assert isinstance(first, problems.Rounding)
    assert isinstance(second, problems.Rounding)
    np.testing.assert_array_equal(first.gram, second.gram)
    assert first.loss(first.nearest()) == second.loss(second.nearest())


# ---- pieces that another machine sent


@pytest.fixture
def packed(task: problems.Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, bytes]:
    """Key and bytes of a piece that is kept elsewhere."""
    monkeypatch.setattr(cache, "_used", {})
    cache.cached(task, "piece", Counted())
    (key,) = cache.used()
    content = cache.pack(key)
    assert content is not None
    monkeypatch.setenv("QUBOPRESS_CACHE", str(tmp_path / "here"))
    assert cache.lacking([key]) == [key]
    return key, content


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_piece_that_was_sent_is_not_built(task: problems.Task, packed: tuple[str, bytes]) -> None:
    key, content = packed
    assert cache.unpack(key, content, digest(content))
    assert cache.lacking([key]) == []
    build = Counted()
    found = cache.cached(task, "piece", build)
    assert build.runs == 0
    for name, array in build().items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_a_piece_that_is_here_already_is_kept(packed: tuple[str, bytes], tmp_path: Path) -> None:
    key, content = packed
    cache.unpack(key, content, digest(content))
    before = (tmp_path / "here" / key).stat().st_ino
    assert cache.unpack(key, content, digest(content))
    assert (tmp_path / "here" / key).stat().st_ino == before


@pytest.mark.parametrize("harm", ["cut", "changed", "no arrays", "pickled"])
def test_bytes_that_are_no_whole_piece_are_not_kept(
    packed: tuple[str, bytes], harm: str, tmp_path: Path
) -> None:
    key, content = packed
    pickled = io.BytesIO()
    np.savez(pickled, gram=np.array([{}], dtype=object))
    told = {"cut": content[:-30], "changed": content, "no arrays": b"text", "pickled": pickled.getvalue()}
    name = digest(b"another" if harm == "changed" else told[harm])
    assert not cache.unpack(key, told[harm], name)
    assert not (tmp_path / "here" / key).exists()


@pytest.mark.parametrize("key", ["", "../kept", "/etc", "A" * 32, "a" * 31, "a" * 32 + "\n"])
def test_what_is_no_key_names_no_folder(key: str, packed: tuple[str, bytes], tmp_path: Path) -> None:
    _, content = packed
    assert cache.pack(key) is None
    assert cache.lacking([key]) == []
    assert not cache.unpack(key, content, digest(content))
    assert not (tmp_path / "here").exists()
