"""Data sets of images, known by their bytes and not by where the bytes came from.

References: Alpaydin & Kaynak 1998 (UCI optical digits, the copy inside scikit-learn); LeCun et al. 1998
(MNIST); Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747 (Fashion-MNIST); Cohen et al. 2017, arXiv:1702.05373
(EMNIST); Krizhevsky 2009 (CIFAR-10).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, unknown_name
from .idx import Bytes
from .photographs import photographs
from .pictures import Pairs
from .published import COLLECTIONS
from .sidd import sidd

__all__ = [
    "PAIRED",
    "Dataset",
    "calibration_draw",
    "dataset_names",
    "load_dataset",
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


# ---- Published collections


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
