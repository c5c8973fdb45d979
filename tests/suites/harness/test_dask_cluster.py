from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import psutil
import pytest
from warm import SharedServer, records, share_server, small

from qubopress import suites
from qubopress.problems import InputError, cache
from qubopress.results import Record
from qubopress.suites import Progress
from qubopress.suites.harness import dask_cluster, load, provenance, suite_run
from qubopress.suites.harness.executor import Job, JobOutcome, ServerError
from qubopress.suites.harness.supervisor import Supervisor
from qubopress.suites.harness.wire import survey_request
from qubopress.suites.spec import InstanceSpec

SURVEY = Job("survey", {"spec": {"nonsense": 1}, "formulation": ""}, tag="mine")


# ---- the protocol, without a scheduler


@dataclass
class Future:
    """What Dask gives for a job, already done or lost."""

    status: str = "finished"
    value: Any = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def result(self, timeout: float | None = None) -> Any:
        if self.status == "cancelled":
            raise concurrent.futures.CancelledError
        return dict(self.value)

    def exception(self) -> Any:
        return self.value

    def cancel(self) -> None:
        self.status = "cancelled"

    def add_done_callback(self, call: Callable[[Future], object]) -> None:
        call(self)


class FakeWorker:
    address = "tcp://somewhere:1"

    class state:  # noqa: N801 - as Dask calls it
        nthreads = 1
        tasks: ClassVar[dict[str, Any]] = {"task": SimpleNamespace(state="executing")}

    @staticmethod
    def get_current_task() -> str:
        return "task"


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeWorker]]:
    """This thread plays a worker, with the warm server that all tests share."""
    import distributed

    monkeypatch.setattr(distributed, "get_worker", FakeWorker)
    with SharedServer() as server:
        dask_cluster._local.server, dask_cluster._local.loaded = server, set()
        yield FakeWorker
        vars(dask_cluster._local).clear()


def workers(*addresses: str, seen: float = 0.0) -> dict[str, Any]:
    """What a scheduler tells of its workers."""
    return {"workers": {one: {"nthreads": 1, "last_seen": seen} for one in addresses}}


class LocalCluster(dask_cluster.Cluster):
    """A cluster of one worker that is this process; a job is done as soon as it is submitted."""

    def __enter__(self) -> LocalCluster:
        self.most = 0

        class Client:
            scheduler_info = staticmethod(lambda: workers(FakeWorker.address))
            cancel = staticmethod(lambda futures: None)
            run = staticmethod(lambda function, *arguments, **_: {"one": function(*arguments)})

            def submit(client, function: Any, *arguments: Any, **_: Any) -> Future:  # noqa: N805
                return Future(value=function(*arguments))

        self._client = Client()
        return self

    def __exit__(self, *error: object) -> None: ...


def test_a_run_on_a_cluster_is_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: type[FakeWorker]
) -> None:
    monkeypatch.setattr(dask_cluster, "Cluster", LocalCluster)
    share_server(monkeypatch)
    suite = small(tmp_path, "swap", "random", "one-flip", seeds=2)
    there = suites.run(suite, store=tmp_path / "there.db", executor="dask://somewhere:1")
    suites.run(suite, store=tmp_path / "here.db")
    assert (there.measured, there.statuses) == (6, {"FINISHED": 6})
    here = {record.cell: record for record in records(tmp_path / "here.db")}
    for record in records(tmp_path / "there.db"):
        assert (record.stages, record.loss) == (here[record.cell].stages, here[record.cell].loss)
        assert record.machine == provenance.provenance().machine
        assert record.limits["memory"] == "none"
    again = suites.run(suite, store=tmp_path / "there.db", executor="dask://somewhere:1")
    assert (again.measured, again.resumed) == (0, 6)


def test_rows_name_the_workers_machine_even_where_the_cell_crashed() -> None:
    found = {"answer": None, "status": "TIMEOUT", "reason": "r", "wall": 1.0, "machine": "worker's"}
    outcome, address = dask_cluster._outcome(Future(value=found | {"address": "tcp://one:1"}), SURVEY)
    assert outcome == JobOutcome(SURVEY, None, "TIMEOUT", "r", 1.0, machine="worker's")
    assert address == "tcp://one:1"


