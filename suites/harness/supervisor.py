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
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import psutil

from . import cgroups
from .provenance import Load, cores
from .wire import read_messages

__all__ = ["Executor", "Job", "Outcome", "Server", "ServerError"]

SETUP_SECONDS = 300.0
"""Most that a job may take outside its searches: loading, building instances, measuring the network."""

GRACE_SECONDS = 2.0
"""What a search may overrun its budget by before its process is ended."""

TERM_SECONDS = 0.5
"""Between asking a process group to end and killing it."""

LOOK_SECONDS = 0.05
"""Between two looks at deadlines and memory."""

MESSAGE_BYTES = 1 << 28
"""Most that a job may send; more is a stranger's."""

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "1"
)
"""A server whose thread pools have started cannot fork; children raise their own counts."""


class ServerError(RuntimeError):
    """The warm server ended on its own. The message is one line."""


@dataclass(frozen=True)
class Job:
    """A request to the server, and whatever the caller wants to remember with it.

    Attributes:
        kind: "survey" or "cell".
        payload: the request, plain data.
        tag: the caller's own.
        seconds: most that one search of the job may be allowed.
        searches: most searches that it may begin.
        threads: threads that it may use.
    """

    kind: str
    payload: dict[str, Any]
    tag: Any = None
    seconds: float = 0.0
    searches: int = 0
    threads: int = 1


@dataclass(frozen=True)
class Outcome:
    """How a job ended: its last message, or the status and reason why there is none.

    Attributes:
        limits: how each of its caps was enforced.
        timing_grade: whether it had its cores to itself, so that its times may be compared.
        machine: where it ran, "" for here.
    """

    job: Job
    answer: dict[str, Any] | None
    status: str
    reason: str
    wall: float
    limits: dict[str, str] = field(default_factory=dict)
    timing_grade: bool = False
    machine: str = ""


class Executor(Protocol):
    """Where jobs run: the processes of this machine, or a cluster's. A context manager that ends them all."""

    def __enter__(self) -> Executor: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def preload(self, **payload: Any) -> None:
        """What every process that runs jobs loads before the next."""

    def run(self, jobs: Iterable[Job], *, workers: int = 1) -> Iterator[Outcome]:
        """Run jobs, `workers` at a time where the executor lets one choose; give each outcome as it comes."""


