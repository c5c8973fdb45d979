"""Supervised processes: each job in its own, with a deadline and a memory cap that are kept."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from types import TracebackType
from typing import Any, Self

from . import cgroups
from .child import SETUP_SECONDS, Child
from .executor import Job, JobOutcome
from .load import Load, cores, cpu_seconds
from .server_link import ServerLink

__all__ = ["Supervisor"]

LOOK_SECONDS = 0.05
"""Between two looks at deadlines and memory."""


class Supervisor:
    """A warm server and the children it forks, looked after. A context manager: leaving it ends them all.

    Parameters:
        memory: bytes at which a job and what it started are killed, None without a cap.

    Attributes:
        wanted: whether anyone still waits for the jobs in flight; those that nobody waits for are killed.
    """

    def __init__(self, *, memory: int | None = None) -> None:
        self.memory = memory
        self.wanted: Callable[[], bool] = lambda: True
        self._children: dict[int, Child] = {}
        self._next = 0
        self._home: cgroups.Home | None = None
        self._sought = False
        self._selector = selectors.DefaultSelector()

    @property
    def pid(self) -> int:
        """Of the server's process."""
        return self._link.pid

    @property
    def busy(self) -> bool:
        """Whether a job is in flight."""
        return bool(self._children)

    def __enter__(self) -> Self:
        self._link = ServerLink()
        self._selector.register(self._link.socket, selectors.EVENT_READ)
        try:
            self._link.wait_for("ready")
        except BaseException:
            self._close()
            raise
        self._load = Load(self._cpu_seconds)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._selector.close()
        for child in self._children.values():
            os.close(child.pipe)
        self._link.close()
        for child in self._children.values():
            self._ungroup(child)
        self._children.clear()
        if self._home is not None:
            self._home.close()
        self._home, self._sought = None, False

    def preload(self, **payload: Any) -> None:
        """Let the server load what all children will need."""
        self._link.ask({"job": "preload", "payload": payload})
        self._link.wait_for("preloaded")

    def run(self, jobs: Iterable[Job], *, workers: int = 1) -> Iterator[JobOutcome]:
        """Run jobs, `workers` at a time, and give each outcome as it comes."""
        waiting = iter(jobs)
        ended: list[JobOutcome] = []
        while True:
            for job in islice(waiting, max(workers - len(self._children), 0)):
                self._start(job, *self._place(job, workers))
            # Only now, so that the caller writes one record while the next job is setting up.
            yield from ended
            if not self._children:
                return
            self._listen(LOOK_SECONDS)
            for child in self._children.values():
                child.look_after(self.memory, wanted=self.wanted())
            numbers = [number for number, child in self._children.items() if child.code is not None]
            ended = [self._finish(number) for number in numbers]

    def _place(self, job: Job, workers: int) -> tuple[tuple[int, ...], bool]:
        """Cores to pin a job to, and whether no other job of ours can take its cores.

        Jobs beside each other get their own where there are enough for all; one at a time needs no pinning.
        """
        ours = cores()
        if workers == 1 or workers * job.threads > len(ours) or not hasattr(os, "sched_setaffinity"):
            return (), workers == 1
        taken = {core for child in self._children.values() for core in child.cores}
        free = [core for core in ours if core not in taken]
        return (tuple(free[: job.threads]), True) if len(free) >= job.threads else ((), False)

    def _start(self, job: Job, own: tuple[int, ...], alone: bool) -> None:
        group = self._group()
        # No pipe: anyone of this user could open one by way of /proc.
        read, write = (end.detach() for end in socket.socketpair())
        os.set_blocking(read, False)
        now = time.monotonic()
        self._children[self._next] = Child(job, read, now, now + SETUP_SECONDS, now, own, alone, group)
        self._selector.register(read, selectors.EVENT_READ, self._next)
        try:
            content = {"id": self._next, "job": job.kind, "payload": job.payload, "cores": own}
            self._link.ask(content | ({"group": str(group.folder)} if group else {}), write)
        finally:
            os.close(write)
        self._next += 1
        begun = self._link.wait_for("started")
        self._children[begun["id"]].pid = begun["pid"]

    def _group(self) -> cgroups.Group | None:
        """A control group with the memory cap, None without a cap or a place for groups."""
        if self.memory is None:
            return None
        if not self._sought:
            self._home, self._sought = cgroups.find(), True
        try:
            return None if self._home is None else self._home.make(self.memory)
        except OSError:
            return None

    def _ungroup(self, child: Child) -> None:
        if self._home is not None and child.group is not None:
            self._home.remove(child.group)

    def _listen(self, seconds: float) -> None:
        """Take in what children and server have to say within `seconds`."""
        for key, _ in self._selector.select(0 if self._link.pending() else seconds):
            if key.fileobj is self._link.socket:
                self._link.receive()
            else:
                self._read(self._children[key.data])
        for event in self._link.events():
            if event["event"] == "exited":
                child = self._children[event["id"]]
                while self._read(child):
                    pass
                child.code = event["code"]

    def _read(self, child: Child) -> bool:
        """Take in some of what a child sent; False where there is no more for now."""
        try:
            return child.read()
        except EOFError:
            self._forget(child)
            return False

    def _forget(self, child: Child) -> None:
        with suppress(KeyError):
            self._selector.unregister(child.pipe)

    def _finish(self, number: int) -> JobOutcome:
        child = self._children.pop(number)
        self._forget(child)
        os.close(child.pipe)
        wall = time.monotonic() - child.begun
        ending, limits = child.ending(self.memory), child.limits(self.memory)
        self._ungroup(child)
        grade = child.alone and not self._load.disturbed(child.begun)
        return JobOutcome(child.job, *ending, wall, limits, grade)

    def _cpu_seconds(self) -> float:
        """CPU seconds that this process, the server and all that came of it have used."""
        pids = {pid for child in self._children.values() for pid in (child.pid, child.searcher) if pid}
        return time.process_time() + sum(map(cpu_seconds, {self.pid, *pids}))
