"""Offers: what a solver's process tells its judge. Bits as they come, and how the search ended.

A frame is a kind, the number of the part that it is about (0 the whole, i + 1 the part i), the loss that the
solver claims (NaN for none), the work that it had counted, and as many bytes as it says. Nobody believes any
of it: bits are judged, claims only compared, work must count up, and time is when a frame arrives.
"""

from __future__ import annotations

import json
import socket
import struct
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np

from ...problems.arrays import Bits
from ...solvers import Run

__all__ = ["BITS", "ENDED", "LEVELS", "READY", "STOPPED", "Frame", "Over", "Teller", "read_frames"]

READY, BITS, LEVELS, ENDED, STOPPED = KINDS = b"r", b"b", b"l", b"e", b"s"
"""Waiting for the start; a point of a bit, or of a byte, a variable; the search is over; there is none."""

HEAD = struct.Struct("!cIdQI")

TEXT_BYTES = 1 << 16
"""Most that the end of a search may say."""


@dataclass(frozen=True)
class Frame:
    """One message of a solver's process."""

    kind: bytes
    part: int
    claimed: float | None
    data: bytes
    work: int = 0

    def point(self, shape: tuple[int, ...]) -> Bits:
        """The point (*shape) in it.

        Raises:
            ValueError: it has another size.
        """
        size = int(np.prod(shape))
        values = np.frombuffer(self.data, dtype=np.uint8)
        if len(values) != (size if self.kind == LEVELS else -(-size // 8)):
            raise ValueError(f"{len(values)} bytes for a point of {size} variables")
        if self.kind == BITS:
            values = np.unpackbits(values, count=size)
        return values.view(np.int8).reshape(shape)

    def content(self) -> dict[str, Any]:
        """The object in it.

        Raises:
            ValueError: it holds none.
        """
        try:
            found = json.loads(self.data)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        if not isinstance(found, dict):
            raise ValueError(f"a message must be a JSON object, got a {type(found).__name__}")
        return found


def read_frames(buffer: bytearray, most: int) -> list[Frame]:
    """Take the whole frames off the front of a buffer; a point may have `most` bytes.

    Raises:
        ValueError: what stands there is no frame.
    """
    found = []
    while buffer:
        if bytes(buffer[:1]) not in KINDS:
            raise ValueError(f"a message of the kind {bytes(buffer[:1])!r}")
        if len(buffer) < HEAD.size:
            break
        kind, part, claimed, work, length = HEAD.unpack_from(buffer)
        if length > (most if kind in (BITS, LEVELS) else TEXT_BYTES):
            raise ValueError(f"a message of {length} bytes")
        if len(buffer) < HEAD.size + length:
            break
        data = bytes(buffer[HEAD.size : HEAD.size + length])
        del buffer[: HEAD.size + length]
        found.append(Frame(kind, part, None if isnan(claimed) else claimed, data, work))
    return found


class Over(BaseException):
    """Raised in the solver's process once the judge has been told that the search is over."""


class Teller:
    """In the solver's process: the run's listener, which tells the judge.

    Parameters:
        link: to the judge.
        number: of the part that it tells about, 0 for the whole.
    """

    def __init__(self, link: socket.socket, number: int = 0) -> None:
        self._link, self._number = link, number

    def begin(self, run: Run) -> None:
        """All is set up: wait for the start, which begins the run's clock."""
        self._send(READY)
        if not self._link.recv(1):
            raise Over
        run.listener = self
        run.started = run.clock()

    def offered(self, x: Bits, claimed: float | None, work: int) -> None:
        """Bits, their loss where the solver claims one, and the work counted by then."""
        binary = not x.size or x.max() <= 1
        data = np.packbits(x).tobytes() if binary else x.tobytes()
        self._send(BITS if binary else LEVELS, data, nan if claimed is None else claimed, work)

    def ended(self, run: Run) -> None:
        """What a search says of itself. Nothing more is done here about that of the whole.

        Raises:
            Over: it was the whole.
        """
        says: dict[str, Any] = {"exhausted": run.exhausted, "bound": run.bound, "lie": run.lie}
        if self._number == 0:
            says["counts"] = run.work()
        self._send(ENDED, json.dumps(says).encode())
        if self._number == 0:
            raise Over

    def part(self, index: int) -> Teller:
        """One that tells of a part."""
        return Teller(self._link, index + 1)

    def stop(self, status: str, message: str) -> None:
        """There was no search, or it broke."""
        self._send(STOPPED, json.dumps({"status": status, "message": message}).encode())

    def _send(self, kind: bytes, data: bytes = b"", claimed: float = nan, work: int = 0) -> None:
        self._link.sendall(HEAD.pack(kind, self._number, claimed, work, len(data)) + data)
