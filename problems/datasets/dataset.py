"""Data sets of images, known by their bytes and not by where the bytes came from.

References: Alpaydin & Kaynak 1998 (UCI optical digits, the copy inside scikit-learn); LeCun et al. 1998
(MNIST); Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747 (Fashion-MNIST); Cohen et al. 2017, arXiv:1702.05373
(EMNIST); Krizhevsky 2009 (CIFAR-10).
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, unknown_name
from .crops import calibration_crops, checksum, test_crops
from .idx import Bytes
from .photographs import more_photographs, photographs
from .published import CIFAR_10, EMNIST, FASHION_MNIST, MNIST, read_cifar, read_emnist, read_idx_files
from .sentences import sentences
from .shipped import shipped
from .sidd import sidd
from .sources import Source

__all__ = [
    "DATASETS",
    "Dataset",
    "Origin",
    "calibration_draw",
    "dataset_names",
    "load_dataset",
    "of_files",
]

Floats: TypeAlias = NDArray[np.float32]
Labels: TypeAlias = NDArray[np.int64]

Split: TypeAlias = tuple[NDArray[Any], Labels | Floats, NDArray[Any], Labels | Floats, str]
"""The arrays of a data set in the order of `Dataset`, and their checksum."""

DIGITS_TEST = 500  # of 1,797 images; the other 1,297 train
DIGITS_SEED = 1797
TURNS = 16  # crops that stand for all that can be drawn
DIGITS_PEAK = 16  # brightest pixel of the 8×8 digits


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, or noisy and clean images, split once and for all. Every array is read-only.

    `train_inputs` and `test_inputs` are float32 (N, channels, height, width) in [0, 1], or int64 (N, tokens);
    the targets are int64 (N,), or float32 images of the inputs' shape.
    `checksum` is the sha256 of shapes and unscaled bytes in split order, the same whatever the source; of
    photographs, that of their files and of how noise is made.
    """

    name: str
    train_inputs: NDArray[Any] = field(repr=False)
    train_targets: Labels | Floats = field(repr=False)
    test_inputs: NDArray[Any] = field(repr=False)
    test_targets: Labels | Floats = field(repr=False)
    checksum: str


@dataclass(frozen=True)
class Origin:
    """How a data set is made.

    Attributes:
        load: reads and splits it. Raises as `load_dataset` does.
        what: the images, for people.
        source: where they come from.
    """

    load: Callable[[], Split]
    what: str
    source: str


@cache
def load_dataset(name: str) -> Dataset:
    """Load a data set by name; the second call costs nothing.

    Raises InputError for an unknown name or a damaged file, MissingDataError where the data is not to be had.
    """
    if name not in DATASETS:
        raise unknown_name("data set", name, DATASETS)
    return Dataset(name, *DATASETS[name].load())


def dataset_names() -> list[str]:
    """Every name that `load_dataset` knows, sorted."""
    return sorted(DATASETS)


def calibration_draw(
    dataset: Dataset, count: int, *, seed: int
) -> tuple[NDArray[Any], Labels | Floats, Labels]:
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


# ---- Making one


def _digits() -> Split:
    # Read as scikit-learn reads it, which would be imported for a second: 64 pixels and the class a line.
    with gzip.open(shipped("sklearn/datasets/data/digits.csv.gz"), "rt", encoding="ascii") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    images, labels = table[:, :-1].reshape(-1, 8, 8), table[:, -1]
    test = _stratified(labels, DIGITS_TEST, seed=DIGITS_SEED)
    return _assembled([images[~test], labels[~test], images[test], labels[test]], peak=DIGITS_PEAK)


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


def _sentences() -> Split:
    """Sentences as tokens, with how many tokens each has."""
    train, test = (array.astype(np.int64) for array in sentences())
    counts = np.count_nonzero(train, axis=1), np.count_nonzero(test, axis=1)
    for array in (train, test, *counts):
        array.setflags(write=False)
    return train, counts[0], test, counts[1], _checksum([train, test])


def _crops() -> Split:
    """Some crops that calibrate and all that measure, with the places of their scenes among those in turn."""
    train, test = calibration_crops(TURNS, seed=0), test_crops()
    scenes = _targets(np.arange(TURNS) % 4), _targets(np.arange(len(test)) % 6)
    return train, scenes[0], test, scenes[1], checksum()


def of_files(source: Source, read: Callable[[Source], list[Bytes]], *, what: str) -> Origin:
    """The origin of a data set of files: train images, train labels, test images, test labels."""
    return Origin(lambda: _assembled(read(source), peak=255), what, source.url)


def _assembled(arrays: list[Bytes], *, peak: int) -> Split:
    """Scale the four uint8 arrays by the brightest pixel, freeze them and take their checksum."""
    train_images, train_labels, test_images, test_labels = arrays
    return (
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


def _targets(labels: NDArray[Any]) -> Labels:
    targets = labels.astype(np.int64)
    targets.setflags(write=False)
    return targets


def _checksum(arrays: list[Bytes] | list[Labels]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


# ---- All of them


DATASETS = {
    "digits": Origin(_digits, "8 × 8 digits in 10 classes, grey", "scikit-learn"),
    "fashion-mnist": of_files(
        FASHION_MNIST, read_idx_files, what="28 × 28 articles of clothing in 10 classes, grey"
    ),
    "mnist": of_files(MNIST, read_idx_files, what="28 × 28 digits in 10 classes, grey"),
    "emnist-balanced": of_files(EMNIST, read_emnist, what="28 × 28 letters and digits in 47 classes, grey"),
    "cifar-10": of_files(CIFAR_10, read_cifar, what="32 × 32 objects in 10 classes, in colour"),
    "photographs": Origin(
        photographs, "photographs with simulated noise, and clean", "scikit-image and scikit-learn"
    ),
    "more-photographs": Origin(
        more_photographs,
        "those and more, grey or by microscope and telescope",
        "scikit-image and scikit-learn",
    ),
    "photograph-crops": Origin(
        _crops, "224 × 224 cuts of photographs, in colour", "scikit-image and scikit-learn"
    ),
    "sentences": Origin(_sentences, "English sentences, as tokens", "docstrings of scikit-learn"),
    "sidd": Origin(
        sidd, "photographs by telephones, noisy and clean", "SIDD_Small_sRGB_Only in $QUBOPRESS_DATA"
    ),
}
"""By name; the one list of them."""
