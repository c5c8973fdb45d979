"""Hostile cells end as they deserve, beside honest ones, and no process is left."""

from __future__ import annotations

import importlib.util
import os
import signal
import tempfile
from pathlib import Path

import psutil
import pytest
from hostile import ENDINGS, write_hostile
from processes import descendants, waiting
from repository import ROOT
from warm import SharedServer, clean_registries, records, share_server, small

from qubopress import results, suites
from qubopress.results import Record
from qubopress.suites import plugins
from qubopress.suites.harness import child, executor, family, load, supervisor
from qubopress.suites.harness.executor import Job

SECONDS = 0.3
HONEST = ("honest", "random", "swap")


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """A record of every hostile solver and of the honest ones beside them, by the solver's name."""
    folder = tmp_path_factory.mktemp("hostile")
    store = folder / "all.db"
    with pytest.MonkeyPatch.context() as patch, clean_registries():
        share_server(patch)
        patch.setattr(child, "TERM_SECONDS", 0.2)
        plugins.load_folder(str(write_hostile(folder / "plugins")))
        swelling = [name for name, (_, text) in ENDINGS.items() if "memory cap" in text]
        quick = [name for name in ENDINGS if name not in swelling]
        # How soon memory fills up is the machine's affair.
        for grace, names in ((0.4, [*HONEST, *quick]), (60.0, swelling)):
            patch.setattr(child, "GRACE_SECONDS", grace)
            suite = small(folder, *names, seconds=SECONDS)
            options = {"jobs": 2, "memory": 600 << 20, "plugin_folder": folder / "plugins"}
            assert suites.run(suite, store=store, **options).measured == len(names)
    return {record.solver: record for record in records(store)}


@pytest.mark.parametrize("name", ENDINGS)
def test_every_hostile_solver_ends_as_it_deserves(met: dict[str, Record], name: str) -> None:
    status, text = ENDINGS[name]
    record = met[name]
    assert (record.status, text in record.message) == (status, True), record.message
    if status in ("TIMEOUT", "MEMORY", "CRASHED", "FAILED"):
        assert (record.loss, record.metric) == (None, None)


FORGERIES = [name for name, (status, _) in ENDINGS.items() if status == "FINISHED"]


@pytest.mark.parametrize("name", FORGERIES)
def test_what_ranks_is_the_loss_of_its_bits_at_the_time_of_another_clock(
    met: dict[str, Record], name: str
) -> None:
    record, honest = met[name], met["honest"]
    assert (record.loss, record.metric, record.bound) == (honest.loss, honest.metric, None)
    assert record.stages == honest.stages
    assert [loss for _, loss in record.trace] == [honest.loss]
    assert 0 < record.trace[0][0] <= (record.seconds or 0) <= (record.wall_seconds or 0)


def test_no_clock_of_the_solvers_own_makes_it_quicker(met: dict[str, Record]) -> None:
    record = met["replaces-the-clock"]
    assert 0.2 <= record.trace[0][0] <= (record.seconds or 0)


def test_those_that_have_to_be_killed_are_killed_in_time(met: dict[str, Record]) -> None:
    for name in ("hangs", "ignores-the-end", "grandchild-hangs", "prints-forever"):
        assert (met[name].wall_seconds or 99) < 4.0


