"""The traces of a store, end to end in one array: a hundred thousand small arrays would cost far more."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .errors import StoreError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Counts",
    "Points",
    "Traces",
    "over_work",
    "pack_trace",
    "pack_work",
    "unpack_trace",
    "unpack_work",
]

Points = NDArray[np.float64]

Counts = NDArray[np.int64]

LARGEST_BYTES = 2**26
"""Four million improvements; a longer trace is a bomb."""


class Traces(Mapping[str, Points]):
    """The (k, 2) seconds and losses of cells, by their keys.

    Attributes:
        begin: (cells + 1,) where each trace begins in the points, and the last one ends.
        points: (all, 2) of all the cells.
    """

    def __init__(self, packed: Iterable[tuple[str, bytes]] = ()) -> None:
        self._places: dict[str, int] = {}
        ends, raw = [0], bytearray()
        for cell, points in packed:
            self._places[cell] = len(self._places)
            raw += _inflated(points)
            ends.append(len(raw) // 16)
        self.begin = np.array(ends, dtype=np.intp)
        self.points = np.frombuffer(raw, dtype="<f8").reshape(-1, 2).astype(np.float64, copy=False)

    @classmethod
    def of(cls, traces: Mapping[str, Points]) -> Traces:
        """The same traces, end to end."""
        if isinstance(traces, Traces):
            return traces
        joined = cls()
        joined._places = {cell: place for place, cell in enumerate(traces)}
        joined.begin = np.cumsum([0, *(len(points) for points in traces.values())])
        joined.points = np.concatenate([joined.points, *traces.values()])
        return joined

    def __getitem__(self, cell: str) -> Points:
        place = self._places[cell]
        return self.points[self.begin[place] : self.begin[place + 1]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def wrong(self) -> str | None:
        """The first cell with a point that is not finite or has a time below 0."""
        bad = ~np.isfinite(self.points).all(axis=1) | (self.points[:, 0] < 0)
        if not bad.any():
            return None
        place = int(np.searchsorted(self.begin, np.argmax(bad), side="right")) - 1
        return list(self._places)[place]

    def spans(self, cells: pd.Series[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where the traces of these cells begin, and how many points each has: none where it has no trace."""
        places = np.fromiter(
            (self._places.get(cell, -1) for cell in cells.to_numpy(dtype=object)), dtype=np.intp
        )
        lengths = np.append(np.diff(self.begin), 0)[places]
        return self.begin[places], lengths


def pack_trace(trace: tuple[tuple[float, float], ...]) -> bytes:
    """A trace as a store keeps it."""
    return zlib.compress(np.asarray(trace, dtype="<f8").tobytes())


def unpack_trace(points: bytes) -> Points:
    """The (k, 2) points of a stored trace; StoreError where it is none."""
    return np.frombuffer(_inflated(points), dtype="<f8").reshape(-1, 2).astype(np.float64)


def over_work(traces: Mapping[str, Points], work: Mapping[str, Counts]) -> Traces:
    """The (k, 2) work and losses of the cells that have both.

    Raises:
        StoreError: a count is missing for an improvement, or falls.
    """
    for cell, counts in work.items():
        if len(counts) != len(traces.get(cell, ())) or (np.diff(counts, prepend=0) < 0).any():
            raise StoreError(
                f"the work of cell {cell!r} must be a count beside each improvement that never falls, "
                "got another; the store was damaged or altered"
            )
    return Traces.of({cell: np.column_stack([counts, traces[cell][:, 1]]) for cell, counts in work.items()})


def pack_work(counts: tuple[int, ...]) -> bytes:
    """Counts as a store keeps them: what each adds to the one before."""
    return zlib.compress(np.diff(np.asarray(counts, dtype="<i8"), prepend=0).tobytes())


def unpack_work(steps: bytes) -> Counts:
    """The (k,) counts of a stored trace; StoreError where they are none."""
    return np.cumsum(np.frombuffer(_inflated(steps, 8), dtype="<i8"), dtype=np.int64)


def _inflated(points: bytes, size: int = 16) -> bytes:
    """Bytes of whole points, each of that size."""
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(points, LARGEST_BYTES)
        if not inflater.eof:
            raise ValueError("cut off or too long")
        if len(raw) % size:
            raise ValueError(f"{len(raw)} bytes")
    except (zlib.error, TypeError, ValueError) as error:
        raise StoreError(
            f"a trace must be pairs of numbers; the store was damaged or altered: {error}"
        ) from None
    return raw
