"""Cluster: send jobs to the workers of an existing Dask scheduler, each of which supervises them.

A job carries specs, not arrays. What a formulation measures on a network is built by the worker that surveys
the instance; from there it goes, by way of the client, to every worker that lacks it, once, as bytes under
its content key. The client is the only writer of the store. A worker that dies loses the jobs it ran to
another one, as do those of a worker that is not heard of for a while; since a record is written when its
outcome arrives, no cell is counted twice. A job that the client no longer waits for, because it was
interrupted or is gone, is killed on its worker. What crosses is plain data, but Dask unpickles what it
carries: the scheduler and its network must be the user's own.
"""

from __future__ import annotations

import hashlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeAlias

from ...problems import InputError, cache
from ...problems.errors import one_line
from .executor import Job, JobOutcome, ServerError
from .provenance import provenance
from .supervisor import Supervisor

__all__ = ["Cluster", "run_remotely"]

AHEAD = 2
"""Jobs submitted for each thread of the cluster, so that none waits for the client."""

ANSWER_SECONDS = 10.0
"""Within which the scheduler must answer, and have a worker."""

LOOK_SECONDS = 1.0
"""Between two looks whether there still is a worker, while no job ends."""

PATIENCE_SECONDS = 60.0
"""How long a run waits for a worker when the last one is gone."""

FROZEN_SECONDS = 30.0
"""A worker tells that it lives every second or so; of one that has not for so long, nothing is expected."""

RETRIES = 2
"""How often a job is tried again whose warm server died under it."""


Running: TypeAlias = dict[str, tuple[Job, Any]]
"""Jobs under way with their futures, by the futures' keys."""

Done: TypeAlias = "queue.SimpleQueue[Any]"
"""Futures as they end, cancelled ones too."""


