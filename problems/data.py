"""Data sets: 8×8 digits and Fashion-MNIST, known by their bytes and not by where the bytes came from.

References: Alpaydin & Kaynak 1998 (UCI optical digits, the copy inside scikit-learn);
Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747 (Fashion-MNIST); LeCun's MNIST page (the IDX format).
"""

from __future__ import annotations

import difflib
import gzip
import hashlib
import math
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, MissingDataError

__all__ = ["Dataset", "calibration_draw", "dataset_names", "load_dataset", "read_idx"]

Bytes: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
Labels: TypeAlias = NDArray[np.int64]

DIGITS_TEST = 500  # of 1,797 images; the other 1,297 train
DIGITS_SEED = 1797
DIGITS_PEAK = 16  # brightest pixel of the 8×8 digits
IDX_LIMIT = 1 << 30  # bytes of content; EMNIST's largest file, the biggest of the family, has 0.55e9


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, split once and for all. Every array is read-only.

    `train_inputs` and `test_inputs` are float32 (N, 1, height, width) in [0, 1]; the targets are int64 (N,).
    `checksum` is the sha256 of shapes and unscaled bytes in split order, the same whatever the source.
    """

    name: str
    train_inputs: Floats = field(repr=False)
    train_targets: Labels = field(repr=False)
    test_inputs: Floats = field(repr=False)
    test_targets: Labels = field(repr=False)
    checksum: str


@cache
def load_dataset(name: str) -> Dataset:
    """Load `digits` or `fashion-mnist`; the second call costs nothing.

    Raises InputError for an unknown name or a damaged file, MissingDataError where the data is not to be had.
    """
    if name == "digits":
        return _load_digits()
    if name in IDX_COLLECTIONS:
        return _load_collection(IDX_COLLECTIONS[name])
    raise unknown_name("data set", name, dataset_names())


def dataset_names() -> list[str]:
    """Every name that `load_dataset` knows, sorted."""
    return sorted(["digits", *IDX_COLLECTIONS])


def calibration_draw(dataset: Dataset, count: int, *, seed: int) -> tuple[Floats, Labels, Labels]:
    """Draw `count` training samples without replacement: inputs (count, ...), targets and indices (count,).

    The test split is never touched. Draws of one seed are nested, a smaller one begins a larger one, so that
    a sweep over the amount of calibration data changes nothing else.
    Raises InputError unless 1 ≤ count ≤ N and seed ≥ 0.
    """
    available = len(dataset.train_targets)
    if not 1 <= count <= available:
        raise InputError(
            f"count must lie in [1, {available}], got {count}; draw from the {available} training samples "
            f"of {dataset.name} that there are"
        )
    if seed < 0:
        raise InputError(f"seed must be 0 or more, got {seed}; pass a non-negative integer")
    indices = _shuffled(available, seed=seed)[:count]
    return dataset.train_inputs[indices], dataset.train_targets[indices], indices


def read_idx(path: Path, *, sha256: str | None = None) -> Bytes:
    """Read an IDX file of unsigned bytes (MNIST's format), plain or gzip, into a uint8 array.

    `sha256` is the wanted digest of the decompressed file, header included.
    Raises InputError, in one line, for a file that cannot be read, is no IDX of unsigned bytes, is longer or
    shorter than its header says, or has another digest.
    """
    try:
        with _open_plain_or_gzip(path) as stream:
            header, shape = _read_header(stream, path)
            # One byte more than announced shows excess, and makes gzip check its own checksum at the end.
            body = stream.read(math.prod(shape) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path} must be a readable file, plain or gzip, got: {error}; fetch it again"
        ) from error
    if len(body) != math.prod(shape):
        got = "more" if len(body) > math.prod(shape) else f"{len(body):,}"
        raise InputError(
            f"{path} must hold {math.prod(shape):,} bytes after its header, got {got}; fetch it again"
        )
    if sha256 is not None and hashlib.sha256(header + body).hexdigest() != sha256:
        raise InputError(
            f"{path} must have the sha256 {sha256[:12]}… when decompressed, got other content; fetch it again"
        )
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that no registry holds; it offers the closest that one does."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    cure = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(names)}"
    return InputError(f"no {kind} named {name!r}; {cure}")


# ---- IDX: two zero bytes, a type byte, the number of axes, each as a big-endian uint32, then the content


def _open_plain_or_gzip(path: Path) -> IO[bytes]:
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path)) if packed else path.open("rb")


def _read_header(stream: IO[bytes], path: Path) -> tuple[bytes, tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:3] != b"\x00\x00\x08" or not 1 <= magic[3] <= 4:
        raise InputError(
            f"{path} must begin as an IDX file of unsigned bytes with 1 to 4 axes (00 00 08 0n), "
            f"got {magic.hex(' ') or 'an empty file'}; fetch it again"
        )
    axes = stream.read(4 * magic[3])
    if len(axes) < 4 * magic[3]:
        raise InputError(
            f"{path} must state the lengths of {magic[3]} axes, got a truncated header; fetch it again"
        )
    shape = struct.unpack(f">{magic[3]}I", axes)
    if math.prod(shape) > IDX_LIMIT:
        raise InputError(
            f"{path} must announce at most {IDX_LIMIT:,} bytes, got {math.prod(shape):,}; fetch it again"
        )
    return magic + axes, shape


# ---- Collections of four IDX files


@dataclass(frozen=True)
class _IdxFile:
    name: str  # without .gz
    md5: str  # of upstream's .gz, which pooch checks
    sha256: str  # of the decompressed file: packagers compress anew, the content stays


@dataclass(frozen=True)
class _IdxCollection:
    """Train images, train labels, test images, test labels, and where to look for them."""

    name: str
    url: str
    debian: str  # the package that installs the files
    folder: Path  # and the folder it installs them in
    files: tuple[_IdxFile, _IdxFile, _IdxFile, _IdxFile]


IDX_COLLECTIONS = {
    "fashion-mnist": _IdxCollection(
        "fashion-mnist",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "dataset-fashion-mnist",
        Path("/usr/share/datasets/fashion-mnist"),
        (
            _IdxFile(
                "train-images-idx3-ubyte",
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            _IdxFile(
                "train-labels-idx1-ubyte",
                "25c81989df183df01b3e8a0aad5dffbe",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            _IdxFile(
                "t10k-images-idx3-ubyte",
                "bef4ecab320f06d8554ea6380940ec79",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            ),
            _IdxFile(
                "t10k-labels-idx1-ubyte",
                "bb300cfdad3c16e7a12a480ee83cd310",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
    )
}


def _load_collection(collection: _IdxCollection) -> Dataset:
    paths = _find(collection) or _download(collection)
    arrays = [read_idx(path, sha256=file.sha256) for path, file in zip(paths, collection.files, strict=True)]
    return _assemble(collection.name, arrays, peak=255)


def _find(collection: _IdxCollection) -> list[Path] | None:
    """The four files from the first folder that has them all."""
    for folder in _folders(collection):
        paths = [_plain_or_gzip(folder / file.name) for file in collection.files]
        if all(path.is_file() for path in paths):
            return paths
    return None


def _folders(collection: _IdxCollection) -> Iterator[Path]:
    """The user's word first, then the system's package, then what was downloaded before."""
    if own := os.environ.get("QUBOPRESS_DATA"):
        yield Path(own).expanduser() / collection.name
        yield Path(own).expanduser()
    yield collection.folder
    yield _cache(collection)


def _plain_or_gzip(path: Path) -> Path:
    packed = path.with_name(path.name + ".gz")
    return packed if packed.is_file() else path


def _cache(collection: _IdxCollection) -> Path:
    import pooch  # only a search that reaches the cache pays for this import

    return Path(pooch.os_cache("qubopress")) / collection.name


def _download(collection: _IdxCollection) -> list[Path]:
    """Fetch what the cache lacks; pooch checks upstream's md5 and leaves no half-written file."""
    if os.environ.get("QUBOPRESS_OFFLINE", "0") not in ("", "0"):
        raise _missing(collection, "and QUBOPRESS_OFFLINE forbids its download")
    import pooch

    try:
        return [
            Path(
                pooch.retrieve(
                    f"{collection.url}{file.name}.gz",
                    known_hash=f"md5:{file.md5}",
                    fname=f"{file.name}.gz",
                    path=_cache(collection),
                    downloader=pooch.HTTPDownloader(timeout=30),
                )
            )
            for file in collection.files
        ]
    except (OSError, ValueError) as error:  # no network, no such page; a download of other content
        raise _missing(collection, f"and its download failed ({type(error).__name__})") from error


def _missing(collection: _IdxCollection, reason: str) -> MissingDataError:
    return MissingDataError(
        f"{collection.name} is not on this machine {reason}; install it (apt install {collection.debian}) "
        f"or set QUBOPRESS_DATA to a folder with its four IDX files"
    )


# ---- Digits, and what both kinds share


def _load_digits() -> Dataset:
    from sklearn.datasets import load_digits  # takes seconds

    source = load_digits()
    images = np.asarray(source.images).astype(np.uint8)
    labels = np.asarray(source.target).astype(np.uint8)
    test = _stratified(labels, DIGITS_TEST, seed=DIGITS_SEED)
    return _assemble("digits", [images[~test], labels[~test], images[test], labels[test]], peak=DIGITS_PEAK)


def _stratified(labels: Bytes, count: int, *, seed: int) -> NDArray[np.bool_]:
    """Mark `count` samples, from each class its share to within one: shape (N,)."""
    depth = np.empty(len(labels))  # how far down its own shuffled class a sample lies, in (0, 1)
    order = _shuffled(len(labels), seed=seed)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        depth[members] = (np.arange(len(members)) + 0.5) / len(members)
    mask = np.zeros(len(labels), dtype=np.bool_)
    mask[np.argsort(depth, kind="stable")[:count]] = True
    return mask


def _shuffled(count: int, *, seed: int) -> Labels:
    """0 … count − 1 in random order: by sorting uniforms, the stream NumPy has least reason to change."""
    keys = np.random.Generator(np.random.PCG64(seed)).random(count)
    return np.argsort(keys, kind="stable").astype(np.int64)


def _assemble(name: str, arrays: list[Bytes], *, peak: int) -> Dataset:
    """Scale the four uint8 arrays by the brightest pixel, freeze them and take their checksum."""
    train_images, train_labels, test_images, test_labels = arrays
    return Dataset(
        name,
        _inputs(train_images, peak=peak),
        _targets(train_labels),
        _inputs(test_images, peak=peak),
        _targets(test_labels),
        _checksum(arrays),
    )


def _inputs(images: Bytes, *, peak: int) -> Floats:
    scaled = images[:, np.newaxis].astype(np.float32, order="C")
    scaled /= np.float32(peak)
    scaled.setflags(write=False)
    return scaled


def _targets(labels: Bytes) -> Labels:
    targets = labels.astype(np.int64)
    targets.setflags(write=False)
    return targets


def _checksum(arrays: list[Bytes]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