@dataclass
class _Child:
    """A job in flight.

    Attributes:
        pipe: where its messages come from, not blocking.
        cores: numbers of the cores that it has to itself, empty where it shares all.
        alone: whether no other job of ours could take its cores.
        group: control group that enforces its memory cap, None where the watchdog does.
        begun, deadline: on the monotonic clock.
        pid: of the process and its group, 0 until the server has told.
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
    budget: float | None = None
    setup_left: float = SETUP_SECONDS
    searches: int = 0
    received: int = 0
    buffer: bytearray = field(default_factory=bytearray)
    answer: dict[str, Any] | None = None
    verdict: tuple[str, str] | None = None
    terminated: float | None = None
    code: int | None = None


class Server:
    """The warm server and the children it forked. A context manager: leaving it ends them all.

    Parameters:
        memory: bytes at which a job and what it started are killed, None without a cap.

    Attributes:
        wanted: whether anyone still waits for the jobs in flight; those that nobody waits for are killed.
    """

    def __init__(self, *, memory: int | None = None) -> None:
        self.memory = memory
        self.wanted: Callable[[], bool] = lambda: True
        self._children: dict[int, _Child] = {}
        self._next = 0
        self._home: cgroups.Home | None = None
        self._sought = False
        self._lines = bytearray()
        self._events: list[dict[str, Any]] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        self._link, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - fixed arguments
                # -P: a file of the user's in the working folder must not pass for a module.
                [sys.executable, "-P", "-m", "qubopress.suites.harness.warm_server", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **ONE_THREAD},
                # Ctrl-C goes to the harness alone, which then ends the server in order.
                start_new_session=True,
            )
        self._selector.register(self._link, selectors.EVENT_READ)
        try:
            self._wait_for("ready")
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
        """End the server, which first ends every process that came of it."""
        self._selector.close()
        self._link.close()
        for child in self._children.values():
            os.close(child.pipe)
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for child in self._children.values():
            self._ungroup(child)
        self._children.clear()
        if self._home is not None:
            self._home.close()
        self._home, self._sought = None, False

    def preload(self, **payload: Any) -> None:
        """Let the server load what all children will need."""
        self._request({"job": "preload", "payload": payload})
        self._wait_for("preloaded")

    def run(self, jobs: Iterable[Job], *, workers: int = 1) -> Iterator[Outcome]:
        """Run jobs, `workers` at a time, and give each outcome as it comes."""
        waiting = iter(jobs)
        ended: list[Outcome] = []
        while True:
            for job in islice(waiting, max(workers - len(self._children), 0)):
                self._start(job, *self._place(job, workers))
            # Only now, so that the caller writes one record while the next job is setting up.
            yield from ended
            if not self._children:
                return
            self._listen(LOOK_SECONDS)
            for child in self._children.values():
                self._look_after(child)
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
        read, write = os.pipe()
        os.set_blocking(read, False)
        now = time.monotonic()
        self._children[self._next] = _Child(job, read, now, now + SETUP_SECONDS, now, own, alone, group)
        self._selector.register(read, selectors.EVENT_READ, self._next)
        try:
            content = {"id": self._next, "job": job.kind, "payload": job.payload, "cores": own}
            self._request(content | ({"group": str(group.folder)} if group else {}), write)
        finally:
            os.close(write)
        self._next += 1
        self._wait_for("started")

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

    def _ungroup(self, child: _Child) -> None:
        if self._home is not None and child.group is not None:
            self._home.remove(child.group)

    def _request(self, content: dict[str, Any], *descriptors: int) -> None:
        data = json.dumps(content).encode() + b"\n"
        try:
            # The rest, if any, needs no descriptor with it.
            sent = socket.send_fds(self._link, [data], descriptors) if descriptors else 0
            self._link.sendall(data[sent:])
        except ConnectionError:
            raise _server_died() from None

    def _wait_for(self, event: str) -> None:
        """Until the server says so; the others are kept for `_listen`."""
        while not any(message["event"] == event for message in self._events):
            self._receive()
        message = next(one for one in self._events if one["event"] == event)
        self._events.remove(message)
        if event == "started":
            self._children[message["id"]].pid = message["pid"]

    def _receive(self) -> None:
        try:
            data = self._link.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise _server_died()
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
                child = self._children[event["id"]]
                while self._read(child):
                    pass
                child.code = event["code"]
        self._events.clear()

    def _read(self, child: _Child) -> bool:
        """Take in some of what a child sent; False where there is no more for now, or no use for it."""
        try:
            data = os.read(child.pipe, 1 << 20)
        except BlockingIOError:
            return False
        if not data:
            with suppress(KeyError):
                self._selector.unregister(child.pipe)
            return False
        if child.verdict is None:
            self._take(child, data)
        return child.verdict is None

    def _take(self, child: _Child, data: bytes) -> None:
        """Read messages with the distrust that a stranger's code deserves."""
        child.received += len(data)
        child.buffer += data
        try:
            if child.received > MESSAGE_BYTES:
                raise ValueError(f"more than {MESSAGE_BYTES >> 20} MiB")
            for message in read_messages(child.buffer):
                if "clock" in message:
                    self._set_clock(child, message["clock"])
                else:
                    child.answer = message
        except ValueError as error:
            self._end(child, "FAILED", f"the cell sent what is no message of ours: {error}")

    def _set_clock(self, child: _Child, budget: Any) -> None:
        """A search begins with a budget, or has ended; no message lifts the deadline of either."""
        now = time.monotonic()
        if child.budget is None:
            child.setup_left -= now - child.since
        child.since = now
        if budget is None:
            child.budget, child.deadline = None, now + child.setup_left
            return
        child.searches += 1
        if isinstance(budget, bool) or not isinstance(budget, int | float) or not budget > 0:
            raise ValueError(f"a budget of {budget!r}")
        if child.searches > child.job.searches:
            raise ValueError(f"a search too many, it has {child.job.searches}")
        child.budget = min(float(budget), child.job.seconds)
        child.deadline = now + child.budget + GRACE_SECONDS

    def _look_after(self, child: _Child) -> None:
        """Enforce the deadline and the memory cap."""
        now = time.monotonic()
        if child.terminated is not None:
            if now > child.terminated + TERM_SECONDS:
                self._kill(child, signal.SIGKILL)
            return
        if not self.wanted():
            self._end(child, "CRASHED", "killed because nobody waits for it any longer")
        elif now > child.deadline:
            budget = "setting up" if child.budget is None else f"its budget of {child.budget:.3g} s"
            self._end(child, "TIMEOUT", f"killed {now - child.begun:.1f} s after its start, past {budget}")
        elif self.memory is not None and self._out_of_memory(child, self.memory):
            self._end(child, "MEMORY", self._too_much())

    def _out_of_memory(self, child: _Child, cap: int) -> bool:
        """Whether it passed the cap: what Linux says of its group, else what it holds now."""
        return child.group.killed() if child.group is not None else _exceeds(child.pid, cap)

    def _too_much(self) -> str:
        return f"passed the memory cap of {(self.memory or 0) / 2**20:.0f} MiB"

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
        if child.verdict is None and child.group is not None and child.group.killed():
            child.verdict = "MEMORY", self._too_much()
        self._ungroup(child)
        grade = child.alone and not self._load.disturbed(child.begun)
        return Outcome(child.job, *_ending(child), wall, self._limits(child), grade)

    def _limits(self, child: _Child) -> dict[str, str]:
        """How the caps of a job were enforced, in words for its record."""
        keeper = child.group.name if child.group is not None else "rss-watchdog"
        cap = "none" if self.memory is None else f"{keeper} {self.memory / 2**20:.0f} MiB"
        return {
            "deadline": f"SIGTERM {GRACE_SECONDS:g} s past the budget, SIGKILL {TERM_SECONDS:g} s later",
            "memory": cap,
            "threads": f"{child.job.threads}, by thread pools",
            "cores": f"pinned to {', '.join(map(str, child.cores))}" if child.cores else "not pinned",
        }

    def _cpu_seconds(self) -> float:
        """CPU seconds that this process, the server and all that came of it have used."""
        pids = [self._process.pid, *(child.pid for child in self._children.values() if child.pid)]
        return time.process_time() + sum(map(_cpu_of, pids))


def _ending(child: _Child) -> tuple[dict[str, Any] | None, str, str]:
    """Answer, status and reason of a job that has ended."""
    if child.verdict is not None:
        return None, *child.verdict
    if child.answer is None or child.code != 0:
        return None, "CRASHED", _how_it_died(child.code)
    return child.answer, "", ""


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _server_died() -> ServerError:
    return ServerError(
        "the warm server died, perhaps for want of memory; finished cells are in the store, run again"
    )


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


def _how_it_died(code: int | None) -> str:
    if code is not None and code < 0:
        known = {int(one): one.name for one in signal.Signals}
        return f"the process died by {known.get(-code, f'signal {-code}')}"
    return f"the process ended with exit code {code} and no answer"
