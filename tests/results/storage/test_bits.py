from __future__ import annotations

import contextlib
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from qubopress.results import RecordError, pack, unpack

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)
BITS = hnp.arrays(np.int8, SHAPES, elements=st.integers(0, 1))
LEVELS = hnp.arrays(np.int8, SHAPES, elements=st.integers(0, 127))


@given(x=BITS | LEVELS)
def test_packed_solutions_come_back_as_they_were(x: np.ndarray) -> None:
    back = unpack(pack(x), x.shape)
    assert back.dtype == np.int8
    assert back.shape == x.shape
    np.testing.assert_array_equal(back, x)


def test_bits_cost_a_bit_and_zeros_next_to_nothing() -> None:
    rng = np.random.default_rng(0)
    assert len(pack(rng.integers(0, 2, 80_000))) < 10_100
    assert len(pack(np.zeros(80_000))) < 100


@pytest.mark.parametrize("x", [[-1, 0], [0.5, 1.0], [128, 0], [np.nan], ["a"], [1 + 1j]])
def test_what_is_no_level_is_not_packed(x: list[Any]) -> None:
    with pytest.raises(RecordError, match="whole levels from 0 to 127"):
        pack(x)


@given(data=st.binary(max_size=60), shape=st.lists(st.integers(-2, 10**20), max_size=3))
def test_hostile_bytes_end_in_one_line(data: bytes, shape: list[int]) -> None:
    with pytest.raises(RecordError, match=r"\A.*\Z"):  # no newline: the dot does not match one
        unpack(b"x" + data, shape)
    with contextlib.suppress(RecordError):  # any other error fails
        assert unpack(b"l" + data, shape).shape == tuple(shape)


def test_a_decompression_bomb_is_not_inflated() -> None:
    bomb = b"l" + zlib.compress(bytes(50_000_000), 9)
    with pytest.raises(RecordError, match="exactly 10 bytes"):
        unpack(bomb, (10,))


@pytest.mark.parametrize(
    ("data", "shape", "complaint"),
    [
        (b"", (1,), "must start with"),
        (b"x" + zlib.compress(b"\0"), (1,), "must start with"),
        (b"bnonsense", (1,), "zlib stream"),
        (pack([1, 0, 1])[:-2], (3,), "altered or cut off"),
        (pack([1, 0, 1]) + b"!", (3,), "altered or cut off"),
        (b"b" + zlib.compress(b"\xff"), (3,), "end in zeros"),
        (b"l" + zlib.compress(b"\xff"), (1,), r"lie in \[0, 127\]"),
        (pack([1]), (10**6, 10**6), "variables, got one of shape"),
        (pack([1]), (0, 10**30), "variables, got one of shape"),
        (pack([1]), (-1, -1), "variables, got one of shape"),
    ],
)
def test_altered_bytes_are_refused(data: bytes, shape: tuple[int, ...], complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint):
        unpack(data, shape)
