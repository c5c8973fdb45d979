"""Frames are whole, bounded, and mean one point each."""

from __future__ import annotations

import socket
import struct

import numpy as np
import pytest

from qubopress.problems import Qubo
from qubopress.solvers import Run
from qubopress.suites.harness import offers


def heard(*tell: object) -> list[offers.Frame]:
    """What a teller sends for some points, each with or without a claim."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        teller = offers.Teller(theirs)
        for x, claimed in tell:  # type: ignore[misc]
            teller.offered(np.asarray(x, dtype=np.int8), claimed, 3)
        return offers.read_frames(bytearray(ours.recv(1 << 16)), 100)


@pytest.mark.parametrize("x", [[1, 0, 1, 1, 0, 0, 0, 1, 1], [3, 0, 127], [0], [[1, 0], [0, 2]], []])
def test_a_point_arrives_as_it_was_offered(x: list[int]) -> None:
    (frame,) = heard((x, -1.5))
    found = frame.point(np.shape(x))
    np.testing.assert_array_equal(found, x)
    assert found.dtype == np.int8
    assert (frame.claimed, frame.work) == (-1.5, 3)


def test_what_is_not_claimed_is_not_known() -> None:
    assert [frame.claimed for frame in heard(([1], None), ([0], 0.0))] == [None, 0.0]


def test_frames_are_read_whole_however_they_are_cut() -> None:
    whole = (
        struct.pack("!cIdQI", b"b", 0, 1.0, 7, 1) + b"x" + struct.pack("!cIdQI", b"e", 3, 0.0, 0, 2) + b"{}"
    )
    buffer, found = bytearray(), []
    for byte in whole:
        buffer.append(byte)
        found += offers.read_frames(buffer, 100)
    assert [(frame.kind, frame.part, frame.data, frame.work) for frame in found] == [
        (b"b", 0, b"x", 7),
        (b"e", 3, b"{}", 0),
    ]
    assert buffer == b""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"?", "a message of the kind b'\\?'"),
        (struct.pack("!cIdQI", b"b", 0, 0.0, 0, 101), "a message of 101 bytes"),
        (struct.pack("!cIdQI", b"e", 0, 0.0, 0, 1 << 20), "a message of 1048576 bytes"),
    ],
)
def test_what_is_no_frame_is_refused_before_it_is_whole(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        offers.read_frames(bytearray(text), 100)


def test_the_end_of_a_search_is_told_and_ends_it() -> None:
    ours, theirs = socket.socketpair()
    run = Run(Qubo(np.eye(2)))
    with ours, theirs:
        run.listener = offers.Teller(theirs)
        run.offer([0, 1])
        run.prove(0.5)
        with pytest.raises(offers.Over, match=r"^$"):
            run.end()
        bits, end = offers.read_frames(bytearray(ours.recv(1 << 16)), 100)
    assert bits.kind == offers.BITS
    assert end.content() == {"exhausted": False, "bound": 0.5, "lie": "", "counts": {}}
    assert run.history == []
