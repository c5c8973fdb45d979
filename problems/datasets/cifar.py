"""CIFAR-10's binary batches: records of a label byte and 3 × 32 × 32 bytes, red plane first.

Reference: Krizhevsky 2009, Learning multiple layers of features from tiny images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError
from .idx import Bytes

__all__ = ["read_batches"]

PIXELS = 3 * 32 * 32

LIMIT = 1 << 28
"""Bytes of a batch; the published ones have 30,730,000."""


def read_batches(paths: list[Path], *, classes: int = 10) -> tuple[Bytes, Bytes]:
    """Images (N, 3, 32, 32) and labels (N,) of batches, one after another.

    Raises:
        InputError: a file that cannot be read, is no whole number of records, or has another label.
    """
    records = np.concatenate([_records(path, classes) for path in paths])
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def _records(path: Path, classes: int) -> Bytes:
    try:
        size = path.stat().st_size
        if not 0 < size <= LIMIT or size % (PIXELS + 1):
            raise InputError(
                f"{path} must hold whole records of {PIXELS + 1} bytes, got {size:,} bytes; fetch it again"
            )
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} must be readable, got: {error.strerror}; fetch it again") from error
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, PIXELS + 1)
    if records[:, 0].max() >= classes:
        raise InputError(
            f"{path} must hold labels below {classes}, got {records[:, 0].max()}; fetch it again"
        )
    return records
