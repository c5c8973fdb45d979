"""Judged search: a solver in a process of its own, and this one, which runs none of its code, as its judge.

The judge holds the instance, which nobody else can write to. What comes back are bits, stamped when they
arrive; from these alone a run is replayed here, and concluded as any run is.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import isfinite, prod
from types import TracebackType
from typing import Any, Self

from ...problems import SHAPES, Instance
from ...solvers import Entry, Run, Solution, Status
from ...solvers.adapters import concluded, parts_of
from ...solvers.solving import skipped, trivial
from .family import PR_SET_CHILD_SUBREAPER, end_family, how_it_died, own_processes, prctl
from .offers import BITS, ENDED, LEVELS, READY, STOPPED, Frame, read_frames
from .search_process import SENT_BYTES, SolverCode, SolverProcess, searching

__all__ = ["Contestant", "Judge", "SearchFailed"]

LOOK_SECONDS = 0.05
"""Between two looks whether a silent solver still lives, while something else holds its link open."""

PENDING_BYTES = 64 << 20
"""Bits that wait for the end of the search to be judged; with more of them the solver waits for the judge."""

Clock = Callable[[float | None, int], None]
"""Told the seconds that the search about to begin may take and its process, (None, 0) when one has ended."""


class SearchFailed(Exception):  # noqa: N818 - an ending, not an error
    """A search that ended without an answer, with its status and the reason."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Contestant:
    """A solver as its judge knows it: what was registered; the hash of a stranger's file, "" for our own."""

    entry: Entry
    source: str = ""

    @property
    def proves(self) -> bool:
        """Whether a bound of its is a proof: it is one of ours and registered to prove."""
        return self.entry.exact and not self.source


@dataclass
class Judge:
    """Has instances searched and judges what comes of it. A context manager: leaving it ends every process.

    Attributes:
        contestant: who searches.
        code: what its process loads.
        options: of its search, see `solvers.solve`; its parameters apart.
        parameters: its own.
        clock: told when a search begins and ends.
        process: that of the solver, forked ahead; another is forked where there is none.
        peak_bytes: most that a process of it held.
    """

    contestant: Contestant
    code: SolverCode
    options: dict[str, Any]
    parameters: dict[str, Any]
    clock: Clock
    process: SolverProcess | None = None
    peak_bytes: int = 0

    def __enter__(self) -> Self:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        # The group is asked to end before it is killed; the judge waits for what becomes of the solver.
        self._before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.process is None:
            self.process = SolverProcess.fork()
        self.process.load(self.code)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self.process
        assert process is not None
        # Alone it dies with this process, while the next job begins.
        if not process.childless() or own_processes() != {process.pid}:
            end_family({process.pid})
        process.link.close()
        signal.signal(signal.SIGTERM, self._before)

    def search(self, instance: Instance, seconds: float, seed: int) -> Solution:
        """The solution of one search.

        Raises:
            SearchFailed: its process died, broke or told what is no message.
        """
        entry = self.contestant.entry
        reason = entry.refuses(instance)
        if reason:
            return skipped(reason)
        replay = Replay(self.contestant, instance, self.parameters, self.options | {"seconds": seconds})
        only = trivial(instance, replay.run)
        if only is not None:
            return only
        try:
            self._listen(replay, {**self.options, **self.parameters, "seconds": seconds, "seed": seed})
        except SearchFailed as error:
            if error.status is Status.SKIPPED:
                return skipped(str(error))
            raise
        return replay.solution()

    def _listen(self, replay: Replay, options: dict[str, Any]) -> None:
        """Start the search and take in what is told of it; at the end only the waiting process is left."""
        assert self.process is not None
        process, waits = self.process, frozenset({self.process.pid})
        if _sent(replay.instance):
            process.search(replay.instance, self.code, options)
        else:
            process = SolverProcess.fork(searching(replay.instance, self.code, options))
        try:
            self._hear(process, replay, options["seconds"])
        except ValueError as error:
            raise SearchFailed(Status.FAILED, f"the cell sent what is no message of ours: {error}") from None
        finally:
            self.peak_bytes = max(self.peak_bytes, process.peak_bytes())
            if process is not self.process:
                process.link.close()
            end_family({process.pid}, keep=waits)

    def _hear(self, process: SolverProcess, replay: Replay, seconds: float) -> None:
        begun = 0.0
        try:
            for frame in _frames(process.link, process.pid, prod(replay.instance.shape)):
                now = time.monotonic()
                if frame.kind == READY and not begun:
                    self.clock(seconds, process.pid)
                    begun = time.monotonic()
                    process.link.sendall(b"!")
                elif replay.take(frame, now - begun if begun else 0.0):
                    return
        finally:
            if begun:
                self.clock(None, 0)


def _sent(instance: Instance) -> bool:
    """Whether an instance is sent to the process that waits for one; a black box is a function of ours."""
    return not instance.counted and sum(map(_bytes, vars(instance).values())) <= SENT_BYTES


def _bytes(part: Any) -> int:
    """Bytes of an array, dense or sparse, or of an instance inside another."""
    if isinstance(part, tuple(SHAPES.values())):
        return sum(map(_bytes, vars(part).values()))
    return int(getattr(part, "nbytes", 0) or getattr(getattr(part, "data", None), "nbytes", 0))


def _frames(link: socket.socket, pid: int, most: int) -> Iterator[Frame]:
    """What a solver's process tells, until it dies.

    Raises:
        SearchFailed: it died.
        ValueError: what it tells is no frame.
    """
    buffer = bytearray()
    while True:
        data = _received(link)
        if data:
            buffer += data
            yield from read_frames(buffer, most)
            continue
        # Whatever holds the link open, or has closed it: the process itself decides.
        dead = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if dead is not None:
            code = dead.si_status if dead.si_code == os.CLD_EXITED else -dead.si_status
            raise SearchFailed(Status.CRASHED, how_it_died(code))
        if data is not None:
            time.sleep(LOOK_SECONDS)


