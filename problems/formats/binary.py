"""dimod's binary files: a JSON header, then arrays and sections; every size is checked against the bytes.

dimod's own loaders run no pickle, but they trust indices: a damaged .cqm can end the process. So the bytes
are taken apart here, by the layout that `BinaryQuadraticModel.to_file` and
`ConstrainedQuadraticModel.to_file` document.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..instances.npz import FileError

__all__ = ["Bytes"]

TYPES = {name: np.dtype(name) for name in ("float32", "float64", "int32", "int64", "uint32", "uint64")}


class Bytes:
    """Bytes taken one piece after the other.

    Parameters:
        data: all of them.
        path: the file, for messages.
    """

    def __init__(self, data: bytes, path: str | Path) -> None:
        self.data = data
        self.path = path
        self.at = 0

    def error(self, what: str) -> FileError:
        """What is wrong with the file."""
        return FileError(f"{self.path} must be a whole file as dimod's to_file writes it, got {what}")

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if not 0 <= size <= len(self.data) - self.at:
            raise self.error(f"{len(self.data) - self.at} bytes where {size} must follow")
        self.at += size
        return self.data[self.at - size : self.at]

    def array(self, dtype: npt.DTypeLike, count: int) -> npt.NDArray[Any]:
        """The next `count` entries."""
        kind = np.dtype(dtype)
        return np.frombuffer(self.take(count * kind.itemsize), kind)

    def header(self, magic: bytes, *, versions: tuple[int, ...]) -> dict[str, Any]:
        """The JSON header behind a magic text and a version."""
        if self.data[self.at : self.at + len(magic)] != magic:
            raise self.error(f"no {magic.decode()} at its beginning")
        self.take(len(magic))
        major = self.take(2)[0]
        if major not in versions:
            raise self.error(f"version {major}, known are {', '.join(map(str, versions))}")
        return self.json(self.take(int(self.array("<u4", 1)[0])))

    def json(self, text: bytes) -> dict[str, Any]:
        """A JSON object."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self.error("a damaged header")
        return value

    def section(self, magic: bytes, *, length_bytes: int = 4) -> Bytes:
        """The next section, as bytes of its own."""
        if self.take(len(magic)) != magic:
            raise self.error(f"no section {magic.decode()} where it must stand")
        return Bytes(self.take(int(self.array(f"<u{length_bytes}", 1)[0])), self.path)

    def sizes(self, header: dict[str, Any]) -> tuple[int, int]:
        """How many variables and interactions a header announces."""
        match header.get("shape"):
            case [int(n), int(m)] if min(n, m) >= 0 and max(n, m) <= len(self.data):
                return n, m
            case shape:
                raise self.error(f"shape {str(shape)[:40]!r} in its header")

    def type(self, header: dict[str, Any], name: str) -> np.dtype[Any]:
        """The type of numbers that a header names."""
        kind = header.get(name)
        if not isinstance(kind, str) or kind not in TYPES:
            raise self.error(f"{name} {str(kind)[:40]!r} in its header")
        return TYPES[kind]

    def within(self, indices: npt.NDArray[Any], n: int) -> npt.NDArray[np.int64]:
        """Indices, all in [0, n)."""
        if indices.size and not (indices.dtype.kind in "iu" and indices.min() >= 0 and indices.max() < n):
            raise self.error(f"variables that are not in [0, {n})")
        return indices.astype(np.int64)
