"""A bar on a terminal of any width; where there is none, a plain line every so often."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Rich
from rich.table import Column
from rich.text import Text

__all__ = ["LINE_SECONDS", "THREAD", "Bar", "Times", "counted", "drawn", "duration"]

LINE_SECONDS = 15.0
"""Between two lines where stderr is no terminal."""

WIDE = 100
"""Columns of a terminal from which on there is room for more than the times."""

NARROW = 80
"""Columns of a terminal below which every word counts."""

TICK_SECONDS = 0.2
"""Between two looks at whether a line is due."""

PACE_SECONDS = 3600.0
"""How far back the time left looks: cells differ too much for less."""

THREAD = "progress"
"""Name of the thread that looks on."""

Item = TypeVar("Item")


def duration(seconds: float) -> str:
    """A time for people: 45 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def told_times(task: Task, *, short: bool = False) -> str:
    """Since when, and for how long yet."""
    told = f"{duration(task.elapsed or 0.0)} so far"
    left = None if task.finished else task.time_remaining
    return told if left is None else f"{told}, {'' if short else 'about '}{duration(left)} left"


class Times(ProgressColumn):
    """Both times, each with what it is."""

    def __init__(self, *, short: bool = False) -> None:
        super().__init__()
        self.short = short

    def render(self, task: Task) -> Text:
        """They change too often to be cached."""
        return Text(told_times(task, short=self.short), style="progress.elapsed", no_wrap=True)


def _columns(width: int) -> tuple[ProgressColumn, ...]:
    """How far, a bar, the times, and in what room is left what is being done."""
    return (
        TextColumn("{task.fields[count]}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=max(4, min(40, (width - 44) // 3))),
        Times(short=width < NARROW),
        TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
    )


def drawn(console: Console, *, live: bool) -> Rich:
    """The bar on a console, which shows nothing unless live."""
    return Rich(
        *_columns(console.width),
        console=console,
        transient=True,
        expand=True,
        disable=not live,
        speed_estimate_period=PACE_SECONDS,
    )


class Bar:
    """So many things, one after another, told to a person. A context manager.

    Parameters:
        what: the things: "cells".
        total: how many; None where nobody knows yet.

    Attributes:
        done: how many are.
        now: what is being done.
        note: stands beside how many.
    """

    def __init__(self, what: str, total: int | None = None) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.live = sys.stderr.isatty()
        self.what, self.done, self.now, self.note = what, 0, "", ""
        self.total = total
        self.bar = drawn(self.console, live=self.live)
        self.task = self.bar.add_task("", total=total, count=self.short())
        self.last_line = time.monotonic()
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._look_on, name=THREAD, daemon=True)

    def __enter__(self) -> Self:
        self.bar.start()
        if not self.live:
            self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        if self.thread.is_alive():
            self.thread.join()
        self.bar.stop()

    def begin(self, what: str, total: int | None, *, done: int = 0) -> None:
        """Other things from now on; the clock begins anew."""
        self.what, self.total, self.done, self.now, self.note = what, total, done, "", ""
        self.bar.reset(self.task, total=total, completed=done, description="", count=self.short())

    def work_on(self, now: str) -> None:
        """What is being done."""
        self.now = now
        self.bar.update(self.task, description=escape(now))

    def advance(self) -> None:
        """One more is done."""
        self.done += 1
        self.bar.update(self.task, completed=self.done, count=self.short())
        self._line_if_due()

    def say(self, text: str) -> None:
        """A line that stays, above the bar; a terminal that is too narrow gets it folded at words."""
        self.console.print(escape(text), soft_wrap=not self.live)

    def counted(self, *, noted: bool = True) -> str:
        """How many of how many; what is done where nothing is counted yet."""
        if self.total is None and not self.done:
            return self.what
        of = "" if self.total is None else f" of {self.total:,}"
        return f"{self.done:,}{of} {self.what}" + (f", {self.note}" if self.note and noted else "")

    def short(self) -> str:
        """The same in the room of a narrow terminal, where times matter more than the note."""
        return self.counted() if self.console.width >= WIDE else self.counted(noted=False)

    def line(self) -> str:
        """All of it, for a log."""
        now = f"; {self.now}" if self.now else ""
        return f"{self.counted()}, {told_times(self.bar.tasks[0])}{now}"

    def _look_on(self) -> None:
        while not self.over.wait(TICK_SECONDS):
            self._line_if_due()

    def _line_if_due(self) -> None:
        with self.lock:
            if self.live or time.monotonic() - self.last_line < LINE_SECONDS:
                return
            self.last_line = time.monotonic()
        self.say(self.line())


def counted(items: Iterable[Item], what: str, total: int | None) -> Iterator[Item]:
    """The items, while a bar counts them."""
    with Bar(what, total) as bar:
        for item in items:
            bar.advance()
            yield item