@pytest.mark.parametrize("other", [{"identity": "other"}, {"versions": {"ortools": "0.1"}}])
def test_a_worker_with_other_code_or_libraries_ends_the_run_in_one_line(
    worker: type[FakeWorker], other: dict[str, Any]
) -> None:
    fields = {"kind": "cell", "payload": {"provenance": vars(provenance.provenance()) | other}}
    found = dask_cluster.run_remotely(fields, [], None)
    with pytest.raises(InputError, match=r"worker tcp://somewhere:1 has other code.*install the same on all"):
        dask_cluster._outcome(Future(value=found), SURVEY)


def test_what_the_cluster_loses_is_told() -> None:
    lost, _ = dask_cluster._outcome(Future(status="error", value=OSError("three workers died")), SURVEY)
    assert (lost.job, lost.status) == (SURVEY, "CRASHED")
    assert "three workers died" in lost.reason
    with pytest.raises(ServerError, match="the scheduler is gone; finished cells are in the store"):
        dask_cluster._outcome(Future(status="cancelled"), SURVEY)


class Losing(LocalCluster):
    """The first outcomes are lost with their workers: told to be lost, or never had though asked for."""

    def __enter__(self) -> Losing:
        super().__enter__()
        kept, self.started = self._client.submit, [0]

        def submit(*arguments: Any, **options: Any) -> Future:
            self.started[0] += 1
            future = kept(*arguments, **options)
            if self.started[0] in (1, 2):
                future.status = ("lost", "pending")[self.started[0] - 1]
            elif self.started[0] == 3:
                future.result = slow  # type: ignore[method-assign]
            return future

        def slow(timeout: float | None = None) -> Any:
            assert timeout is not None
            raise TimeoutError

        self._client.submit = submit
        return self


def test_a_job_whose_outcome_is_lost_with_its_worker_is_done_again(worker: type[FakeWorker]) -> None:
    with Losing("somewhere:1") as there:
        outcomes = list(there.run([SURVEY, SURVEY]))
    assert [outcome.job for outcome in outcomes] == [SURVEY, SURVEY]
    assert there.started == [5]


def test_each_load_reaches_a_workers_server_once(
    monkeypatch: pytest.MonkeyPatch, worker: type[FakeWorker]
) -> None:
    seen = []
    monkeypatch.setattr(Supervisor, "preload", lambda self, **load: seen.append(load))
    for loads in (['{"a": 1}'], ['{"a": 1}', '{"b": 2}'], ['{"b": 2}']):
        dask_cluster.run_remotely(vars(SURVEY), loads, None)
    assert seen == [{"a": 1}, {"b": 2}]


def test_workers_of_several_threads_are_not_of_timing_grade(
    monkeypatch: pytest.MonkeyPatch, worker: type[FakeWorker]
) -> None:
    monkeypatch.setattr(load, "OTHERS_SHARE", 9.0)
    assert dask_cluster.run_remotely(vars(SURVEY), [], None)["timing_grade"] is True
    monkeypatch.setattr(worker.state, "nthreads", 2)
    assert dask_cluster.run_remotely(vars(SURVEY), [], None)["timing_grade"] is False


@pytest.mark.parametrize("name", ["slurm://a:1", "dask://", "dask", ""])
def test_an_unknown_executor_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"executor must be local or dask://HOST:PORT, got '") as caught:
        suites.run(small(tmp_path, "swap"), store=tmp_path / "r.db", executor=name)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "r.db").exists()


def test_without_the_extra_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"needs the extra: pip install 'qubopress\[dask\]'"):
        suite_run._executor("dask://localhost:1", memory=None).__enter__()


def test_where_no_scheduler_answers_one_line_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "ANSWER_SECONDS", 0.3)
    with pytest.raises(InputError, match=r"no Dask scheduler answers at 127\.0\.0\.1:1: ") as caught:
        suite_run._executor("dask://127.0.0.1:1", memory=None).__enter__()
    assert "\n" not in str(caught.value)


