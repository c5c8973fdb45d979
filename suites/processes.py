"""Supervised processes: each job in its own, with a deadline and a memory cap that are kept."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import psutil

from .jobs import read_messages

__all__ = ["Job", "Outcome", "Server"]

SETUP_SECONDS = 300.0
"""Most that a job may take outside a search: loading, building the instance, measuring the network."""

GRACE_SECONDS = 2.0
"""What a search may overrun its budget by before its process is ended."""

TERM_SECONDS = 0.5
"""Between asking a process group to end and killing it."""

LOOK_SECONDS = 0.05
"""Between two looks at deadlines and memory."""

MESSAGE_BYTES = 1 << 28
"""Most that a job may send; more is a stranger's."""

ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
}
"""A server whose thread pools have started cannot fork; children raise their own counts."""


@dataclass(frozen=True)
class Job:
    """A request to the server, and whatever the caller wants to remember with it."""

    kind: str
    payload: dict[str, Any]
    tag: Any = None


@dataclass(frozen=True)
class Outcome:
    """How a job ended: its last message, or the status and reason why there is none."""

    job: Job
    answer: dict[str, Any] | None
    status: str
    reason: str
    wall: float


@dataclass
class _Child:
    """A job in flight."""

    job: Job
    pipe: int
    begun: float
    deadline: float
    pid: int = 0
    budget: float | None = None
    buffer: bytearray = field(default_factory=bytearray)
    answer: dict[str, Any] | None = None
    verdict: tuple[str, str] | None = None
    terminated: float | None = None
    code: int | None = None


