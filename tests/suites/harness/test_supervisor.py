from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hostile import ENDINGS, write_hostile
from repository import ROOT
from warm import SharedServer, clean_registries, records, share_server, small

from qubopress import results, suites
from qubopress.results import Record
from qubopress.suites import plugins
from qubopress.suites.harness import child, executor, jobs, load, supervisor
from qubopress.suites.harness import warm_server as serving
from qubopress.suites.harness.executor import Job, ServerError
from qubopress.suites.harness.server_link import ServerLink
from qubopress.suites.harness.supervisor import Supervisor
from qubopress.suites.harness.wire import read_messages

SECONDS = 0.3
HONEST = ("honest", "random", "swap")


def descendants() -> set[int]:
    """Processes that came of this one, the warm server and the child that waits there apart."""
    running = {process.pid for process in psutil.Process().children(recursive=True)}
    server = SharedServer.running
    return running - {server.pid, *waiting(server)} if server else running


def waiting(server: Supervisor) -> list[int]:
    """The child of a server that waits for the next job; it takes a moment to begin."""
    for _ in range(500):
        children = psutil.Process(server.pid).children()
        found = [child.pid for child in children if child.name() == "qubo-waiting"]
        if found:
            break
        time.sleep(0.01)
    return found


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """A record of every hostile solver and of the honest ones beside them, by the solver's name."""
    folder = tmp_path_factory.mktemp("hostile")
    store = folder / "all.db"
    with pytest.MonkeyPatch.context() as patch, clean_registries():
        share_server(patch)
        patch.setattr(child, "TERM_SECONDS", 0.2)
        plugins.load_folder(str(write_hostile(folder / "plugins")))
        quick = [name for name in ENDINGS if name != "swells"]
        # How soon memory fills up is the machine's affair.
        for grace, names in ((0.4, [*HONEST, *quick]), (60.0, ["swells"])):
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


def test_no_process_is_left(met: dict[str, Record]) -> None:
    assert met["leaves-an-orphan"].loss is not None
    server = SharedServer.running
    assert server is not None
    left = {child.pid for child in psutil.Process(server.pid).children(recursive=True)}
    assert left == set(waiting(server))
    assert len(left) == 1
    assert descendants() == set()


def test_a_leaderboard_ranks_no_liar(met: dict[str, Record], tmp_path: Path) -> None:
    with results.Store(tmp_path / "r.db", write=True) as store:
        for record in met.values():
            store.add(record)
    frame = results.load(tmp_path / "r.db").set_index("solver")
    board = results.leaderboard(tmp_path / "r.db").set_index("solver")
    assert frame.loc["lies", "loss"] == frame.loc["honest", "loss"]
    assert board.loc["lies", "imputed"] == 1


# ---- the server


def test_a_server_that_dies_is_told_in_one_line() -> None:
    with Supervisor() as server:
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(
            ServerError, match=r"the warm server died.*finished cells are in the store"
        ) as caught:
            list(server.run([Job("survey", {"spec": {}, "plugins": ""})]))
    assert "\n" not in str(caught.value)
    assert descendants() == set()


def test_a_job_that_cannot_begin_is_the_jobs_own_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with SharedServer() as server:
        payload = {"spec": {"nonsense": 1}, "plugins": ""}
        jobs = [Job("survey", payload, tag=1), Job("cell", payload, tag=2), Job("none", payload, tag=3)]
        outcomes = {outcome.job.tag: outcome for outcome in server.run(jobs, workers=2)}
    assert "unexpected keyword argument 'nonsense'" in (outcomes[1].answer or {})["broken"]
    assert (outcomes[2].answer or {})["broken"] == "KeyError: 'cell'"
    assert (outcomes[3].status, outcomes[3].answer) == ("CRASHED", None)


def test_an_interrupt_while_the_server_starts_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(link: ServerLink, event: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ServerLink, "wait_for", interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"^$"), Supervisor():
        pass
    assert descendants() == set()


def test_a_request_larger_than_the_sockets_buffer_arrives_whole() -> None:
    with SharedServer() as server:
        payload = {"spec": {"x" * 3_000_000: 1}, "plugins": ""}
        (outcome,) = server.run([Job("survey", payload)])
    assert "unexpected keyword argument" in (outcome.answer or {})["broken"]


def test_a_waiting_child_that_dies_costs_no_job() -> None:
    with SharedServer() as server:
        for _ in range(2):
            (outcome,) = server.run([Job("survey", SURVEY)])
            assert "broken" in (outcome.answer or {})
            (spare,) = waiting(server)
            os.kill(spare, signal.SIGKILL)