class Endless(LocalCluster):
    """No job ever ends; what is cancelled is noted."""

    def __enter__(self) -> Endless:
        super().__enter__()
        self.cancelled: list[Any] = []
        self._client.cancel = self.cancelled.extend
        self._client.submit = lambda *_, **__: SimpleNamespace(key="one", add_done_callback=lambda call: None)
        return self


def test_a_cluster_without_workers_ends_the_run_after_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    with Endless("somewhere:1", patience=0.2) as there:
        monkeypatch.setattr(there._client, "scheduler_info", workers)
        with pytest.raises(
            ServerError, match=r"no worker for 0\.2 s; finished cells are in the store, start a worker"
        ) as caught:
            list(there.run([SURVEY]))
    assert "\n" not in str(caught.value)
    assert len(there.cancelled) == 1


def test_patience_begins_anew_with_every_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "LOOK_SECONDS", 0.05)
    begun = time.monotonic()
    with Endless("somewhere:1", patience=0.5) as there:
        there._client.scheduler_info = lambda: (
            workers("one") if 0.2 < time.monotonic() - begun < 0.4 else workers()
        )
        with pytest.raises(ServerError, match="no worker"):
            list(there.run([SURVEY]))
    assert time.monotonic() - begun > 0.7


class Freezing(Endless):
    """Two workers, one of which is heard of once; its job goes to the other, where it ends."""

    def __enter__(self) -> Freezing:
        super().__enter__()
        self.asked: list[Any] = []
        held: dict[str, Any] = {"deaf": [], "alive": []}
        began = time.monotonic()

        def told() -> dict[str, Any]:
            found = workers("deaf", "alive")
            found["workers"]["alive"]["last_seen"] = time.monotonic() - began
            return found

        def submit(*_: Any, workers: Sequence[str] = ("deaf",), **__: Any) -> Any:
            self.asked.append(list(workers))
            future = Future(
                value={"answer": None, "status": "", "reason": "", "wall": 0.0, "address": workers[0]}
            )
            future.cancel = lambda: self.cancelled.append(future)  # type: ignore[method-assign]
            held[workers[0]].append(future.key)
            if list(workers) == ["deaf"]:
                future.add_done_callback = lambda call: None  # type: ignore[method-assign]
            return future

        self._client.submit, self._client.scheduler_info = submit, told  # type: ignore[method-assign]
        self._client.processing = lambda names: {name: held[name] for name in names}
        return self


def test_the_job_of_a_worker_that_hangs_goes_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(dask_cluster, "FROZEN_SECONDS", 0.3)
    with Freezing("somewhere:1") as there:
        (outcome,) = there.run([SURVEY])
    assert outcome.status == ""
    assert there.asked == [["deaf"], ["alive"]]
    assert len(there.cancelled) == 1


def test_what_does_not_answer_is_given_up() -> None:
    with pytest.raises(TimeoutError, match=r"^$"):
        dask_cluster._within(0.05, lambda: time.sleep(0.5) or {})
    with pytest.raises(KeyError, match="gone"):
        dask_cluster._within(5.0, lambda: {}["gone"])
    assert dask_cluster._within(5.0, lambda: {"a": 1}) == {"a": 1}


