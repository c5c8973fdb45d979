"""Pictures: files of images as arrays of bytes, and squares cut out of them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import InputError
from .idx import Bytes

__all__ = ["Floats32", "Pairs", "as_floats", "read_picture", "tiles"]

Floats32: TypeAlias = NDArray[np.float32]

Pairs: TypeAlias = tuple[Floats32, Floats32, Floats32, Floats32, str]
"""Noisy and clean training images, noisy and clean test images (N, 3, side, side), and a checksum."""

LIMIT = 1 << 25
"""Pixels of a picture; SIDD's largest has 1.6e7."""


def read_picture(path: Path, *, grey: bool = False) -> Bytes:
    """A PNG or JPEG file of three colours as uint8 (3, height, width), or of one thrice if `grey`.

    Raises:
        InputError: it cannot be read, is of another kind or damaged, or is too large.
    """
    try:
        # Only these two decoders run, and none before the size that the header announces is known.
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=("PNG", "JPEG")) as picture:
            _check(picture, path, grey=grey)
            return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} must be a readable PNG or JPEG, got: {reason}; fetch it again") from error


def _check(picture: Image.Image, path: Path, *, grey: bool) -> None:
    if picture.width * picture.height > LIMIT:
        size = f"{picture.width} × {picture.height}"
        raise InputError(f"{path} must have at most {LIMIT:,} pixels, got {size}; cut it")
    if picture.mode != "RGB" and not (grey and picture.mode == "L"):
        raise InputError(f"{path} must hold 8-bit red, green and blue, got mode {picture.mode}; convert it")


def tiles(picture: Bytes, size: int, *, most: int | None = None) -> Bytes:
    """Disjoint squares (k, 3, size, size) of a picture (3, height, width), row by row.

    `most` takes so many of them, evenly spread.
    """
    rows, columns = picture.shape[1] // size, picture.shape[2] // size
    whole = picture[:, : rows * size, : columns * size].reshape(3, rows, size, columns, size)
    squares = whole.transpose(1, 3, 0, 2, 4).reshape(-1, 3, size, size)
    if most is None or most >= len(squares):
        return squares
    return squares[(2 * np.arange(most) + 1) * len(squares) // (2 * most)]


def as_floats(pictures: Bytes) -> Floats32:
    """Bytes as float32 in [0, 1], read-only."""
    scaled = pictures.astype(np.float32, order="C") / np.float32(255)
    scaled.setflags(write=False)
    return scaled
