"""Files of data sets for tests, which fetch none."""

from __future__ import annotations

import struct

import numpy as np
import pytest


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No data set is fetched."""
    monkeypatch.setenv("QUBOPRESS_OFFLINE", "1")


def idx(array: np.ndarray) -> bytes:
    """An IDX file as bytes."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
