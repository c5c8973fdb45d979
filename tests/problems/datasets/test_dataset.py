"""The data sets are what they were, are found where the user says, and damaged files are refused."""

from __future__ import annotations

import gzip
import hashlib
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pooch
import pytest

from qubopress.problems.datasets import cifar, published, sources
from qubopress.problems.datasets import dataset as data
from qubopress.problems.datasets import idx as idx_files
from qubopress.problems.errors import InputError, MissingDataError

CUBE = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def refused(path: Path, content: bytes) -> str:
    """The one line in which `read_idx` refuses a file of this content; it must name the file."""
    path.write_bytes(content)
    with pytest.raises(InputError, match=path.name) as error:
        idx_files.read_idx(path)
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- IDX files


def test_a_plain_and_a_gzip_file_hold_the_same_array(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(idx(CUBE))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(idx(CUBE)))
    for name in ("plain", "packed.gz"):
        array = idx_files.read_idx(tmp_path / name)
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, CUBE)


def test_the_digest_is_of_the_content_whatever_its_compression(tmp_path: Path) -> None:
    digest = hashlib.sha256(idx(CUBE)).hexdigest()
    for level in (1, 9):
        (tmp_path / "file.gz").write_bytes(gzip.compress(idx(CUBE), level))
        np.testing.assert_array_equal(idx_files.read_idx(tmp_path / "file.gz", sha256=digest), CUBE)
    (tmp_path / "file.gz").write_bytes(gzip.compress(idx(CUBE[::-1])))
    with pytest.raises(InputError, match=r"must have the sha256 .* got other content; fetch it again"):
        idx_files.read_idx(tmp_path / "file.gz", sha256=digest)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_content_shorter_or_longer_than_announced_is_refused(tmp_path: Path, pack: type[bytes]) -> None:
    assert "must hold 24 bytes after its header, got 23" in refused(tmp_path / "f", pack(idx(CUBE)[:-1]))
    assert "must hold 24 bytes after its header, got more" in refused(tmp_path / "f", pack(idx(CUBE) + b"\0"))


@pytest.mark.parametrize(
    "magic", [b"\x01\x00\x08\x01", b"\x00\x00\x0d\x01", b"\x00\x00\x08\x00", b"\x00\x00\x08\x05"]
)
def test_a_wrong_magic_type_or_number_of_axes_is_refused(tmp_path: Path, magic: bytes) -> None:
    message = refused(tmp_path / "f", magic + idx(CUBE)[4:])
    assert "must begin as an IDX file" in message
    assert magic.hex(" ") in message


def test_a_truncated_header_is_refused(tmp_path: Path) -> None:
    assert "an empty file" in refused(tmp_path / "f", b"")
    assert "must begin as an IDX file" in refused(tmp_path / "f", b"\0\0\x08")
    assert "a truncated header" in refused(tmp_path / "f", idx(CUBE)[:15])


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(idx(CUBE))
    assert "must be a readable file" in refused(tmp_path / "f", packed[:-12])
    wrong_sum = packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]
    assert "must be a readable file" in refused(tmp_path / "f", wrong_sum)


def test_a_header_that_announces_gigabytes_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    huge = b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1)
    assert "must announce at most" in refused(tmp_path / "f", huge)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be a readable file.*No such file"):
        idx_files.read_idx(tmp_path / "absent")


# ---- Where a collection is looked for


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
    monkeypatch.setitem(published.COLLECTIONS, "tiny", (source, published._read_idx_files))
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


# ---- Archives, EMNIST and CIFAR-10


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must hold whole records of 3073 bytes, got 0 bytes"),
        (b"\0" * 3072, "must hold whole records of 3073 bytes, got 3,072 bytes"),
        (b"\x0a" + b"\0" * 3072, "must hold labels below 10, got 10"),
    ],
)
def test_a_damaged_batch_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "batch.bin").write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        cifar.read_batches([tmp_path / "batch.bin"])
    assert "\n" not in str(error.value)


def test_a_batch_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be readable, got: No such file"):
        cifar.read_batches([tmp_path / "batch.bin"])


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