class Server:
    """The warm server and the children it forked. A context manager: leaving it ends them all.

    Parameters:
        memory: bytes of resident memory at which a job is killed, None without a cap.
    """

    def __init__(self, *, memory: int | None = None) -> None:
        self.memory = memory
        self._children: dict[int, _Child] = {}
        self._next = 0
        self._lines = bytearray()
        self._events: list[dict[str, Any]] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        self._link, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "qubopress.suites.server", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **ONE_THREAD},
                # Ctrl-C goes to the harness alone, which then ends the server in order.
                start_new_session=True,
            )
        self._selector.register(self._link, selectors.EVENT_READ)
        self._wait_for("ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._selector.close()
        self._link.close()
        for child in self._children.values():
            os.close(child.pipe)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def preload(self, **payload: Any) -> None:
        """Let the server load what all children will need."""
        self._link.sendall(json.dumps({"job": "preload", "payload": payload}).encode())
        self._wait_for("preloaded")

    def run(self, jobs: Iterable[Job], *, workers: int = 1) -> Iterator[Outcome]:
        """Run jobs, `workers` at a time, and give each outcome as it comes."""
        waiting = iter(jobs)
        exhausted = False
        while True:
            while not exhausted and len(self._children) < workers:
                job = next(waiting, None)
                exhausted = job is None
                if job is not None:
                    self._start(job)
            if not self._children:
                return
            self._listen(LOOK_SECONDS)
            for number, child in list(self._children.items()):
                self._look_after(child)
                if child.code is not None and self._drained(child):
                    yield self._finish(number)

    def _start(self, job: Job) -> None:
        read, write = os.pipe()
        os.set_blocking(read, False)
        request = {"id": self._next, "job": job.kind, "payload": job.payload}
        now = time.monotonic()
        self._children[self._next] = _Child(job, read, now, now + SETUP_SECONDS)
        socket.send_fds(self._link, [json.dumps(request).encode()], [write])
        os.close(write)
        self._selector.register(read, selectors.EVENT_READ, self._next)
        self._next += 1
        self._wait_for("started")

    def _wait_for(self, event: str) -> None:
        """Until the server says so; the others are kept for `_listen`."""
        while not any(message["event"] == event for message in self._events):
            self._receive()
        message = next(one for one in self._events if one["event"] == event)
        self._events.remove(message)
        if event == "started":
            self._children[message["id"]].pid = message["pid"]

    def _receive(self) -> None:
        data = self._link.recv(65536)
        if not data:
            raise RuntimeError("the warm server died; run `python -m qubopress.suites.jobs` to see its error")
        self._lines += data
        *lines, rest = self._lines.split(b"\n")
        self._lines = bytearray(rest)
        self._events += [json.loads(line) for line in lines]

    def _listen(self, seconds: float) -> None:
        """Take in what children and server have to say within `seconds`."""
        for key, _ in self._selector.select(0 if self._events else seconds):
            if key.fileobj is self._link:
                self._receive()
            else:
                self._read(self._children[key.data])
        for event in self._events:
            if event["event"] == "exited":
                self._children[event["id"]].code = event["code"]
        self._events.clear()

    def _read(self, child: _Child) -> bool:
        """Read what a child sent; False at the end of its pipe."""
        try:
            data = os.read(child.pipe, 1 << 20)
        except BlockingIOError:
            return True
        if not data:
            with suppress(KeyError):
                self._selector.unregister(child.pipe)
            return False
        child.buffer += data
        try:
            messages = read_messages(child.buffer)
        except ValueError as error:
            child.verdict = child.verdict or ("FAILED", f"the cell sent no message of ours: {error}")
            return False
        for message in messages:
            self._note(child, message)
        if len(child.buffer) > MESSAGE_BYTES:
            child.verdict = ("FAILED", f"the cell sent more than {MESSAGE_BYTES >> 20} MiB")
            self._kill(child, signal.SIGKILL)
        return True

    def _note(self, child: _Child, message: dict[str, Any]) -> None:
        if "clock" not in message:
            child.answer = message
            return
        child.budget = message["clock"]
        allowed = SETUP_SECONDS if child.budget is None else child.budget + GRACE_SECONDS
        child.deadline = time.monotonic() + allowed

    def _drained(self, child: _Child) -> bool:
        """Whether all that a dead child sent has been read."""
        while self._read(child):
            if child.code is not None and not _readable(child.pipe):
                break
        return True

    def _look_after(self, child: _Child) -> None:
        """Enforce the deadline and the memory cap."""
        now = time.monotonic()
        if child.terminated is not None:
            if now > child.terminated + TERM_SECONDS:
                self._kill(child, signal.SIGKILL)
            return
        if now > child.deadline:
            budget = "setting up" if child.budget is None else f"its budget of {child.budget:.3g} s"
            self._end(child, "TIMEOUT", f"killed {now - child.begun:.1f} s after its start, past {budget}")
        elif self.memory is not None and _resident(child.pid) > self.memory:
            self._end(child, "MEMORY", f"passed the memory cap of {self.memory / 2**20:.0f} MiB")

    def _end(self, child: _Child, status: str, reason: str) -> None:
        child.verdict, child.terminated = (status, reason), time.monotonic()
        self._kill(child, signal.SIGTERM)

    def _kill(self, child: _Child, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)

    def _finish(self, number: int) -> Outcome:
        child = self._children.pop(number)
        with suppress(KeyError):
            self._selector.unregister(child.pipe)
        os.close(child.pipe)
        wall = time.monotonic() - child.begun
        if child.verdict is not None:
            return Outcome(child.job, None, *child.verdict, wall)
        if child.answer is None or child.code != 0:
            return Outcome(child.job, None, "CRASHED", _how_it_died(child.code), wall)
        return Outcome(child.job, child.answer, "", "", wall)


def _readable(descriptor: int) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        return bool(selector.select(0))


def _resident(pid: int) -> int:
    """Resident bytes of a process and its descendants."""
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])
    except psutil.Error:
        return 0


def _how_it_died(code: int | None) -> str:
    if code is not None and code < 0:
        return f"the process died by {signal.Signals(-code).name}"
    return f"the process ended with exit code {code} and no answer"
