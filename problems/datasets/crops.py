"""Squares cut out of photographs at random places and sizes, for networks that take 224 × 224 pixels.

Calibration sees the left of four scenes and held-out samples the right, so that they share no pixel; six
other scenes only measure. The first k of a draw are the same however many there are.
"""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

from .idx import Bytes
from .photographs import TEST, TRAIN
from .pictures import Floats32, as_floats, read_picture
from .shipped import shipped

__all__ = ["SIDE", "calibration_crops", "checksum", "held_out_crops", "test_crops"]

SIDE = 224
"""Pixels along an edge of a crop."""

LEAST = 0.4
"""Least side of a square, as a share of the picture's shorter side; beyond, it is uniform."""

LEFT = 0.6
"""Share of a picture's width that calibrates; the rest is held out."""

JUDGES = (*TEST, "skimage/data/hubble_deep_field.jpg", "skimage/data/ihc.png", "skimage/data/retina.jpg")
"""Scenes that only measure: also galaxies, a tissue and an eye, in which a network finds many classes."""

TEST_CROPS = 96

TEST_SEED = 1_000_000


def calibration_crops(wanted: int, *, seed: int) -> Floats32:
    """Crops (wanted, 3, 224, 224) in [0, 1] of the left of the training scenes, which take turns.

    Raises:
        MissingDataError: scikit-image or scikit-learn lack a picture.
    """
    return _crops([_part(name, left=True) for name in TRAIN], wanted, seed=2 * seed)


def held_out_crops(wanted: int, *, seed: int) -> Floats32:
    """As many of the right of the same scenes. Raises as `calibration_crops` does."""
    return _crops([_part(name, left=False) for name in TRAIN], wanted, seed=2 * seed + 1)


def test_crops() -> Floats32:
    """96 crops of scenes that nothing is calibrated on. Raises as `calibration_crops` does."""
    return _crops([read_picture(shipped(name)) for name in JUDGES], TEST_CROPS, seed=TEST_SEED)


def checksum() -> str:
    """Hash of the pictures' files and of how they are cut; decoders may differ in the last bit."""
    digest = hashlib.sha256(f"{TRAIN} {JUDGES} {(SIDE, LEAST, LEFT, TEST_CROPS, TEST_SEED)}".encode())
    for name in (*TRAIN, *JUDGES):
        digest.update(shipped(name).read_bytes())
    return digest.hexdigest()


def _part(name: str, *, left: bool) -> Bytes:
    """One side of a picture."""
    picture = read_picture(shipped(name))
    border = round(LEFT * picture.shape[2])
    return picture[:, :, :border] if left else picture[:, :, border:]


def _crops(pictures: list[Bytes], wanted: int, *, seed: int) -> Floats32:
    """Crops of pictures (3, height, width) that take turns, each from a generator of its own."""
    cut = np.empty((wanted, 3, SIDE, SIDE), dtype=np.uint8)
    for place in range(wanted):
        rng = np.random.Generator(np.random.PCG64([seed, place]))
        cut[place] = _square(pictures[place % len(pictures)], rng)
    return as_floats(cut)


def _square(picture: Bytes, rng: np.random.Generator) -> Bytes:
    """One square of a picture, mirrored in half of the cases, at 224 × 224 pixels."""
    height, width = picture.shape[1:]
    share, down, across, mirrored = rng.random(4)
    side = int(min(height, width) * (LEAST + (1 - LEAST) * share))
    top, left = int(down * (height - side + 1)), int(across * (width - side + 1))
    square = picture[:, top : top + side, left : left + side].transpose(1, 2, 0)
    scaled = Image.fromarray(np.ascontiguousarray(square)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    found = np.asarray(scaled).transpose(2, 0, 1)
    return found[:, :, ::-1] if mirrored < 0.5 else found
