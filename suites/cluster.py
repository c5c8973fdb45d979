"""Cluster: send jobs to the workers of an existing Dask scheduler, each of which supervises them.

A job carries specs, not arrays: every worker builds an instance from the weights and data it has, once. The
client is the only writer of the store. A worker that dies loses the jobs it ran to another one; since a
record is written when its outcome arrives, no cell is counted twice.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from ..problems import InputError
from .machine import provenance
from .processes import Job, Outcome, Server

__all__ = ["Cluster", "run_remotely"]

AHEAD = 2
"""Jobs submitted for each thread of the cluster, so that none waits for the client."""


class Cluster:
    """A Dask scheduler in the place of the warm server. A context manager.

    Parameters:
        address: HOST:PORT of the scheduler.
        memory: bytes of resident memory at which a job is killed, None without a cap.
    """

    def __init__(self, address: str, *, memory: int | None = None) -> None:
        self.address, self.memory = address, memory
        self._loads: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        try:
            from distributed import Client
        except ImportError:
            raise InputError("the dask executor needs the extra: pip install 'qubopress[dask]'") from None
        try:
            self._client = Client(f"tcp://{self.address}", timeout="10s", set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(f"no Dask scheduler answers at {self.address}: {error}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def preload(self, **payload: Any) -> None:
        """What each worker's server loads before its first job from now on."""
        self._loads.append(payload)

    def run(self, jobs: Iterable[Job], *, workers: int = 1) -> Iterator[Outcome]:
        """Run jobs wherever there is room, give each outcome as it comes; `workers` is the cluster's own."""
        from distributed import as_completed

        waiting = iter(jobs)
        pending = as_completed()
        running: dict[str, Job] = {}
        while True:
            for job in waiting:
                future = self._submit(job)
                running[future.key] = job
                pending.add(future)
                if len(running) >= AHEAD * max(1, sum(self._client.nthreads().values())):
                    break
            if not running:
                return
            future = next(pending)
            yield _outcome(future, running.pop(future.key))

    def _submit(self, job: Job) -> Any:
        plain = replace(job, tag=None)
        # Not pure: the same call again is another measurement.
        return self._client.submit(run_remotely, vars(plain), self._loads, self.memory, pure=False)


def _outcome(future: Any, job: Job) -> Outcome:
    """The outcome that a worker sent, or why there is none."""
    if future.status != "finished":
        return Outcome(job, None, "CRASHED", f"the cluster lost it: {future.exception()}", 0.0)
    return Outcome(job, **future.result())


def run_remotely(fields: dict[str, Any], loads: list[dict[str, Any]], memory: int | None) -> dict[str, Any]:
    """On a worker: run one job in a supervised process; the row gets this machine's hardware."""
    job = Job(**fields)
    here = provenance()
    if job.kind == "cell":
        if job.payload["provenance"]["identity"] != here.identity:
            reason = "the worker has another version of the code or of a library; install the same on all"
            return {"answer": None, "status": "FAILED", "reason": reason, "wall": 0.0}
        job = replace(job, payload={**job.payload, "provenance": vars(here)})
    (outcome,) = _server(loads, memory).run([job])
    return {name: getattr(outcome, name) for name in ("answer", "status", "reason", "wall")}


_local = threading.local()


def _server(loads: list[dict[str, Any]], memory: int | None) -> Server:
    """This thread's warm server, started at its first job and ended with the worker's process."""
    if getattr(_local, "server", None) is None:
        _local.server, _local.loaded = Server().__enter__(), 0
    for load in loads[_local.loaded :]:
        _local.server.preload(**load)
    _local.loaded = len(loads)
    _local.server.memory = memory
    return _local.server  # type: ignore[no-any-return]  # a thread's attributes have no types