def _received(link: socket.socket) -> bytes | None:
    """Some bytes, none at all where the other end is closed, None where it is silent."""
    ready, _, _ = select.select([link], [], [], LOOK_SECONDS)
    try:
        return link.recv(1 << 20) if ready else None
    except ConnectionError:
        return b""


@dataclass
class Replay:
    """A search told by frames, as a run in this process."""

    contestant: Contestant
    instance: Instance
    parameters: dict[str, Any]
    options: dict[str, Any]
    parts: dict[int, Run] = field(default_factory=dict)
    now: float = 0.0
    ended: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    work: int = 0
    waiting: list[tuple[float, Frame]] = field(default_factory=list)
    size: int = 0

    def __post_init__(self) -> None:
        limits = {name: self.options[name] for name in ("seconds", "restarts", "evaluations")}
        self.unit = self.contestant.entry.unit(self.instance)
        self.run = Run(self.instance, unit=self.unit, clock=lambda: self.now, **limits)
        self.run.replayed = True
        self.apart = parts_of(self.contestant.entry, self.instance)

    def take(self, frame: Frame, now: float) -> bool:
        """Take in a frame that came `now`; whether it was the last.

        Raises:
            SearchFailed: it says that the search broke.
            ValueError: it makes no sense.
        """
        if frame.kind == STOPPED:
            self._stop(frame.content())
        if frame.kind == READY:
            raise ValueError("a second start")
        self.waiting.append((now, frame))
        self.size += len(frame.data)
        if self.size > PENDING_BYTES:
            self._judge()
        self.ended = now
        return frame.kind == ENDED and frame.part == 0

    def _stop(self, says: dict[str, Any]) -> None:
        """How a process stopped that has no result."""
        allowed = {one.name: one for one in (Status.SKIPPED, Status.FAILED, Status.MEMORY)}
        raise SearchFailed(allowed.get(str(says.get("status")), Status.FAILED), _text(says.get("message")))

    def _judge(self) -> None:
        """Offer the run, or the part, what waits."""
        for now, frame in self.waiting:
            self.now = now
            run = self._run_of(frame.part)
            if frame.kind in (BITS, LEVELS):
                self._count(run, frame.work)
                run.offer(frame.point(run.instance.shape), frame.claimed)
            else:
                self._end(run, frame.content())
        self.waiting.clear()
        self.size = 0

    def _count(self, run: Run, work: int) -> None:
        """Parts count on where the last one ended."""
        if work < self.work:
            raise ValueError(f"work that falls from {self.work} to {work} {self.unit}")
        self.work = run.counts[self.unit] = work

    def _run_of(self, part: int) -> Run:
        if part == 0:
            return self.run
        take = self.apart
        if take is None or part > self.instance.n:
            raise ValueError(f"a part {part} of a {type(self.instance).__name__}")
        if part not in self.parts:
            self.parts[part] = Run(take(part - 1)[0], unit=self.unit, clock=lambda: self.now)
            self.parts[part].started, self.parts[part].replayed = 0.0, True
        return self.parts[part]

    def _end(self, run: Run, says: dict[str, Any]) -> None:
        """What a search says of its end; a lie that it confesses is one."""
        run.exhausted = says.get("exhausted") is True
        run.lie = _text(says.get("lie"))
        if says.get("bound") is not None:
            run.prove(_number(says["bound"]))
        if run is self.run:
            self.counts = _counts(says.get("counts"))
            self._count(run, self.counts.get(self.unit, 0))

    def solution(self) -> Solution:
        """What the search came to, by the bits and the clock of this process.

        Raises:
            OfferError: some bits are no solution of the instance.
            SearchFailed: a message makes no sense.
        """
        try:
            self._judge()
        except ValueError as error:
            raise SearchFailed(Status.FAILED, f"the cell sent what is no message of ours: {error}") from None
        self.run.started, self.now = 0.0, self.ended
        parts = {number - 1: run for number, run in self.parts.items()}
        entry = self.contestant.entry
        found = concluded(entry, self.instance, self.run, parts, self.parameters, self.ended)
        return self._disowned(replace(found, counts=self.counts))

    def _disowned(self, found: Solution) -> Solution:
        """The solution without a proof that its solver cannot give."""
        if self.contestant.proves or found.bound is None or found.status is Status.LIED:
            return found
        status = found.status
        if status is Status.OPTIMAL:
            used = self.run.exhausted or self.ended >= self.options["seconds"]
            status = Status.BUDGET if used else Status.FINISHED
        if not self.contestant.entry.exact:
            return replace(found, status=status, bound=None)
        message = found.message or f"the bound {found.bound:.12g} is claimed: nobody here has proven it"
        return replace(found, status=status, message=message)


def _text(value: Any) -> str:
    return value[:500] if isinstance(value, str) else ""


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"a bound of {value!r}"[:200])
    with suppress(OverflowError):
        if isfinite(number := float(value)):
            return number
    raise ValueError(f"a bound of {value!r}"[:200])


def _counts(value: Any) -> dict[str, int]:
    """Numbers by name, as a solver counted them."""
    found = value if isinstance(value, dict) else {}
    good = all(
        type(number) is int and 0 <= number < 2**63 and len(name) < 100 for name, number in found.items()
    )
    if not good or len(found) > 100:
        raise ValueError("counts that are none")
    return found
