"""Progress on stderr: a bar on a terminal, a line every so often where there is none."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from ...results import Record
from ..harness.suite_run import Progress

__all__ = ["TerminalProgress"]

LINE_SECONDS = 15.0
"""Between two lines where stderr is no terminal."""


class TerminalProgress(Progress):
    """What a run tells a person. A context manager, so that the bar leaves the terminal as it was."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[evaluations]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self.bar = Bar(*columns, console=self.console, transient=True, disable=not sys.stderr.isatty())
        self.task = self.bar.add_task("starting", total=None, evaluations="")
        self.done = self.total = self.evaluations = 0
        self.last_line = time.monotonic()

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def surveying(self, count: int) -> None:
        """`count` instances are about to be built."""
        self.bar.update(self.task, description=f"building {count} instances")

    def left_out(self, name: str, reason: str) -> None:
        """An instance cannot be built here."""
        self.console.print(f"left out {escape(name)}: {escape(reason)}", soft_wrap=True)

    def begin(self, total: int, done: int) -> None:
        """`total` cells in all, of which `done` are in the store already."""
        self.total, self.done = total, done
        self.bar.reset(self.task, total=total, completed=done, description="cells")
        if done:
            self.console.print(f"{done} of {total} cells are in the store already", soft_wrap=True)

    def finished(self, record: Record) -> None:
        """A cell is in the store."""
        self.done += 1
        self.evaluations += record.counts.get("evaluations", 0)
        told = f"{self.evaluations:,} evaluations" if self.evaluations else ""
        working = f"{record.solver} · {record.problem}"
        self.bar.update(self.task, completed=self.done, description=working, evaluations=told)
        if not sys.stderr.isatty() and time.monotonic() - self.last_line > LINE_SECONDS:
            self.last_line = time.monotonic()
            line = f"{self.done} of {self.total} cells" + (f", {told}" if told else "")
            self.console.print(line, soft_wrap=True)
