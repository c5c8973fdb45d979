"""SIDD: photographs by telephones, each with its clean counterpart, from the small set of sRGB pictures.

The set is not fetched: put the folder `Data` of SIDD_Small_sRGB_Only under $QUBOPRESS_DATA. What is measured
here is the PSNR of squares of held-out scenes of the small set. It is not the score of SIDD's benchmark,
whose clean blocks its authors keep.

Reference: Abdelhamed, Lin & Brown 2018, A high-quality denoising dataset for smartphone cameras (CVPR).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..errors import InputError, MissingDataError
from .idx import Bytes
from .pictures import Pairs, as_floats, read_picture, tiles

__all__ = ["sidd"]

Files: TypeAlias = tuple[Path, Path]
"""A noisy picture and its clean counterpart."""

FOLDER = re.compile(r"\d{4}_(\d{3})_")
"""Name of a picture's folder: its number and its scene's, then what the camera was set to."""

PER_SCENE = 4
"""Pictures used of each scene: some scenes have many more than others, and one takes a second to decode."""

TRAIN_SIDE, TRAIN_SQUARES = 32, 64
"""Side of a training image, and how many are cut out of a picture."""

TEST_SIDE, TEST_SQUARES = 96, 3
"""The same of test images."""


def sidd() -> Pairs:
    """Noisy and clean squares: every third scene tests, the others train.

    Raises:
        MissingDataError: the set is not under $QUBOPRESS_DATA.
        InputError: fewer than two scenes, a picture that cannot be read, or one that does not fit its pair.
    """
    scenes = _scenes(_folder())
    if len(scenes) < 2:
        raise InputError(
            f"SIDD must have at least 2 scenes, to split them, got {len(scenes)}; fetch it again"
        )
    names = sorted(scenes)
    held = names[2::3] or names[-1:]
    train = _squares([name for name in names if name not in held], scenes, TRAIN_SIDE, TRAIN_SQUARES)
    arrays = (*train, *_squares(held, scenes, TEST_SIDE, TEST_SQUARES))
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}".encode() + array.tobytes())
    noisy, clean, test_noisy, test_clean = map(as_floats, arrays)
    return noisy, clean, test_noisy, test_clean, digest.hexdigest()


def _folder() -> Path:
    """The folder of the pictures' folders."""
    named = os.environ.get("QUBOPRESS_DATA")
    if named:
        own = Path(named).expanduser()
        for folder in (own / "sidd" / "Data", own / "SIDD_Small_sRGB_Only" / "Data", own / "Data"):
            if folder.is_dir():
                return folder
    where = f"{named} holds no such folder" if named else "QUBOPRESS_DATA is not set"
    raise MissingDataError(
        f"SIDD must be in a folder named Data under $QUBOPRESS_DATA, but {where}; fetch SIDD_Small_sRGB_Only "
        "from the data set's page and unpack it there"
    )


def _scenes(folder: Path) -> dict[str, list[Files]]:
    """For each scene a few of its pictures, evenly spread over their numbers."""
    found: dict[str, list[Files]] = {}
    for place in sorted(folder.iterdir()):
        if match := FOLDER.match(place.name):
            found.setdefault(match[1], []).extend(_files(place))
    chosen = {name: files[:: -(-len(files) // PER_SCENE)] for name, files in found.items() if files}
    if not chosen:
        raise MissingDataError(
            f"{folder} must hold folders such as 0001_001_S6_00100_00060_3200_L with NOISY_SRGB_010.PNG and "
            "GT_SRGB_010.PNG, got none; unpack the set again"
        )
    return chosen


def _files(place: Path) -> Iterator[Files]:
    """Each noisy picture of a folder with its clean counterpart."""
    for noisy in sorted(place.glob("NOISY_SRGB_*.PNG")):
        clean = noisy.with_name(noisy.name.replace("NOISY", "GT"))
        if not clean.is_file():
            raise InputError(
                f"{noisy} must have {clean.name} beside it, got no such file; unpack the set again"
            )
        yield noisy, clean


def _squares(names: list[str], scenes: dict[str, list[Files]], side: int, most: int) -> tuple[Bytes, Bytes]:
    """Noisy and clean squares (N, 3, side, side) of the named scenes' pictures."""
    cut = [
        [tiles(picture, side, most=most) for picture in _read(files, side)]
        for name in names
        for files in scenes[name]
    ]
    return np.concatenate([noisy for noisy, _ in cut]), np.concatenate([clean for _, clean in cut])


def _read(files: Files, side: int) -> tuple[Bytes, Bytes]:
    """A noisy picture and its clean counterpart, equally large and large enough for a square."""
    noisy, clean = (read_picture(path) for path in files)
    if noisy.shape != clean.shape:
        sizes = f"{_size(noisy)} and {_size(clean)}"
        raise InputError(f"{files[0]} must be as large as {files[1].name}, got {sizes}; unpack the set again")
    if min(noisy.shape[1:]) < side:
        raise InputError(
            f"{files[0]} must be at least {side} × {side}, got {_size(noisy)}; unpack the set again"
        )
    return noisy, clean


def _size(picture: Bytes) -> str:
    return f"{picture.shape[2]} × {picture.shape[1]}"