def test_a_job_that_was_heard_is_given_to_no_second_child(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    send = socket.send_fds

    def heard_at_once(link: socket.socket, data: list[bytes], descriptors: list[int]) -> int:
        sent = send(link, data, descriptors)
        assert theirs.recv(1000) == b'{"id": 7}\n'
        theirs.sendall(b"!")
        theirs.close()
        return sent

    monkeypatch.setattr(socket, "send_fds", heard_at_once)
    waits = serving._Server(ours, ours, ours)
    waits.spare = 12345, ours
    monkeypatch.setattr(waits, "_fork", lambda jobs: pytest.fail("a second child was forked"))
    assert waits._hand_over(jobs, {"id": 7}, []) == 12345


def test_a_preload_replaces_the_child_that_waits() -> None:
    with SharedServer() as server:
        list(server.run([Job("survey", SURVEY)]))
        (before,) = waiting(server)
        spare = psutil.Process(before)
        server.preload()
        spare.wait(timeout=10)
        assert waiting(server) != [before]


# ---- what an empty cell costs


def test_the_next_job_sets_up_while_the_caller_writes_the_last() -> None:
    with SharedServer() as server:
        found = server.run([Job("survey", SURVEY, tag=tag) for tag in range(3)])
        beside = [(outcome.job.tag, [one.job.tag for one in server._children.values()]) for outcome in found]
    assert beside == [(0, [1]), (1, [2]), (2, [])]


def huge_pages() -> str:
    """Why this system gives no huge pages when asked, "" where it does."""
    try:
        chosen = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text(encoding="ascii")
    except OSError:
        return "this system has no transparent huge pages"
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    if "[never]" in chosen or release < (6, 1):
        return f"Linux {os.uname().release} with {chosen.strip()} makes no huge pages of small ones"
    return ""


@pytest.mark.skipif(bool(huge_pages()), reason=huge_pages() or "huge pages")
def test_the_server_is_on_huge_pages_so_that_forks_are_cheap() -> None:
    with SharedServer() as server:
        server.preload()
        text = Path(f"/proc/{server.pid}/smaps_rollup").read_text(encoding="ascii")
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
    assert sizes["AnonHugePages"] > 0.1 * sizes["Anonymous"]


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

SURVEY = {"spec": {"nonsense": 1}, "plugins": ""}


def outcomes(*, workers: int, threads: int = 1, memory: int | None = None) -> list[executor.Outcome]:
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
    with clean_registries():
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


# ---- the deadline, with a clock of our own


@pytest.fixture
def job() -> Iterator[child.Child]:
    read, write = os.pipe()
    now = time.monotonic()
    yield child.Child(Job("cell", {}, seconds=2.0, searches=2), read, now, now + 300.0, now, pid=2**22 + 1)
    os.close(read)
    os.close(write)


def tell(job: child.Child, *messages: object) -> None:
    for content in messages:
        data = json.dumps(content).encode()
        job.take(struct.pack("!I", len(data)) + data)


def test_a_search_may_overrun_by_the_grace_and_never_by_its_own_word(job: child.Child) -> None:
    tell(job, {"clock": 0.5})
    assert job.deadline - time.monotonic() == pytest.approx(0.5 + child.GRACE_SECONDS, abs=0.2)
    tell(job, {"clock": None}, {"clock": 1e9})
    assert job.deadline - time.monotonic() == pytest.approx(2.0 + child.GRACE_SECONDS, abs=0.2)
    assert job.verdict is None
    tell(job, {"clock": None}, {"clock": 0.5})
    assert job.verdict == (
        "FAILED",
        "the cell sent what is no message of ours: a search too many, it has 2",
    )


def test_the_time_outside_searches_is_one_allowance(job: child.Child) -> None:
    job.since -= 100.0
    tell(job, {"clock": 0.5}, {"clock": None})
    assert job.deadline - time.monotonic() == pytest.approx(200.0, abs=1.0)


@pytest.mark.parametrize("budget", ["0.5", -1.0, 0, True, [1], float("nan")])
def test_a_budget_that_is_none_ends_the_cell(job: child.Child, budget: object) -> None:
    tell(job, {"clock": budget})
    assert job.verdict is not None
    assert job.verdict[0] == "FAILED"
    assert "a budget of" in job.verdict[1]


def test_what_a_cell_may_send_is_bounded(job: child.Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "MESSAGE_BYTES", 1 << 20)
    job.take(struct.pack("!I", 1 << 30) + b"x" * (1 << 19))
    assert job.verdict is None
    job.take(b"x" * (1 << 20))
    assert job.verdict == ("FAILED", "the cell sent what is no message of ours: more than 1 MiB")


def test_many_small_messages_are_bounded_as_well(job: child.Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "MESSAGE_BYTES", 100)
    tell(job, *[{"noise": 1}] * 8)
    assert job.verdict is not None


# ---- messages


def framed(text: bytes) -> bytes:
    return struct.pack("!I", len(text)) + text


def test_messages_are_read_whole_however_they_are_cut() -> None:
    whole = framed(b'{"a": 1}') + framed(b'{"b": 2}')
    buffer, found = bytearray(), []
    for byte in whole:
        buffer.append(byte)
        found += read_messages(buffer)
    assert found == [{"a": 1}, {"b": 2}]
    assert buffer == b""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"abc", "Expecting value"),
        (b"\xff", "codec can't decode"),
        (b"[1]", "a message must be a JSON object, got a list"),
        (b"[" * 100_000, "it is nested too deeply"),
    ],
)
def test_what_is_no_json_object_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_messages(bytearray(framed(text)))
