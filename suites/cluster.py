"""Cluster: send jobs to the workers of an existing Dask scheduler, each of which supervises them.

A job carries specs, not arrays: every worker loads an instance's network and data itself, once. The client
is the only writer of the store. A worker that dies loses the jobs it ran to another one; since a record is
written when its outcome arrives, no cell is counted twice. What crosses is plain data, but Dask unpickles
what it carries: the scheduler and its network must be the user's own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Any, Self

from ..problems import InputError
from .machine import provenance
from .processes import Job, Outcome, Server, ServerError

__all__ = ["Cluster", "run_remotely"]

AHEAD = 2
"""Jobs submitted for each thread of the cluster, so that none waits for the client."""

ANSWER_SECONDS = 10.0
"""Within which the scheduler must answer, and have a worker."""

RETRIES = 2
"""How often a job is tried again whose warm server died under it."""


class Cluster:
    """A Dask scheduler in the place of the warm server. A context manager.

    Parameters:
        address: HOST:PORT of the scheduler.
        memory: bytes of resident memory at which a job is killed, None without a cap.
    """

    def __init__(self, address: str, *, memory: int | None = None) -> None:
        self.address, self.memory = address, memory
        self._loads: list[str] = []

    def __enter__(self) -> Self:
        try:
            from distributed import Client
        except ImportError:
            raise InputError("the dask executor needs the extra: pip install 'qubopress[dask]'") from None
        try:
            self._client = Client(f"tcp://{self.address}", timeout=ANSWER_SECONDS, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"no Dask scheduler answers at {self.address}: {why}") from None
        try:
            self._check_workers()
        except BaseException:
            self._client.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def _check_workers(self) -> None:
        """Refuse a cluster without workers, or with other code than here."""
        try:
            self._client.wait_for_workers(1, timeout=ANSWER_SECONDS)
        except TimeoutError:
            raise InputError(f"the scheduler at {self.address} has no worker; start one first") from None
        for worker, found in self._client.run(identity, on_error="return").items():
            if isinstance(found, BaseException):
                raise InputError(f"worker {worker} cannot run qubopress: {found}")
            if found != identity():
                raise InputError(_stranger(worker))

    def preload(self, **payload: Any) -> None:
        """What each worker's server loads before its first job from now on."""
        self._loads.append(json.dumps(payload))

    def run(self, jobs: Iterable[Job], *, workers: int = 1) -> Iterator[Outcome]:
        """Run jobs wherever there is room, give each outcome as it comes; `workers` is the cluster's own."""
        from distributed import as_completed

        waiting = iter(jobs)
        pending = as_completed(loop=self._client.loop)
        running: dict[str, Job] = {}
        while True:
            room = AHEAD * max(1, sum(self._client.nthreads().values())) - len(running)
            for job in islice(waiting, max(room, 0)):
                future = self._submit(job)
                running[future.key] = job
                pending.add(future)
            if not running:
                return
            future = next(pending)
            yield _outcome(future, running.pop(future.key))

    def _submit(self, job: Job) -> Any:
        plain = vars(replace(job, tag=None))
        # Not pure: the same call again is another measurement.
        return self._client.submit(run_remotely, plain, self._loads, self.memory, pure=False, retries=RETRIES)


def _outcome(future: Any, job: Job) -> Outcome:
    """The outcome that a worker sent, or why there is none."""
    if future.status == "error":
        return Outcome(job, None, "CRASHED", f"the cluster lost it: {future.exception()}", 0.0)
    if future.status != "finished":
        raise ServerError("the scheduler is gone; finished cells are in the store, run again")
    found = future.result()
    if "refused" in found:
        raise InputError(found["refused"])
    return Outcome(job, **found)


def identity() -> str:
    """Which code and libraries a process has."""
    return provenance().identity


def _stranger(worker: str) -> str:
    return f"worker {worker} has other code or libraries than this process; install the same on all"


def run_remotely(fields: dict[str, Any], loads: list[str], memory: int | None) -> dict[str, Any]:
    """On a worker: run one job in a supervised process. All but the job of the outcome, as plain data."""
    from distributed import get_worker

    job, worker, here = Job(**fields), get_worker(), provenance()
    if job.kind == "cell":
        if job.payload["provenance"]["identity"] != here.identity:
            return {"refused": _stranger(worker.address)}
        job = replace(job, payload={**job.payload, "provenance": vars(here)})
    (outcome,) = _run_here(job, loads, memory)
    found = {name: value for name, value in vars(outcome).items() if name != "job"}
    # Servers of other threads know nothing of each other's cores.
    alone = outcome.timing_grade and worker.state.nthreads == 1
    return found | {"machine": here.machine, "timing_grade": alone}


_local = threading.local()


def _run_here(job: Job, loads: list[str], memory: int | None) -> list[Outcome]:
    """Run a job in this thread's warm server, which starts at the first job and ends with the worker."""
    if not hasattr(_local, "server"):
        _local.server, _local.loaded = Server().__enter__(), set()
    try:
        for load in loads:
            if load not in _local.loaded:
                _local.server.preload(**json.loads(load))
                _local.loaded.add(load)
        _local.server.memory = memory
        return list(_local.server.run([job]))
    except BaseException:
        _local.server.__exit__(None, None, None)
        del _local.server
        raise
