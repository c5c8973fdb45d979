"""Solutions as few bytes: one bit a variable, one byte a level, compressed, and safe to open."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from reprlib import repr as short
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .record import RecordError

__all__ = ["pack", "unpack"]

LIMIT = 2**28
"""Most variables of one solution: opening a stranger's bytes allocates no more than this many."""

_BITS, _LEVELS = b"b", b"l"


def pack(x: ArrayLike) -> bytes:
    """Pack an integer array of any shape with values 0 ... 127; the shape is kept elsewhere.

    Raises:
        RecordError: a value is not such a level.
    """
    x = np.asarray(x)
    if not _are_levels(x):
        raise RecordError("a solution must hold whole levels from 0 to 127; round and clip it before packing")
    levels = x.astype(np.uint8)
    if levels.size > LIMIT:
        raise RecordError(f"a solution must have at most {LIMIT} variables, got {levels.size}")
    if levels.max(initial=0) > 1:
        return _LEVELS + zlib.compress(levels.tobytes())
    return _BITS + zlib.compress(np.packbits(levels).tobytes())


def unpack(data: bytes, shape: Sequence[int]) -> NDArray[np.int8]:
    """Undo `pack`; RecordError when the bytes are not exactly a solution of that shape.

    The bytes may be hostile: never more is decompressed than the shape asks for.
    """
    size = _size(shape)
    tag, body = data[:1], data[1:]
    if tag == _BITS:
        bits = np.unpackbits(np.frombuffer(_inflate(body, -(-size // 8)), dtype=np.uint8))
        if bits[size:].any():
            raise RecordError("packed bits must end in zeros; the record was altered")
        return bits[:size].astype(np.int8).reshape(tuple(shape))
    if tag == _LEVELS:
        x = np.frombuffer(_inflate(body, size), dtype=np.int8)
        if x.min(initial=0) < 0:
            raise RecordError("packed levels must lie in [0, 127]; the record was altered")
        return x.copy().reshape(tuple(shape))
    raise RecordError(f"packed bits must start with {_BITS!r} or {_LEVELS!r}, got {tag!r}")


def _are_levels(x: NDArray[Any]) -> bool:
    if x.dtype.kind == "b":
        return True
    if x.dtype.kind not in "iuf":
        return False
    return bool(((x >= 0) & (x <= 127) & (x == np.floor(x))).all())


def _size(shape: Sequence[int]) -> int:
    size = math.prod(shape)
    if len(shape) > 32 or min(shape, default=0) < 0 or max(size, *shape, 0) > LIMIT:
        raise RecordError(
            f"a solution must have 0 to {LIMIT} variables, got one of shape {short(tuple(shape))}"
        )
    return size


def _inflate(body: bytes, size: int) -> bytes:
    """Decompress exactly `size` bytes, stopping at the first one too many."""
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(body, size + 1)
    except zlib.error as error:
        raise RecordError(f"packed bits must be a zlib stream: {error}") from None
    if len(raw) != size or not inflater.eof or inflater.unused_data:
        raise RecordError(
            f"packed bits must unpack to exactly {size} bytes; the record was altered or cut off"
        )
    return raw