def test_honest_rows_are_what_they_are_without_the_hostile(
    met: dict[str, Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share_server(monkeypatch)
    suites.run(small(tmp_path, "swap", "random", seconds=SECONDS), store=tmp_path / "alone.db")
    for record in records(tmp_path / "alone.db"):
        beside = met[record.solver]
        assert record.stages == beside.stages
        assert (record.loss, record.metric, record.cell) == (beside.loss, beside.metric, beside.cell)
        assert record.loss is not None
    assert met["honest"].status == "FINISHED"


def test_no_file_is_left(met: dict[str, Record]) -> None:
    assert met["leaves-files"].loss is not None
    assert not list(Path(tempfile.gettempdir()).glob("qubopress-*/*/left-by-a-hostile-solver"))
    if may_mount():
        assert not Path("/dev/shm/left-by-a-hostile-solver").exists()


def may_mount() -> bool:
    """Whether this system lets us give a process a shared memory of its own."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if family.own_shared_memory() else 1)
    return os.waitpid(pid, 0)[1] == 0


@pytest.mark.skipif(not may_mount(), reason="this system mounts nothing for us")
def test_shared_memory_counts_as_memory() -> None:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        family.own_shared_memory()
        Path("/dev/shm/some").write_bytes(bytes(1 << 22))
        os.write(write, b"!")
        signal.pause()
    os.read(read, 1)
    try:
        assert family.shared_bytes(pid) == 1 << 22
        assert family.shared_bytes(os.getpid()) == 0
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_no_process_is_left(met: dict[str, Record]) -> None:
    assert met["leaves-an-orphan"].loss is not None
    server = SharedServer.running
    assert server is not None
    left = {child.pid for child in psutil.Process(server.pid).children(recursive=True)}
    assert left == set(waiting(server))
    assert len(left) == 2
    assert descendants() == set()


def test_a_leaderboard_ranks_no_liar(met: dict[str, Record], tmp_path: Path) -> None:
    with results.Store(tmp_path / "r.db", write=True) as store:
        for record in met.values():
            store.add(record)
    frame = results.load(tmp_path / "r.db").set_index("solver")
    board = results.leaderboard(tmp_path / "r.db").set_index("solver")
    assert frame.loc["lies", "loss"] == frame.loc["honest", "loss"]
    assert board.loc["lies", "imputed"] == 1


def test_a_job_that_cannot_begin_is_the_jobs_own_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with SharedServer() as server:
        payload = {"spec": {"nonsense": 1}, "formulation": ""}
        jobs = [Job("survey", payload, tag=1), Job("cell", payload, tag=2), Job("none", payload, tag=3)]
        outcomes = {outcome.job.tag: outcome for outcome in server.run(jobs, workers=2)}
    assert "unexpected keyword argument 'nonsense'" in (outcomes[1].answer or {})["broken"]
    assert (outcomes[2].answer or {})["broken"] == "KeyError: 'cell'"
    assert (outcomes[3].status, outcomes[3].answer) == ("CRASHED", None)


def test_the_benchmark_of_an_empty_cell_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    share_server(monkeypatch)
    path = ROOT / "suites/asv/harness.py"
    spec = importlib.util.spec_from_file_location("asv_harness", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.empty_cells(3)
    assert len(found) == 3
    assert all(0 < milliseconds < 5000 for milliseconds in found)
    assert module.EmptyCell.unit == "ms"


# ---- cores, and how the caps were enforced

WHERE = """
import os
from qubopress import problems, solvers

@solvers.solver("where", accepts=problems.Capacity)
def where(capacity, run):
    "Says which cores it has."
    with open(os.path.join(os.path.dirname(__file__), "cores"), "a") as file:
        file.write(" ".join(map(str, sorted(os.sched_getaffinity(0)))) + "\\n")
    run.offer([k < capacity.K for k in range(capacity.n)])
"""

SURVEY = {"spec": {"nonsense": 1}, "formulation": ""}


def outcomes(*, workers: int, threads: int = 1, memory: int | None = None) -> list[executor.JobOutcome]:
    with SharedServer(memory=memory) as server:
        jobs = [Job("survey", SURVEY, tag=tag, threads=threads) for tag in range(4)]
        return list(server.run(jobs, workers=workers))


pins = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")


@pytest.fixture
def undisturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "OTHERS_SHARE", 9.0)


@pins
@pytest.mark.usefixtures("undisturbed")
def test_jobs_with_cores_of_their_own_are_of_timing_grade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "cores", lambda: [0, 1])
    found = outcomes(workers=2)
    assert {one.limits["cores"] for one in found} == {"pinned to 0", "pinned to 1"}
    assert all(one.timing_grade for one in found)


@pytest.mark.usefixtures("undisturbed")
@pytest.mark.parametrize(("workers", "threads"), [(3, 1), (2, 2)])
def test_jobs_that_share_cores_are_not_of_timing_grade(
    workers: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "cores", lambda: [0, 1])
    found = outcomes(workers=workers, threads=threads)
    assert {(one.limits["cores"], one.timing_grade) for one in found} == {("not pinned", False)}


def test_a_job_alone_is_of_timing_grade_while_others_leave_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for share, grade in ((9.0, True), (-1.0, False)):
        monkeypatch.setattr(load, "OTHERS_SHARE", share)
        assert {one.timing_grade for one in outcomes(workers=1)} == {grade}


@pins
@pytest.mark.usefixtures("undisturbed")
def test_the_rows_of_a_run_tell_cores_and_caps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    share_server(monkeypatch)
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "where.py").write_text(WHERE, encoding="utf-8")
    plugins.load_folder(str(folder))
    suite = small(tmp_path, "where", seeds=2)
    suites.run(suite, store=tmp_path / "r.db", jobs=2, memory=1 << 30, plugin_folder=folder)
    told = {record.limits["cores"] for record in records(tmp_path / "r.db")}
    has = set((folder / "cores").read_text().splitlines())
    if len(load.cores()) > 1:
        assert told == {f"pinned to {core}" for core in has}
    for record in records(tmp_path / "r.db"):
        assert record.limits["memory"] == "rss-watchdog 1024 MiB"
        assert record.limits["deadline"] == "SIGTERM 2 s past the budget, SIGKILL 0.5 s later"
        assert record.limits["threads"] == "1, by thread pools"
        assert record.timing_grade == (len(load.cores()) > 1)
