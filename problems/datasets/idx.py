"""IDX files of unsigned bytes, MNIST's format, plain or gzip.

Two zero bytes, a type byte, the number of axes, each axis as a big-endian uint32, then the content.
Reference: LeCun's MNIST page.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path
from typing import IO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

__all__ = ["Bytes", "read_idx"]

Bytes: TypeAlias = NDArray[np.uint8]

LIMIT = 1 << 30
"""Bytes of content; EMNIST's largest file, the biggest of the family, has 0.55e9."""


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
    if math.prod(shape) > LIMIT:
        raise InputError(
            f"{path} must announce at most {LIMIT:,} bytes, got {math.prod(shape):,}; fetch it again"
        )
    return magic + axes, shape
