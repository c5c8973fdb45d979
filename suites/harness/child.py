"""One job in flight: its clock, its caps, its messages."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from . import cgroups
from .executor import Job
from .family import how_it_died, shared_bytes
from .wire import read_messages

__all__ = ["SETUP_SECONDS", "Child"]

SETUP_SECONDS = 300.0
"""Most that a job may take outside its searches: loading, building instances, measuring the network."""


GRACE_SECONDS = 2.0
"""What a search may overrun its budget by before its process is ended."""


TERM_SECONDS = 0.5
"""Between asking a process group to end and killing it."""


MESSAGE_BYTES = 1 << 28
"""Most that a job may send; more is a stranger's."""


@dataclass
class Child:
    """A job in flight.

    Attributes:
        pipe: where its messages come from, not blocking.
        cores: numbers of the cores that it has to itself, empty where it shares all.
        alone: whether no other job of ours could take its cores.
        group: control group that enforces its memory cap, None where the watchdog does.
        begun, deadline: on the monotonic clock.
        pid: of the process and its group, 0 until the server has told.
        searcher: process id of the solver while a search goes on, else 0.
        since: when the search, or the work between two searches, began.
        budget: seconds of the search that is going on, None between searches.
        setup_left: seconds left for work outside searches.
        searches: how many it began.
        received: bytes it sent so far; `buffer` holds those of the message that is not whole yet.
        verdict: status and reason of a job that was ended, at `terminated`.
        code: exit code once it is dead.
    """

    job: Job
    pipe: int
    begun: float
    deadline: float
    since: float
    cores: tuple[int, ...] = ()
    alone: bool = True
    group: cgroups.Group | None = None
    pid: int = 0
    searcher: int = 0
    budget: float | None = None
    setup_left: float = SETUP_SECONDS
    searches: int = 0
    received: int = 0
    buffer: bytearray = field(default_factory=bytearray)
    answer: dict[str, Any] | None = None
    verdict: tuple[str, str] | None = None
    terminated: float | None = None
    code: int | None = None

    def read(self) -> bool:
        """Take in some of what it sent; False where there is no more for now, or no use for it.

        Raises:
            EOFError: it will send nothing any more.
        """
        try:
            data = os.read(self.pipe, 1 << 20)
        except BlockingIOError:
            return False
        if not data:
            raise EOFError
        if self.verdict is None:
            self.take(data)
        return self.verdict is None

    def take(self, data: bytes) -> None:
        """Read messages with the distrust that a stranger's code deserves."""
        self.received += len(data)
        self.buffer += data
        try:
            if self.received > MESSAGE_BYTES:
                raise ValueError(f"more than {MESSAGE_BYTES >> 20} MiB")
            for message in read_messages(self.buffer):
                if "clock" in message:
                    self._set_clock(message["clock"])
                    self.searcher = message.get("pid") or 0
                else:
                    self.answer = message
        except ValueError as error:
            self.end("FAILED", f"the cell sent what is no message of ours: {error}")

    def _set_clock(self, budget: Any) -> None:
        """A search begins with a budget, or has ended; no message lifts the deadline of either."""
        now = time.monotonic()
        if self.budget is None:
            self.setup_left -= now - self.since
        self.since = now
        if budget is None:
            self.budget, self.deadline = None, now + self.setup_left
            return
        self.searches += 1
        if isinstance(budget, bool) or not isinstance(budget, int | float) or not budget > 0:
            raise ValueError(f"a budget of {budget!r}")
        if self.searches > self.job.searches:
            raise ValueError(f"a search too many, it has {self.job.searches}")
        self.budget = min(float(budget), self.job.seconds)
        self.deadline = now + self.budget + GRACE_SECONDS

    def look_after(self, memory: int | None, *, wanted: bool) -> None:
        """Enforce the deadline and the cap of `memory` bytes; end it where nobody wants it."""
        now = time.monotonic()
        if self.terminated is not None:
            if now > self.terminated + TERM_SECONDS:
                self._signal(signal.SIGKILL)
        elif not wanted:
            self.end("CRASHED", "killed because nobody waits for it any longer")
        elif now > self.deadline:
            budget = "setting up" if self.budget is None else f"its budget of {self.budget:.3g} s"
            cure = "" if self.budget is None else "; a search must ask run.open() or run.stopped() to go on"
            self.end("TIMEOUT", f"killed {now - self.begun:.1f} s after its start, past {budget}{cure}")
        elif memory is not None and self._out_of_memory(memory):
            self.end("MEMORY", _passed(memory))

    def _out_of_memory(self, cap: int) -> bool:
        """Whether it passed the cap: what Linux says of its group, else what it holds now."""
        return (
            self.group.killed()
            if self.group is not None
            else _exceeds(self.pid, cap - shared_bytes(self.searcher))
        )

    def end(self, status: str, reason: str) -> None:
        """Ask its group to end; what is left is killed a moment later."""
        self.verdict, self.terminated = (status, reason), time.monotonic()
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def ending(self, memory: int | None) -> tuple[dict[str, Any] | None, str, str]:
        """Answer, status and reason, once it is dead."""
        if self.verdict is None and self.group is not None and self.group.killed():
            self.verdict = "MEMORY", _passed(memory or 0)
        if self.verdict is not None:
            return None, *self.verdict
        if self.answer is None or self.code != 0:
            return None, "CRASHED", how_it_died(self.code)
        return self.answer, "", ""

    def limits(self, memory: int | None) -> dict[str, str]:
        """How its caps are enforced, in words for its record."""
        keeper = self.group.name if self.group is not None else "rss-watchdog"
        return {
            "deadline": f"SIGTERM {GRACE_SECONDS:g} s past the budget, SIGKILL {TERM_SECONDS:g} s later",
            "memory": "none" if memory is None else f"{keeper} {memory / 2**20:.0f} MiB",
            "threads": f"{self.job.threads}, by thread pools",
            "cores": f"pinned to {', '.join(map(str, self.cores))}" if self.cores else "not pinned",
        }


def _passed(cap: int) -> str:
    return f"passed the memory cap of {cap / 2**20:.0f} MiB"


def _exceeds(pid: int, cap: int) -> bool:
    """Whether a process and its descendants hold more than `cap` bytes.

    The cheap sum of resident bytes counts pages that forks share once for each; only a sum beyond the cap is
    worth asking Linux for every process's share.
    """
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(one.memory_info().rss for one in family) > cap and sum(map(_share, family)) > cap
    except psutil.Error:
        return False


def _share(process: psutil.Process) -> int:
    """Bytes of a process, a page that k processes share counted as 1/k; resident bytes where nobody tells."""
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return int(process.memory_info().rss)
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