class Cluster:
    """A Dask scheduler in the place of the warm server. A context manager.

    Parameters:
        address: HOST:PORT of the scheduler.
        memory: bytes of memory at which a job is killed, None without a cap.
        patience: seconds that a run waits for a worker when there is none left.

    Attributes:
        shipped: bytes of measured pieces that each worker was sent, by its address.
    """

    def __init__(
        self, address: str, *, memory: int | None = None, patience: float = PATIENCE_SECONDS
    ) -> None:
        self.address, self.memory, self.patience = address, memory, patience
        self.shipped: dict[str, int] = {}
        self._loads: list[str] = []
        self._pieces: dict[str, None] = {}
        self._known: dict[str, set[str]] = {}
        self._heard: dict[str, tuple[float, float]] = {}
        self._frozen: set[str] = set()

    def __enter__(self) -> Self:
        try:
            from distributed import Client
        except ImportError:
            raise InputError("the dask executor needs the extra: pip install 'qubopress[dask]'") from None
        try:
            self._client = Client(f"tcp://{self.address}", timeout=ANSWER_SECONDS, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            why = one_line(error, named=False)
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
        try:
            everywhere = _within(PATIENCE_SECONDS, lambda: self._client.run(identity, on_error="return"))
        except TimeoutError:
            raise InputError(
                f"every worker of {self.address} must answer within {PATIENCE_SECONDS:g} s; "
                "stop the one that hangs"
            ) from None
        for worker, found in everywhere.items():
            if isinstance(found, BaseException):
                raise InputError(f"worker {worker} cannot run qubopress: {one_line(found)}")
            if found != identity():
                raise InputError(_stranger(worker))

    def preload(self, **payload: Any) -> None:
        """What each worker's server loads before its first job from now on."""
        self._loads.append(json.dumps(payload))

    def run(self, jobs: Iterable[Job], *, workers: int = 1) -> Iterator[JobOutcome]:
        """Run jobs wherever there is room, give each outcome as it comes; `workers` is the cluster's own.

        Raises:
            ServerError: the scheduler is gone, or for `patience` seconds there was no worker.
        """
        waiting = iter(jobs)
        done: Done = queue.SimpleQueue()
        running: Running = {}
        try:
            while True:
                threads = self._threads()
                self._move(running, done)
                self._ship(threads)
                room = AHEAD * max(1, sum(threads.values())) - len(running)
                for job in islice(waiting, max(room, 0)):
                    self._start(job, running, done)
                if not running:
                    return
                future = self._next(running, done)
                job, _ = running.pop(future.key)
                try:
                    outcome, address = _outcome(future, job)
                except TimeoutError:  # what came of it is gone with its worker, or cannot be had from it
                    future.cancel()
                    self._start(job, running, done)
                    continue
                self._learn(outcome, address)
                yield outcome
        finally:
            # Whatever ended the run: nobody waits for these any longer.
            with suppress(OSError, TimeoutError):
                self._client.cancel([future for _, future in running.values()])

    def _threads(self) -> dict[str, int]:
        """Threads of every worker that lives, by its address; none where the scheduler does not answer."""
        try:
            workers = self._client.scheduler_info()["workers"]
        except (OSError, TimeoutError):
            return {}
        now = time.monotonic()
        for worker, told in workers.items():
            seen, _ = self._heard.get(worker, (None, now))
            if seen != told["last_seen"]:  # the scheduler's clock, which need not be ours
                self._heard[worker] = told["last_seen"], now
        self._frozen = {worker for worker in workers if now - self._heard[worker][1] > FROZEN_SECONDS}
        return {worker: told["nthreads"] for worker, told in workers.items() if worker not in self._frozen}

    def _start(self, job: Job, running: Running, done: Done) -> None:
        future = self._submit(job)
        running[future.key] = job, future
        future.add_done_callback(done.put)

    def _submit(self, job: Job) -> Any:
        plain = vars(replace(job, tag=None))
        chosen = {"workers": sorted(self._heard.keys() - self._frozen)} if self._frozen else {}
        # Not pure: the same call again is another measurement.
        return self._client.submit(
            run_remotely, plain, self._loads, self.memory, pure=False, retries=RETRIES, **chosen
        )

    def _move(self, running: Running, done: Done) -> None:
        """Start the jobs of frozen workers anew on others; one that thaws finds its job taken back."""
        if not self._frozen:
            return
        held = self._client.processing(sorted(self._frozen))
        for key in {key for keys in held.values() for key in keys} & running.keys():
            job, future = running.pop(key)
            future.cancel()
            self._start(job, running, done)

    def _next(self, running: Running, done: Done) -> Any:
        """The next of the running futures that is done."""
        seen = time.monotonic()
        while True:
            with suppress(queue.Empty):
                future = done.get(timeout=min(LOOK_SECONDS, self.patience))
                if future.key in running:
                    return future
            if self._threads():
                seen = time.monotonic()
                self._move(running, done)
            elif time.monotonic() - seen > self.patience:
                raise ServerError(
                    f"the cluster has had no worker for {self.patience:g} s; "
                    "finished cells are in the store, start a worker and run again"
                )

    def _learn(self, outcome: JobOutcome, address: str) -> None:
        """Get the pieces that a survey measured from the worker that has them."""
        told = (outcome.answer or {}).get("pieces") if outcome.job.kind == "survey" else None
        keys = [key for key in told if isinstance(key, str)] if isinstance(told, list) else []
        if not keys:
            return
        for key in cache.lacking(key for key in keys if key not in self._pieces):
            for content in self._on(address, cache.pack, key):
                if isinstance(content, bytes):
                    cache.unpack(key, content, hashlib.sha256(content).hexdigest())
        self._pieces |= dict.fromkeys(keys)

    def _ship(self, workers: Iterable[str]) -> None:
        """Send every worker the pieces that it lacks, once; one that cannot keep them builds its own."""
        for worker in workers:
            new = [key for key in self._pieces if key not in self._known.setdefault(worker, set())]
            if not new:
                continue
            self._known[worker].update(new)
            for lacks in self._on(worker, cache.lacking, new):
                for key in lacks:
                    self._send(worker, key)

    def _send(self, worker: str, key: str) -> None:
        content = cache.pack(key)
        if content is not None:
            digest = hashlib.sha256(content).hexdigest()
            self._on(worker, cache.unpack, key, content, digest)
            self.shipped[worker] = self.shipped.get(worker, 0) + len(content)

    def _on(self, worker: str, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What a function comes to on a worker, beside its jobs; nothing where the worker is gone."""
        try:
            told = {"workers": [worker], "on_error": "ignore"}
            found = _within(FROZEN_SECONDS, lambda: self._client.run(function, *arguments, **told))
        except (OSError, TimeoutError, ValueError, KeyError):
            return []
        return list(found.values())


def _within(seconds: float, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a call comes to; after so many seconds a TimeoutError, and nobody waits for it any longer."""
    ended: queue.SimpleQueue[tuple[dict[str, Any], BaseException | None]] = queue.SimpleQueue()

    def answer() -> None:
        try:
            ended.put((call(), None))
        except BaseException as error:
            ended.put(({}, error))

    threading.Thread(target=answer, daemon=True).start()
    try:
        found, error = ended.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return found


def _outcome(future: Any, job: Job) -> tuple[JobOutcome, str]:
    """The outcome that a worker sent, or why there is none, and the worker's address.

    Raises:
        TimeoutError: the job had ended, but its worker died or froze before it told how.
        ServerError: the scheduler is gone.
    """
    if future.status == "error":
        return JobOutcome(job, None, "CRASHED", f"the cluster lost it: {future.exception()}", 0.0), ""
    try:
        # Dask computes a lost result again by itself, but its callbacks do not tell of it.
        if future.status not in ("finished", "cancelled"):
            raise TimeoutError
        found = future.result(timeout=FROZEN_SECONDS)
    except CancelledError:
        raise ServerError("the scheduler is gone; finished cells are in the store, run again") from None
    if "refused" in found:
        raise InputError(found["refused"])
    address = found.pop("address")
    return JobOutcome(job, **found), address


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
        theirs = job.payload["provenance"]
        here = here.beside(theirs["versions"].keys() - here.versions.keys())
        if (theirs["identity"], theirs["versions"]) != (here.identity, here.versions):
            return {"refused": _stranger(worker.address)}
        job = replace(job, payload={**job.payload, "provenance": vars(here)})
    (outcome,) = _run_here(job, loads, memory, _wanted(worker))
    found = {name: value for name, value in vars(outcome).items() if name != "job"}
    # Servers of other threads know nothing of each other's cores.
    alone = outcome.timing_grade and worker.state.nthreads == 1
    return found | {"machine": here.machine, "timing_grade": alone, "address": worker.address}


def _wanted(worker: Any) -> Callable[[], bool]:
    """Whether anyone waits for the task that calls this; the scheduler takes it back where no client does."""
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state not in ("cancelled", "resumed")

    return wanted


_local = threading.local()


def _run_here(job: Job, loads: list[str], memory: int | None, wanted: Callable[[], bool]) -> list[JobOutcome]:
    """Run a job in this thread's warm server, which starts at the first job and ends with the worker."""
    if not hasattr(_local, "server"):
        _local.server, _local.loaded = Supervisor().__enter__(), set()
    try:
        for load in loads:
            if load not in _local.loaded:
                _local.server.preload(**json.loads(load))
                _local.loaded.add(load)
        _local.server.memory, _local.server.wanted = memory, wanted
        return list(_local.server.run([job]))
    except BaseException:
        _local.server.__exit__(None, None, None)
        del _local.server
        raise
