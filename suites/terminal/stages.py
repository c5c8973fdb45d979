"""Progress of a compression on stderr: a bar on a terminal, a line every so often where there is none."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape

from ..compressing.stages import Step
from .bars import LINE_SECONDS, drawn

__all__ = ["StageProgress"]

TICK_SECONDS = 0.2
"""Between two looks at a search that is under way."""

MEASURING = "measuring the network"

THREAD = "progress of a compression"
"""Name of the thread that looks on."""


class StageProgress:
    """What a compression tells a person. A context manager, so that the bar leaves the terminal as it was.

    A thread looks at the search, so that the clock moves inside a long stage too.
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.live = sys.stderr.isatty()
        self.bar = drawn(self.console, live=self.live)
        self.task = self.bar.add_task(MEASURING, total=None, count="")
        self.step: Step | None = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look_on, name=THREAD, daemon=True)

    def __enter__(self) -> Self:
        self.bar.start()
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self.thread.join()
        self.bar.stop()

    def __call__(self, step: Step) -> None:
        """A stage begins or ends."""
        self.step = step
        self._draw(step)

    def _look_on(self) -> None:
        while not self.over.wait(TICK_SECONDS if self.live else LINE_SECONDS):
            if self.step is not None:
                self._draw(self.step)
            if not self.live:
                self.console.print(escape(self.line()), soft_wrap=True)

    def _draw(self, step: Step) -> None:
        overall = step.overall
        total = None if overall is None else 1.0
        share = "" if overall is None else f"{overall:.0%}"
        told = escape(_told(step))
        self.bar.update(self.task, description=told, total=total, completed=overall or 0.0, count=share)

    def line(self) -> str:
        """Where the work is, for a log."""
        step, bar = self.step, self.bar.tasks[0]
        if step is None:
            return f"{MEASURING}, {bar.elapsed or 0.0:.0f} s"
        parts = [_told(step), f"{bar.elapsed or 0.0:.0f} s in all"]
        if step.overall is not None:
            left = "" if bar.time_remaining is None else f", about {bar.time_remaining:.0f} s left"
            parts.append(f"{step.overall:.0%} done{left}")
        return ", ".join(parts)


def _told(step: Step) -> str:
    """The stage in words: what it is about, who is at work on it, since when and how far."""
    if step.ended:
        return f"{MEASURING} after {step.label}"
    told = f"{step.label} · {step.solver} {step.seconds:.0f} s"
    restarts = step.run.counts["restarts"] if step.run else 0
    if restarts > 1:
        return f"{told}, {restarts:,} restarts"
    return f"{told}, {step.done:.0%}" if step.done else told
