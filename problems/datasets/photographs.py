"""Photographs that ship inside scikit-image and scikit-learn, with simulated noise of a sensor.

Noise of SIDD's kind: signal-dependent, Poisson and Gaussian in linear light, its level drawn anew for each
image, as a small sensor has it at some unknown ISO. It is simpler than a camera's: each colour of each pixel
is on its own, there is no demosaicing or white balance, and the range of levels is our choice. So a PSNR
measured here is not SIDD's and must not be compared with published ones; for those see `sidd`.

References: Foi et al. 2008, IEEE TIP 17(10), Poissonian-Gaussian noise of raw data; Abdelhamed, Lin & Brown
2018 (SIDD); IEC 61966-2-1 (sRGB).
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..arrays import Floats
from ..errors import MissingDataError
from .idx import Bytes
from .pictures import Floats32, Pairs, as_floats, read_picture, tiles

__all__ = [
    "MORE",
    "PATCH",
    "TEST",
    "TRAIN",
    "held_out_images",
    "more_photographs",
    "photographs",
    "sensor_noise",
]

TRAIN = (
    "skimage/data/astronaut.png",
    "skimage/data/coffee.png",
    "skimage/data/motorcycle_left.png",  # the right eye's picture shows the same scene and is left out
    "sklearn/datasets/images/china.jpg",
)
"""Scenes that train and calibrate."""

MORE = (
    "skimage/data/camera.png",
    "skimage/data/brick.png",
    "skimage/data/grass.png",
    "skimage/data/gravel.png",
    "skimage/data/hubble_deep_field.jpg",
    "skimage/data/ihc.png",
    "skimage/data/retina.jpg",
)
"""More that train: the first four in grey, the others through a telescope, a microscope and a pupil."""

MOST = 256
"""Patches of a picture of `MORE`: else the largest, which are dark at their rims, would outweigh the rest."""

TEST = (
    "skimage/data/chelsea.png",
    "skimage/data/rocket.jpg",
    "sklearn/datasets/images/flower.jpg",
)
"""Other scenes, which only measure."""

PATCH = 32
"""Side of a training image: disjoint, so that no two samples share a pixel."""

TEST_SIDE, TEST_IMAGES, TEST_SEEDS = 96, 4, 3
"""Side of a test image, how many of each scene there are, and draws of noise for each."""

SHOT = (0.001, 0.03)
"""Range of the shot noise: variance (full scale squared) a unit of linear light. Log-uniform."""

READ = (0.001, 0.02)
"""Range of the standard deviation (full scale) of the noise that is there in the dark. Log-uniform."""

TRAIN_SEED, TEST_SEED = 0, 1_000_000


def photographs() -> Pairs:
    """Training patches (N, 3, 32, 32), each with one draw of noise, and test images (36, 3, 96, 96).

    Raises:
        MissingDataError: scikit-image or scikit-learn lack a picture.
    """
    return _pairs(_patches(), _checksum())


def more_photographs() -> Pairs:
    """Those and patches of `MORE`, (2869, 3, 32, 32) in all; the test images are those of `photographs`.

    Raises:
        MissingDataError: scikit-image or scikit-learn lack a picture.
    """
    more = [tiles(_picture(name, grey=True), PATCH, most=MOST) for name in MORE]
    return _pairs(np.concatenate([_patches(), *more]), _checksum(*MORE, recipe=(MOST,)))


def _patches() -> Bytes:
    return np.concatenate([tiles(_picture(name), PATCH) for name in TRAIN])


def _pairs(patches: Bytes, checksum: str) -> Pairs:
    clean = as_floats(patches)
    noisy = sensor_noise(clean, seed=TRAIN_SEED)
    test_noisy, test_clean = (images.reshape(-1, *images.shape[2:]) for images in held_out_images())
    test_clean.setflags(write=False)
    return noisy, clean, test_noisy, test_clean, checksum


def held_out_images(*, seeds: int = TEST_SEEDS) -> tuple[Floats32, Floats32]:
    """Noisy and clean images of the test scenes: (images, seeds, 3, side, side), one draw of noise each.

    More seeds add draws and leave the first ones as they are.
    """
    clean = as_floats(np.concatenate([tiles(_picture(name), TEST_SIDE, most=TEST_IMAGES) for name in TEST]))
    draws = [sensor_noise(clean, seed=TEST_SEED + seed) for seed in range(seeds)]
    noisy = np.stack(draws, axis=1)
    noisy.setflags(write=False)
    return noisy, np.broadcast_to(clean[:, np.newaxis], noisy.shape)


def sensor_noise(clean: Floats32, *, seed: int) -> Floats32:
    """What a sensor makes of sRGB images (N, 3, height, width) in [0, 1]: as many, each at its own level.

    The noise of an image depends on the seed and on its place alone, not on how many there are.
    """
    noisy = np.empty_like(clean)
    for place, image in enumerate(clean):
        rng = np.random.Generator(np.random.PCG64([seed, place]))
        shot, read = np.exp(rng.uniform(np.log([SHOT[0], READ[0]]), np.log([SHOT[1], READ[1]])))
        light = _to_light(image.astype(np.float64))
        seen = shot * rng.poisson(light / shot) + read * rng.standard_normal(light.shape)
        noisy[place] = _to_srgb(np.clip(seen, 0.0, 1.0))
    noisy.setflags(write=False)
    return noisy


def _to_light(srgb: Floats) -> Floats:
    """Linear light from sRGB, both in [0, 1]."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _to_srgb(light: Floats) -> Floats:
    """The inverse of `_to_light`."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def _picture(name: str, *, grey: bool = False) -> Bytes:
    return read_picture(_path(name), grey=grey)


def _path(name: str) -> Path:
    """A picture's file, found without importing the package that ships it, which takes seconds.

    Raises:
        MissingDataError: it is not there.
    """
    package, _, inside = name.partition("/")
    spec = find_spec(package)
    path = Path((spec.origin if spec else None) or "").parent / inside
    if not path.is_file():
        project = {"skimage": "scikit-image", "sklearn": "scikit-learn"}[package]
        raise MissingDataError(
            f"photograph {path} must ship with {project}, got no such file; install it again"
        )
    return path


def _checksum(*more: str, recipe: tuple[int, ...] = ()) -> str:
    """Hash of the pictures' files and of how noise is made; decoders may differ in the last bit."""
    train = (*TRAIN, *more)
    made = (PATCH, TEST_SIDE, TEST_IMAGES, TEST_SEEDS, SHOT, READ, TRAIN_SEED, TEST_SEED, *recipe)
    digest = hashlib.sha256(f"{train} {TEST} {made}".encode())
    for name in (*train, *TEST):
        digest.update(_path(name).read_bytes())
    return digest.hexdigest()
