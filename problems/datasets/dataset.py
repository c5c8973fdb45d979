"""Data sets of images, known by their bytes and not by where the bytes came from.

References: Alpaydin & Kaynak 1998 (UCI optical digits, the copy inside scikit-learn); LeCun et al. 1998
(MNIST); Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747 (Fashion-MNIST); Cohen et al. 2017, arXiv:1702.05373
(EMNIST); Krizhevsky 2009 (CIFAR-10).
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .cifar import read_batches
from .idx import Bytes, read_idx
from .photographs import photographs
from .pictures import Pairs
from .sidd import sidd
from .sources import Source, SourceFile

__all__ = [
    "COLLECTIONS",
    "PAIRED",
    "Dataset",
    "calibration_draw",
    "dataset_names",
    "load_dataset",
    "unknown_name",
]

Floats: TypeAlias = NDArray[np.float32]
Labels: TypeAlias = NDArray[np.int64]

DIGITS_TEST = 500  # of 1,797 images; the other 1,297 train
DIGITS_SEED = 1797
DIGITS_PEAK = 16  # brightest pixel of the 8×8 digits


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, or noisy and clean images, split once and for all. Every array is read-only.

    `train_inputs` and `test_inputs` are float32 (N, channels, height, width) in [0, 1]; the targets are int64
    (N,), or float32 images of the inputs' shape.
    `checksum` is the sha256 of shapes and unscaled bytes in split order, the same whatever the source; of
    photographs, that of their files and of how noise is made.
    """

    name: str
    train_inputs: Floats = field(repr=False)
    train_targets: Labels | Floats = field(repr=False)
    test_inputs: Floats = field(repr=False)
    test_targets: Labels | Floats = field(repr=False)
    checksum: str


@cache
def load_dataset(name: str) -> Dataset:
    """Load a data set by name; the second call costs nothing.

    Raises InputError for an unknown name or a damaged file, MissingDataError where the data is not to be had.
    """
    if name == "digits":
        return _load_digits()
    if name in PAIRED:
        return Dataset(name, *PAIRED[name]())
    if name in COLLECTIONS:
        source, read = COLLECTIONS[name]
        return _assemble(name, read(source), peak=255)
    raise unknown_name("data set", name, dataset_names())


def dataset_names() -> list[str]:
    """Every name that `load_dataset` knows, sorted."""
    return sorted(["digits", *PAIRED, *COLLECTIONS])


def calibration_draw(dataset: Dataset, count: int, *, seed: int) -> tuple[Floats, Labels | Floats, Labels]:
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


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that no registry holds; it offers the closest that one does."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    cure = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(names)}"
    return InputError(f"no {kind} named {name!r}; {cure}")


# ---- Published collections

FASHION_MNIST = Source(
    "fashion-mnist",
    (
        SourceFile(
            "train-images-idx3-ubyte",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        ),
        SourceFile(
            "train-labels-idx1-ubyte",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "25c81989df183df01b3e8a0aad5dffbe",
        ),
        SourceFile(
            "t10k-images-idx3-ubyte",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "bef4ecab320f06d8554ea6380940ec79",
        ),
        SourceFile(
            "t10k-labels-idx1-ubyte",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    debian="dataset-fashion-mnist",
    folder=Path("/usr/share/datasets/fashion-mnist"),
)

MNIST = Source(
    "mnist",
    (
        SourceFile(
            "train-images-idx3-ubyte",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        ),
        SourceFile(
            "train-labels-idx1-ubyte",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "d53e105ee54ea40749a09fcbcd1e9432",
        ),
        SourceFile(
            "t10k-images-idx3-ubyte",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "9fb629c4189551a2d022fa330f9573f3",
        ),
        SourceFile(
            "t10k-labels-idx1-ubyte",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)

EMNIST = Source(
    "emnist-balanced",
    (
        SourceFile("emnist-balanced-train-images-idx3-ubyte"),
        SourceFile("emnist-balanced-train-labels-idx1-ubyte"),
        SourceFile("emnist-balanced-test-images-idx3-ubyte"),
        SourceFile("emnist-balanced-test-labels-idx1-ubyte"),
    ),
    "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
    archive_md5="58c8d27c78d21e728a6bc7b3cc06412e",
)

CIFAR_10 = Source(
    "cifar-10",
    (*(SourceFile(f"data_batch_{number}.bin") for number in range(1, 6)), SourceFile("test_batch.bin")),
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    archive_md5="c32a1d4ab5d03f1284b67883e8d87530",
)


def _read_idx_files(source: Source) -> list[Bytes]:
    pairs = zip(source.paths(), source.files, strict=True)
    return [read_idx(path, sha256=file.sha256) for path, file in pairs]


def _read_emnist(source: Source) -> list[Bytes]:
    """EMNIST stores its images column by column."""
    train_images, train_labels, test_images, test_labels = _read_idx_files(source)
    return [train_images.transpose(0, 2, 1), train_labels, test_images.transpose(0, 2, 1), test_labels]


def _read_cifar(source: Source) -> list[Bytes]:
    *train, test = source.paths()
    return [*read_batches(train), *read_batches([test])]


COLLECTIONS: dict[str, tuple[Source, Callable[[Source], list[Bytes]]]] = {
    "fashion-mnist": (FASHION_MNIST, _read_idx_files),
    "mnist": (MNIST, _read_idx_files),
    "emnist-balanced": (EMNIST, _read_emnist),
    "cifar-10": (CIFAR_10, _read_cifar),
}
"""Data sets of files, and what reads them: train images, train labels, test images, test labels."""

PAIRED: dict[str, Callable[[], Pairs]] = {"photographs": photographs, "sidd": sidd}
"""Data sets of noisy and clean images, and what makes them."""


# ---- Digits, and what all kinds share


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
    channels = images if images.ndim == 4 else images[:, np.newaxis]
    scaled = channels.astype(np.float32, order="C")
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
