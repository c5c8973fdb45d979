"""What a cell costs that asks for nothing: its process, its instance, its network's metric and its record."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import qubopress.suites as suites
from qubopress.results import Record, Store

SUITE = """
seconds = 5
restarts = 1
seeds = {cells}

[[problem]]
name = "adaround"
network = "digits-mlp"
bits = 3

[[solver]]
name = ["round-to-nearest"]
"""


class _Marks(suites.Progress):
    """When the first cell could begin, and when each was in the store."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.searched: list[float] = []

    def begin(self, total: int, done: int) -> None:
        self.times.append(time.perf_counter())

    def finished(self, record: Record) -> None:
        self.times.append(time.perf_counter())
        self.searched.append(record.seconds or 0.0)


def empty_cells(cells: int) -> list[float]:
    """Milliseconds of each cell from end to end, the solver's own apart."""
    marks = _Marks()
    with tempfile.TemporaryDirectory() as name:
        suite, store = Path(name, "empty.toml"), Path(name, "r.db")
        suite.write_text(SUITE.format(cells=cells), encoding="utf-8")
        suites.run(str(suite), store=store, progress=marks)
        with Store(store) as found:
            assert set(found.statuses().values()) == {"FINISHED"}
    gaps = [after - before for before, after in zip(marks.times, marks.times[1:], strict=False)]
    return [1e3 * (gap - searched) for gap, searched in zip(gaps, marks.searched, strict=True)]


class EmptyCell:
    """Round to nearest on the digits MLP, 60 times in a row; lower is better."""

    timeout = 120
    version = "1"
    unit = "ms"

    def track_empty_cell(self) -> float:
        """Mean over the cells of a run: what a run is slower by for each cell."""
        found = empty_cells(60)
        return sum(found) / len(found)


if __name__ == "__main__":
    found = sorted(empty_cells(60))
    mean, middle = sum(found) / len(found), found[len(found) // 2]
    print(f"mean {mean:.1f} ms, median {middle:.1f} ms, best {found[0]:.1f} ms")
