"""Bit streams: what was packed comes back, in the bytes that the format says."""

from __future__ import annotations

import numpy as np
import pytest

from qubopress.suites.exporting.bitstream import packed, unpacked, width


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("inputs", [1, 7, 8, 33])
def test_codes_come_back_from_a_stream_without_gaps(bits: int, inputs: int) -> None:
    codes = np.random.default_rng(bits).integers(0, 2**bits, (3, inputs), dtype=np.uint8)
    rows = packed(codes, bits)
    assert rows.shape == (3, width(inputs, bits))
    assert np.array_equal(unpacked(rows, bits, inputs), codes)


def test_the_least_bit_of_the_first_code_is_the_least_bit_of_the_first_byte() -> None:
    assert packed(np.array([[1, 2, 7]]), 3).tolist() == [[0b11_010_001, 0b1]]
