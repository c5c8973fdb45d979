"""What a run tells a person: how much there is to do, how far it is, what failed and why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

from ...results import Record
from ...results.scoring.scores import FAILURES
from ..harness.suite_run import Progress
from .bars import Bar, duration

__all__ = ["TerminalProgress"]


STARTING, CELLS = "starting", "cells"


class TerminalProgress(Progress):
    """A context manager, so that the bar leaves the terminal as it was.

    Parameters:
        store: where the records go, None to leave that out.
        seconds: budget of a cell, None to say nothing of how long it takes.
        jobs: cells at a time.
    """

    def __init__(self, store: Path | None = None, *, seconds: float | None = None, jobs: int = 1) -> None:
        self.store, self.seconds, self.jobs = store, seconds, jobs
        self.bar = Bar(STARTING)
        self.evaluations = 0
        self.failures = Counter[str]()

    @property
    def done(self) -> int:
        """Cells in the store, 0 until they are counted."""
        return self.bar.done if self.total else 0

    @property
    def total(self) -> int:
        """Cells in all, 0 until they are known."""
        return self.bar.total or 0 if self.bar.what == CELLS else 0

    def __enter__(self) -> Self:
        self.bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.__exit__(kind, error, trace)
        for failure, times in self.failures.items():
            if times > 1:
                self.bar.say(f"{times - 1} more: {failure}")

    def surveying(self, count: int) -> None:
        """`count` instances are about to be built."""
        self.bar.begin("instances built", count)

    def surveyed(self, name: str) -> None:
        """One of them is, or cannot be."""
        self.bar.work_on(name)
        self.bar.advance()

    def left_out(self, name: str, reason: str) -> None:
        """An instance cannot be built here."""
        self.bar.say(f"left out {name}: {reason}")

    def begin(self, total: int, done: int) -> None:
        """`total` cells in all, of which `done` are in the store already."""
        self.bar.begin(CELLS, total, done=done)
        if total:
            self.bar.say(self._plan(total, done))

    def _plan(self, total: int, done: int) -> str:
        """How many cells, for how long at most, and where to."""
        there = f", {done:,} of them in the store already" if done else ""
        told = f"{total:,} {'cell' if total == 1 else 'cells'}{there}"
        if self.seconds is not None and total > done:
            searches = -(-(total - done) // self.jobs) * self.seconds
            told += f"; up to {self.seconds:g} s of search each, about {duration(searches)} of search in all"
        return told + (f"; into {self.store}" if self.store else "")

    def started(self, cell: str) -> None:
        """A cell is begun."""
        self.bar.work_on(cell)

    def finished(self, record: Record) -> None:
        """A cell is in the store; each new failure is told once."""
        self.evaluations += record.counts.get("evaluations", 0)
        self.bar.note = f"{self.evaluations:,} evaluations" if self.evaluations else ""
        if record.status in FAILURES:
            self._failed(record)
        self.bar.advance()

    def _failed(self, record: Record) -> None:
        failure = f"{record.status} {record.solver}: {record.message}"
        self.failures[failure] += 1
        if self.failures[failure] == 1:
            where = f"{record.solver} on {record.instance}"
            self.bar.say(f"{record.status} {where} (seed {record.seed}): {record.message}")
