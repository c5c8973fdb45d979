"""Codes of b bits without a gap between them: rows of little-endian bit streams, each from its own byte."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["packed", "unpacked", "width"]

Bytes = npt.NDArray[np.uint8]


def width(inputs: int, bits: int) -> int:
    """Bytes of a row of so many codes."""
    return (inputs * bits + 7) // 8


def packed(codes: npt.NDArray[Any], bits: int) -> Bytes:
    """Rows (n, bytes) of codes (n, f) in [0, 2^bits): the least bit first, code after code."""
    each = (codes[:, :, None].astype(np.uint16) >> np.arange(bits)) & 1
    return np.packbits(each.reshape(len(codes), -1).astype(np.uint8), axis=1, bitorder="little")


def unpacked(rows: Bytes, bits: int, inputs: int) -> Bytes:
    """The codes (n, inputs) of rows (n, bytes)."""
    each = np.unpackbits(rows, axis=1, count=inputs * bits, bitorder="little")
    apart = each.reshape(len(rows), inputs, bits) << np.arange(bits, dtype=np.uint8)
    return np.asarray(apart.sum(axis=2), dtype=np.uint8)
