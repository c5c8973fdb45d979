"""Messages between processes are whole, bounded JSON objects."""

from __future__ import annotations

import struct

import pytest

from qubopress.suites.harness.wire import read_messages


def framed(text: bytes) -> bytes:
    return struct.pack("!I", len(text)) + text


def test_messages_are_read_whole_however_they_are_cut() -> None:
    whole = framed(b'{"a": 1}') + framed(b'{"b": 2}')
    buffer, found = bytearray(), []
    for byte in whole:
        buffer.append(byte)
        found += read_messages(buffer)
    assert found == [{"a": 1}, {"b": 2}]
    assert buffer == b""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"abc", "Expecting value"),
        (b"\xff", "codec can't decode"),
        (b"[1]", "a message must be a JSON object, got a list"),
        (b"[" * 100_000, "it is nested too deeply"),
    ],
)
def test_what_is_no_json_object_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_messages(bytearray(framed(text)))