def test_a_job_that_nobody_waits_for_is_killed(
    worker: type[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    for state, ending in (("executing", ""), ("cancelled", "CRASHED")):
        monkeypatch.setitem(worker.state.tasks, "task", SimpleNamespace(state=state))
        assert dask_cluster.run_remotely(vars(SURVEY), [], None)["status"] == ending
    monkeypatch.delitem(worker.state.tasks, "task")
    assert "nobody waits" in dask_cluster.run_remotely(vars(SURVEY), [], None)["reason"]


# ---- a real scheduler with two real workers

SLOW = '''
import os, time
from qubopress import problems, solvers

@solvers.solver("slow", accepts=problems.Capacity)
def slow(capacity, run):
    """Takes a second, and says so in a file."""
    open(f"{os.environ['QUBOPRESS_BEGUN']}/{os.getpid()}", "w").close()
    run.offer([k < capacity.K for k in range(capacity.n)])
    time.sleep(SECONDS)
'''


@dataclass
class Lab:
    """A scheduler and its workers, as processes of their own that a mark in the environment tells apart."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]
    mark: str
    begun: Path

    def left(self) -> list[int]:
        """Processes that came of it."""
        return [one.pid for one in psutil.process_iter() if self.mark in _environment(one).values()]


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return {} if process.status() == psutil.STATUS_ZOMBIE else dict(process.environ())
    except psutil.Error:
        return {}


def wait_for(happened: Callable[[], object], *, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@contextmanager
def lab(folder: Path) -> Iterator[Lab]:
    mark, begun = uuid.uuid4().hex, folder / "begun"
    begun.mkdir()
    environment = {**os.environ, "QUBOPRESS_TEST": mark, "QUBOPRESS_BEGUN": str(begun)}
    file = folder / "scheduler.json"

    def start(kind: str, *options: str, cache: str = "") -> subprocess.Popen[bytes]:
        own = {**environment, "QUBOPRESS_CACHE": str(folder / cache)} if cache else environment
        command = [sys.executable, "-m", "distributed.cli.dask_" + kind, *options, "--no-dashboard"]
        log = (folder / f"{kind}-{uuid.uuid4().hex[:4]}.log").open("wb")
        with log:
            return subprocess.Popen(command, env=own, cwd=folder, stdout=log, stderr=log)

    listen = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)]
    running = [start("scheduler", *listen)]
    found = Lab("", running[0], [], mark, begun)
    try:
        wait_for(file.exists)
        found.address = json.loads(file.read_text())["address"].removeprefix("tcp://")
        options = ["tcp://" + found.address, "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1"]
        found.workers = [start("worker", *options, cache=f"cache-{number}") for number in range(2)]
        running += found.workers
        yield found
    finally:
        for process in running:
            process.kill()
            process.wait()
        wait_for(lambda: not found.left(), seconds=10)


@pytest.mark.slow
def test_all_cells_end_once_though_a_worker_is_killed_in_one(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "slow.py").write_text(SLOW.replace("SECONDS", "1.0"), encoding="utf-8")

    class Killing(Progress):
        def __init__(self) -> None:
            self.killed: int | None = None
            self.counts = Counter[str]()

        def finished(self, record: Record) -> None:
            self.counts[record.cell] += 1
            if self.killed is None:
                self.killed = one_that_works(there)
                os.kill(self.killed, signal.SIGKILL)

    told = Killing()
    with lab(tmp_path) as there:
        from qubopress.suites import plugins

        plugins.load_folder(str(folder))
        suite = small(tmp_path, "slow", "swap", "random", seeds=4)
        wait_for(lambda: len(there.left()) >= 3)
        options: dict[str, Any] = {"executor": f"dask://{there.address}", "plugin_folder": folder}
        done = suites.run(suite, store=tmp_path / "r.db", progress=told, **options)
        assert told.killed is not None
        gone = told.killed
        assert (done.measured, done.statuses) == (12, {"FINISHED": 12})
        assert set(told.counts.values()) == {1}
        found = records(tmp_path / "r.db")
        assert len({record.cell for record in found}) == len(found) == 12
        assert {record.machine for record in found} == {provenance.provenance().machine}
        wait_for(lambda: all(gone != one for pid in there.left() for one in ancestors(pid)), seconds=5)
        assert len(there.left()) <= 5, "scheduler, worker, server, the judge that waits and its search"
        # One cell more than there are records: the one that was under way when its worker was killed.
        assert len(list(there.begun.iterdir())) >= 5


def ancestors(pid: int) -> list[int]:
    try:
        return [pid, *(one.pid for one in psutil.Process(pid).parents())]
    except psutil.Error:
        return []


def one_that_works(there: Lab) -> int:
    """A worker under which a search of `slow` goes on in a process of its own."""

    def working() -> int | None:
        for worker in there.workers:
            below = {one.pid for one in psutil.Process(worker.pid).children(recursive=True)}
            if below & {int(file.name) for file in there.begun.iterdir()}:
                return worker.pid
        return None

    wait_for(working, seconds=30)
    pid = working()
    assert pid is not None
    return pid


@pytest.mark.slow
def test_a_frozen_worker_does_not_hold_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "slow.py").write_text(SLOW.replace("SECONDS", "1.0"), encoding="utf-8")
    monkeypatch.setattr(dask_cluster, "FROZEN_SECONDS", 5.0)

    class Freezing(Progress):
        frozen: int | None = None

        def finished(self, record: Record) -> None:
            if self.frozen is None:
                self.frozen = one_that_works(there)
                os.kill(self.frozen, signal.SIGSTOP)

    with lab(tmp_path) as there:
        from qubopress.suites import plugins

        plugins.load_folder(str(folder))
        suite = small(tmp_path, "slow", "random", seeds=4)
        with dask_cluster.Cluster(there.address) as first:
            first._client.wait_for_workers(2, timeout=60)
        options: dict[str, Any] = {"executor": f"dask://{there.address}", "plugin_folder": folder}
        begun = time.monotonic()
        done = suites.run(suite, store=tmp_path / "r.db", progress=Freezing(), **options)
        print(f"{time.monotonic() - begun:.0f} s with a frozen worker")
        assert (done.measured, done.statuses) == (8, {"FINISHED": 8})


@pytest.mark.slow
def test_pieces_go_to_every_worker_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUBOPRESS_CACHE", str(tmp_path / "client"))
    spec = InstanceSpec.of("adaround", network="digits-mlp", bits=3)
    measured = Job("survey", survey_request(spec))
    with lab(tmp_path) as real, dask_cluster.Cluster(real.address) as there:
        there._client.wait_for_workers(2, timeout=60)
        (outcome,) = there.run([measured])
        keys = (outcome.answer or {})["pieces"]
        assert len(keys) == 4  # two layers' inputs, and the metrics of the float network and the baseline's
        places = [tmp_path / name for name in ("client", "cache-0", "cache-1")]
        size = sum(len(cache.pack(key) or b"") for key in keys)
        assert sorted(there.shipped.values()) == [size]
        for place in places:
            assert {path.name for path in place.iterdir()} == set(keys)
        again = [one.answer for one in there.run([measured, SURVEY] * 6) if one.job is measured]
        assert again == [outcome.answer] * 6
        assert sorted(there.shipped.values()) == [size]


class Interrupting(Progress):
    """Ctrl-C at the first record after a search of `slow` has begun."""

    def __init__(self, begun: Path) -> None:
        self.begun = begun

    def finished(self, record: Record) -> None:
        wait_for(lambda: list(self.begun.iterdir()))
        raise KeyboardInterrupt


@pytest.mark.slow
def test_an_interrupted_run_leaves_no_cell_on_a_worker_and_a_lost_cluster_ends_it(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "slow.py").write_text(SLOW.replace("SECONDS", "100.0"), encoding="utf-8")
    with lab(tmp_path) as there:
        from qubopress.suites import plugins

        plugins.load_folder(str(folder))
        suite = small(tmp_path, "slow", "random", seconds=200)
        wait_for(lambda: len(there.left()) >= 3)
        with dask_cluster.Cluster(there.address) as first:
            first._client.wait_for_workers(2, timeout=60)
        options: dict[str, Any] = {"executor": f"dask://{there.address}", "plugin_folder": folder}
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            suites.run(suite, store=tmp_path / "r.db", progress=Interrupting(there.begun), **options)
        (cell,) = (int(file.name) for file in there.begun.iterdir())
        wait_for(lambda: not psutil.pid_exists(cell), seconds=10)
        assert all(worker.poll() is None for worker in there.workers)
        assert [record.solver for record in records(tmp_path / "r.db")] == ["random"]

        with dask_cluster.Cluster(there.address, patience=1.0) as lonely:
            for worker in there.workers:
                worker.kill()
            with pytest.raises(ServerError, match="the cluster has had no worker for 1 s"):
                list(lonely.run([SURVEY]))
            lonely.patience = 60.0
            threading.Timer(1.0, there.scheduler.kill).start()
            with pytest.raises(ServerError, match="the scheduler is gone; finished cells are in the store"):
                list(lonely.run([SURVEY]))