@pytest.mark.parametrize(("name", "kind"), [("emnist-balanced", "zip"), ("cifar-10", "tar.gz")])
def test_an_archive_gives_up_its_wanted_members_and_nothing_else(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
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
    source, _ = published.COLLECTIONS[name]
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


# ---- The data sets themselves


def fashion_mnist() -> data.Dataset:
    if published.FASHION_MNIST.find() is None:
        pytest.skip("Fashion-MNIST is not on this machine")
    return data.load_dataset("fashion-mnist")


def test_digits_are_split_as_ever() -> None:
    digits = data.load_dataset("digits")
    assert digits.train_inputs.shape == (1297, 1, 8, 8)
    assert digits.test_inputs.shape == (500, 1, 8, 8)
    assert digits.checksum == "9893662449ea791a65185e1e7c9aca1e7836b608ebbf4e96fc7a52f9f51fc583"


def test_each_class_of_the_digits_has_its_share_of_the_test_split() -> None:
    digits = data.load_dataset("digits")
    tests = np.bincount(digits.test_targets)
    share = (np.bincount(digits.train_targets) + tests) * 500 / 1797
    assert np.all(np.abs(tests - share) < 1)


def test_no_test_digit_is_also_a_training_digit() -> None:
    digits = data.load_dataset("digits")
    train = {image.tobytes() for image in digits.train_inputs}
    assert train.isdisjoint(image.tobytes() for image in digits.test_inputs)


def test_fashion_mnist_is_the_published_one() -> None:
    fashion = fashion_mnist()
    assert fashion.train_inputs.shape == (60000, 1, 28, 28)
    assert fashion.test_inputs.shape == (10000, 1, 28, 28)
    np.testing.assert_array_equal(np.bincount(fashion.train_targets), [6000] * 10)
    assert fashion.checksum == "eee656c63c1c7a3b7c885d28c97fd74dc039264ce75eae7cb8d991df379ef736"


@pytest.mark.parametrize("name", ["digits", "fashion-mnist"])
def test_arrays_are_scaled_contiguous_and_frozen(name: str) -> None:
    dataset = data.load_dataset(name) if name == "digits" else fashion_mnist()
    for inputs in (dataset.train_inputs, dataset.test_inputs):
        assert inputs.dtype == np.float32
        assert (inputs.min(), inputs.max()) == (0, 1)
        assert inputs.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            inputs[0] = 0
    for targets in (dataset.train_targets, dataset.test_targets):
        assert targets.dtype == np.int64
        assert set(targets) == set(range(10))
        with pytest.raises(ValueError, match="read-only"):
            targets[0] = 0


def test_the_checksum_tells_every_array_apart() -> None:
    arrays = [np.arange(4, dtype=np.uint8).reshape(1, 2, 2), np.arange(1, dtype=np.uint8)] * 2
    sums = {data._checksum(arrays)}
    for position in range(4):
        changed = [array + (where == position) for where, array in enumerate(arrays)]
        sums.add(data._checksum([array.astype(np.uint8) for array in changed]))
    sums.add(data._checksum([arrays[0].reshape(1, 1, 4), *arrays[1:]]))
    assert len(sums) == 6


def test_a_data_set_is_loaded_once() -> None:
    assert data.load_dataset("digits") is data.load_dataset("digits")


def test_an_unknown_name_gets_the_closest_or_all() -> None:
    assert data.dataset_names() == [
        "cifar-10", "digits", "emnist-balanced", "fashion-mnist", "mnist", "photographs", "sidd"
    ]  # fmt: skip
    with pytest.raises(InputError, match="no data set named 'digit'; did you mean 'digits'"):
        data.load_dataset("digit")
    with pytest.raises(
        InputError, match="choose from cifar-10, digits, emnist-balanced, fashion-mnist, mnist"
    ):
        data.load_dataset("zzz")


# ---- Calibration


def test_a_calibration_draw_holds_distinct_training_samples() -> None:
    digits = data.load_dataset("digits")
    inputs, targets, indices = data.calibration_draw(digits, 200, seed=3)
    assert inputs.shape == (200, 1, 8, 8)
    assert len(set(indices)) == 200
    np.testing.assert_array_equal(inputs, digits.train_inputs[indices])
    np.testing.assert_array_equal(targets, digits.train_targets[indices])


def test_a_calibration_draw_holds_no_test_sample() -> None:
    digits = data.load_dataset("digits")
    inputs, _, _ = data.calibration_draw(digits, len(digits.train_targets), seed=0)
    assert {x.tobytes() for x in inputs}.isdisjoint(x.tobytes() for x in digits.test_inputs)


def test_a_calibration_draw_depends_on_its_seed_alone() -> None:
    digits = data.load_dataset("digits")
    first = data.calibration_draw(digits, 50, seed=1)[2]
    np.random.default_rng(0).random(10)
    np.testing.assert_array_equal(data.calibration_draw(digits, 50, seed=1)[2], first)
    assert not np.array_equal(data.calibration_draw(digits, 50, seed=2)[2], first)


def test_a_smaller_calibration_draw_begins_a_larger_one() -> None:
    digits = data.load_dataset("digits")
    small, large = (data.calibration_draw(digits, count, seed=1)[2] for count in (50, 100))
    np.testing.assert_array_equal(large[:50], small)


def test_a_calibration_draw_refuses_counts_and_seeds_out_of_range() -> None:
    digits = data.load_dataset("digits")
    for count in (0, -1, 1298):
        with pytest.raises(InputError, match=rf"count must lie in \[1, 1297\], got {count};"):
            data.calibration_draw(digits, count, seed=0)
    with pytest.raises(InputError, match="seed must be 0 or more, got -1"):
        data.calibration_draw(digits, 5, seed=-1)
