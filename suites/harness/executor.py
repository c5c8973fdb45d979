"""A job, how it ended, and what runs jobs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

from ...problems.errors import InputError

__all__ = ["Executor", "Job", "JobOutcome", "ServerError", "address_of"]


class ServerError(RuntimeError):
    """The warm server ended on its own. The message is one line."""


def address_of(executor: str) -> str:
    """HOST:PORT of the Dask scheduler that is named, "" for this machine's processes.

    Raises:
        InputError: the name is neither.
    """
    scheme, _, address = executor.partition("://")
    if executor == "local":
        return ""
    if scheme == "dask" and re.fullmatch(r".+:\d+", address):
        return address
    raise InputError(f"executor must be local or dask://HOST:PORT, got {executor!r}; name the port too")


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
class JobOutcome:
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

    def run(self, jobs: Iterable[Job], *, workers: int = 1) -> Iterator[JobOutcome]:
        """Run jobs, `workers` at a time where the executor lets one choose; give each outcome as it comes."""
