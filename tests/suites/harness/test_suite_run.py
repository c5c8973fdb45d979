from __future__ import annotations

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
import pytest
from warm import SharedServer, records, share_server, small, write_suite

from qubopress import problems, results, solvers, suites
from qubopress.problems import InputError, MissingDataError
from qubopress.problems.datasets import published
from qubopress.results import Record, Store
from qubopress.suites import Progress, plugins
from qubopress.suites.harness import provenance, suite_run

BITS = """
seconds = 5
restarts = 1
by = "bits"

[[problem]]
name = "adaround"
network = "digits-mlp"
bits = [2, 3]

[[solver]]
name = ["round-to-nearest", "nearest-plane"]
"""

FORMULATION = '''
import numpy as np
from qubopress import problems

@problems.problem("two-halves")
def two_halves(task, *, choice=1, trouble=""):
    """Two capacities in turn; {what}"""
    if trouble == "refuse":
        raise problems.InputError("trouble must not be refuse")
    if trouble == "break":
        raise ZeroDivisionError("in the formulation")
    for _ in range(2):
        yield problems.Capacity(np.diag(np.arange(4.0)), np.ones(4), choice)
    return task.copy()
'''

OWN = """
seconds = 5
restarts = 1

[[problem]]
name = "two-halves"
network = "digits-mlp"
{more}

[[solver]]
name = ["swap", "random"]
"""


@pytest.fixture(autouse=True)
def _shared(monkeypatch: pytest.MonkeyPatch) -> None:
    share_server(monkeypatch)


class Told(Progress):
    """Keeps what it is told, and what the store holds at that time."""

    def __init__(self, store: Path) -> None:
        self.store, self.counts, self.begun, self.out = store, list[int](), (0, 0), dict[str, str]()

    def left_out(self, name: str, reason: str) -> None:
        self.out[name] = reason

    def begin(self, total: int, done: int) -> None:
        self.begun = total, done

    def finished(self, record: Record) -> None:
        with Store(self.store) as store:
            assert record.cell in store.statuses()
            self.counts.append(len(store.statuses()))


def plugin(folder: Path, *, what: str = "nothing is gained.") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "halves.py").write_text(FORMULATION.format(what=what), encoding="utf-8")
    return folder


# ---- one record after another


def test_every_record_is_in_the_store_before_the_next_is_counted(tmp_path: Path) -> None:
    store = tmp_path / "r.db"
    told = Told(store)
    done = suites.run(small(tmp_path, "swap", "random", seeds=2), store=store, progress=told)
    assert told.begun == (4, 0)
    assert told.counts == [1, 2, 3, 4]
    assert (done.measured, done.resumed, done.left_out) == (4, 0, {})
    assert done.statuses == {"FINISHED": 4}


def test_a_second_run_measures_nothing(tmp_path: Path) -> None:
    suite = small(tmp_path, "swap", "random")
    first = suites.run(suite, store=tmp_path / "r.db")
    before = records(tmp_path / "r.db")
    told = Told(tmp_path / "r.db")
    second = suites.run(suite, store=tmp_path / "r.db", progress=told)
    assert (first.measured, second.measured, second.resumed) == (2, 0, 2)
    assert told.begun == (2, 2)
    assert records(tmp_path / "r.db") == before


def test_a_run_at_another_commit_enters_there_what_it_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = small(tmp_path, "swap", "random")
    first = suites.run(suite, store=tmp_path / "r.db")
    later = dataclasses.replace(provenance.provenance(), commit="later")
    monkeypatch.setattr(suite_run, "provenance", lambda: later)
    suites.run(suite, store=tmp_path / "r.db")
    with Store(tmp_path / "r.db") as store:
        assert {commit: set(cells) for commit, cells in store.resumed().items()} == {
            "later": set(first.cells)
        }


def test_other_code_measures_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = small(tmp_path, "random")
    suites.run(suite, store=tmp_path / "r.db")
    there = dataclasses.replace(provenance.provenance(), identity="another version of a library")
    monkeypatch.setattr("qubopress.suites.harness.suite_run.provenance", lambda: there)
    assert suites.run(suite, store=tmp_path / "r.db").measured == 1
    one, other = records(tmp_path / "r.db")
    assert one.cell != other.cell
    assert one.stages == other.stages


def test_failed_cells_are_run_again_when_asked_for(tmp_path: Path) -> None:
    suite = small(tmp_path, "swap", "random", "exhaustive")
    suites.run(suite, store=tmp_path / "r.db")
    with Store(tmp_path / "r.db", write=True) as store:
        for record in list(store.records()):
            status = {"swap": "TIMEOUT", "exhaustive": "SKIPPED"}.get(record.solver, record.status)
            store.add(dataclasses.replace(record, status=status), replace=True)
    assert suites.run(suite, store=tmp_path / "r.db").measured == 0
    again = suites.run(suite, store=tmp_path / "r.db", rerun_failed=True)
    assert (again.measured, again.resumed) == (1, 2)
    statuses = {record.solver: record.status for record in records(tmp_path / "r.db")}
    assert statuses["swap"] == "FINISHED"
    assert len(records(tmp_path / "r.db")) == 3


def test_order_neighbours_and_narrowing_change_nobodys_numbers(tmp_path: Path) -> None:
    def of(store: str, *names: str, only: str | None = None) -> dict[tuple[str, int], Record]:
        suite = small(tmp_path, *names, seeds=2).narrowed(solver=only)
        suites.run(suite, store=tmp_path / store, jobs=2)
        return {(record.solver, record.seed): record for record in records(tmp_path / store)}

    alone = of("a.db", "random", "swap")
    crowd = of("b.db", "one-flip", "swap", "tabu", "random")
    narrow = of("c.db", "one-flip", "swap", "random", only="swap")
    for key, record in {**alone, **narrow}.items():
        assert (record.cell, record.stages, record.loss) == (
            crowd[key].cell,
            crowd[key].stages,
            crowd[key].loss,
        )
    assert alone["random", 0].stages != alone["random", 1].stages
    assert set(narrow) == {("swap", 0), ("swap", 1)}


def test_the_store_describes_the_instances(tmp_path: Path) -> None:
    suites.run(small(tmp_path, "random"), store=tmp_path / "r.db")
    with Store(tmp_path / "r.db") as store:
        (info,) = store.instances()
    (record,) = records(tmp_path / "r.db")
    assert info.key == record.instance_key
    assert (info.problem, info.network, info.family) == ("taylor", "digits-cnn", "pruning")
    assert info.parameters["keep"] == 0.5
    assert info.stage_losses == (info.baseline_loss,)
    assert 0 < (info.baseline_metric or 0) < (info.float_metric or 0) < 1


def test_a_suite_by_a_parameter_can_be_tabled(tmp_path: Path) -> None:
    suite = suites.load(write_suite(tmp_path, BITS))
    suites.run(suite, store=tmp_path / "r.db", jobs=2)
    table = results.by_parameter(tmp_path / "r.db", suite.by, suite=suite.name)
    assert sorted(zip(table["bits"], table["solver"], strict=True)) == [
        (2, "nearest-plane"),
        (2, "round-to-nearest"),
        (3, "nearest-plane"),
        (3, "round-to-nearest"),
    ]
    nearest = table.set_index("solver").loc["nearest-plane"]
    assert (nearest["ratio"] < 1).all()


# ---- what cannot be run


def test_data_that_is_missing_leaves_its_instances_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = BITS.replace('"digits-mlp"', '["digits-mlp", "fashion-mlp"]').replace("[2, 3]", "2")
    monkeypatch.setenv("QUBOPRESS_OFFLINE", "1")
    monkeypatch.setenv("QUBOPRESS_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    told = Told(tmp_path / "r.db")
    done = _run_without_debian(write_suite(tmp_path, text), told)
    assert set(done.left_out) == {"adaround/fashion-mlp/bits=2"} == set(told.out)
    assert "fashion-mnist is not on this machine" in done.left_out["adaround/fashion-mlp/bits=2"]
    assert done.measured == 2


def test_missing_data_for_every_instance_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUBOPRESS_OFFLINE", "1")
    for name in ("QUBOPRESS_DATA", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    suite = write_suite(tmp_path, BITS.replace('"digits-mlp"', '"fashion-mlp"'))
    told = Told(tmp_path / "r.db")
    with pytest.raises(MissingDataError, match=r"^fashion-mnist is not on this machine[^\n]*$"):
        _run_without_debian(suite, told)
    assert told.out == {}


def _run_without_debian(suite: Path, told: Told) -> suites.Run:
    """A run whose survey finds no data, wherever this machine may keep it."""
    from qubopress.suites.harness import suite_run

    class Bare(SharedServer):
        def __enter__(self):  # type: ignore[no-untyped-def]
            server = super().__enter__()
            real = server.run

            def run(jobs, *, workers=1):  # type: ignore[no-untyped-def]
                for outcome in real(jobs, workers=workers):
                    spec = outcome.job.tag
                    if getattr(spec, "network", "") == "fashion-mlp":
                        outcome = dataclasses.replace(outcome, answer={"missing": _missing()})
                    yield outcome

            server.run = run  # type: ignore[method-assign]
            return server

        def __exit__(self, *error):  # type: ignore[no-untyped-def]
            assert SharedServer.running is not None
            del SharedServer.running.run  # type: ignore[method-assign]
            super().__exit__(*error)

    suite_run.Supervisor = Bare  # type: ignore[misc,assignment]
    return suites.run(suite, store=told.store, progress=told)


def _missing() -> str:
    nowhere = dataclasses.replace(published.FASHION_MNIST, folder=Path("/nonexistent"))
    with pytest.raises(problems.MissingDataError, match="fashion-mnist") as caught:
        nowhere.paths()
    return str(caught.value)


def test_a_parameter_out_of_range_ends_the_run_in_one_line(tmp_path: Path) -> None:
    path = write_suite(tmp_path, BITS.replace("[2, 3]", "0"))
    with pytest.raises(
        InputError, match=r"suite own: adaround/digits-mlp/bits=0: bits must .*got 0"
    ) as caught:
        suites.run(path, store=tmp_path / "r.db")
    assert "\n" not in str(caught.value)


def test_a_formulation_that_breaks_is_left_out_with_its_error(tmp_path: Path) -> None:
    folder = plugin(tmp_path / "plugins")
    text = OWN.format(more='trouble = ["", "break"]')
    done = suites.run(_loaded(tmp_path, folder, text), store=tmp_path / "r.db", plugin_folder=folder)
    why = "ZeroDivisionError: in the formulation (halves.py:11)"
    assert done.left_out == {"two-halves/digits-mlp/trouble=break": why}
    assert done.measured == 2
    with pytest.raises(
        InputError, match="suite own: two-halves/digits-mlp/trouble=refuse: trouble must not be"
    ):
        suites.run(
            _loaded(tmp_path, folder, OWN.format(more='trouble = "refuse"')),
            store=tmp_path / "r.db",
            plugin_folder=folder,
        )


def _loaded(tmp_path: Path, folder: Path, text: str) -> suites.Suite:
    plugins.load_folder(str(folder))
    return suites.load(write_suite(tmp_path, text))


def test_a_suite_whose_solvers_suit_nothing_measures_nothing(tmp_path: Path) -> None:
    done = suites.run(small(tmp_path, "nearest-plane"), store=tmp_path / "r.db")
    assert (done.measured, done.resumed, done.left_out) == (0, 0, {})


def test_a_solver_that_no_file_brings_is_refused_before_anything_runs(tmp_path: Path) -> None:
    @solvers.solver("homeless", accepts=problems.Qubo)
    def homeless(qubo: problems.Qubo, run: solvers.Run) -> None:
        run.offer([0] * qubo.n)

    with pytest.raises(InputError, match="homeless must come from a file that cells can import; put it into"):
        suites.run(small(tmp_path, "homeless"), store=tmp_path / "r.db")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"jobs": 0}, r"jobs must be an integer in \[1, 4096\], got 0"),
        ({"jobs": 1.0}, "jobs must be an integer"),
        ({"memory": -1}, "memory must be an integer of at least 1048576, got -1"),
        ({"memory": 0}, "memory must be an integer of at least 1048576, got 0"),
    ],
)
def test_what_is_no_number_of_jobs_or_no_cap_is_refused(
    tmp_path: Path, given: dict[str, int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        suites.run(small(tmp_path, "random"), store=tmp_path / "r.db", **given)  # type: ignore[arg-type]
    assert not (tmp_path / "r.db").exists()


# ---- two runs on one store


class Beside(Progress):
    """A second run of the same suite, in a process of its own, from the first cell of this one on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.process = folder, None

    def finished(self, record: Record) -> None:
        if self.process is None:
            code = "from qubopress import suites; done = suites.run('own.toml', store='r.db')"
            code += "; print(done.measured, done.resumed)"
            command = [sys.executable, "-c", code]
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, text=True)


def test_two_runs_on_one_store_measure_no_cell_twice(tmp_path: Path) -> None:
    suite = small(tmp_path, "random", seeds=16)
    beside = Beside(tmp_path)
    first = suites.run(suite, store=tmp_path / "r.db", progress=beside)
    assert beside.process is not None
    out, _ = beside.process.communicate(timeout=100)
    measured, resumed = map(int, out.split())
    assert first.measured + measured == 16
    assert first.measured + first.resumed == measured + resumed == 16
    assert len(records(tmp_path / "r.db")) == 16


# ---- bounds

PROVERS = """
import numpy as np
from qubopress import problems, solvers

def first(capacity):
    return np.arange(capacity.n) < capacity.K

@solvers.solver("prover", accepts=problems.Capacity, exact=True)
def prover(capacity, run):
    "Proves whatever it finds."
    run.offer(first(capacity))
    run.prove(run.loss)

@solvers.solver("boaster", accepts=problems.Capacity)
def boaster(capacity, run):
    "Proves, though it was not registered to."
    run.offer(first(capacity))
    run.prove(run.loss)
"""


@pytest.mark.parametrize("order", [("prover", "swap"), ("swap", "prover")])
def test_a_bound_that_better_bits_refute_is_a_lie_whoever_came_first(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "provers.py").write_text(PROVERS, encoding="utf-8")
    plugins.load_folder(str(folder))
    for name in order:
        suites.run(small(tmp_path, name), store=tmp_path / "r.db", plugin_folder=folder)
    found = {record.solver: record for record in records(tmp_path / "r.db")}
    assert found["prover"].status == "LIED"
    assert found["prover"].message == (
        f"claimed bound {found['prover'].loss!r}, but bits of loss {found['swap'].loss!r} are known"
    )
    assert found["swap"].status == "FINISHED"


def test_only_a_solver_of_ours_proves(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "provers.py").write_text(PROVERS, encoding="utf-8")
    plugins.load_folder(str(folder))
    suites.run(small(tmp_path, "prover", "boaster"), store=tmp_path / "r.db", plugin_folder=folder)
    found = {record.solver: record for record in records(tmp_path / "r.db")}
    assert found["prover"].status == found["boaster"].status == "FINISHED"
    assert found["prover"].bound == found["prover"].loss
    assert "is claimed: nobody here has proven it" in found["prover"].message
    assert found["boaster"].bound is None


# ---- plug-ins

WRAPPER = """
import time
from qubopress import problems, solvers

@solvers.solver("wrapper", accepts=problems.Capacity)
def wrapper(capacity, run):
    "Takes as long as the tool that it wraps."
    time.sleep(0.8)
    run.offer([k < capacity.K for k in range(capacity.n)])
"""


def test_an_honest_plug_in_is_called_once_and_has_its_whole_budget(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "wrapper.py").write_text(WRAPPER, encoding="utf-8")
    plugins.load_folder(str(folder))
    suites.run(small(tmp_path, "wrapper", seconds=1.0), store=tmp_path / "r.db", plugin_folder=folder)
    (record,) = records(tmp_path / "r.db")
    assert record.status in ("FINISHED", "BUDGET")
    assert record.loss is not None


def test_an_outsiders_formulation_runs_and_its_file_is_part_of_its_cells(tmp_path: Path) -> None:
    folder = plugin(tmp_path / "plugins")
    suite = _loaded(tmp_path, folder, OWN.format(more=""))
    first = suites.run(suite, store=tmp_path / "r.db", plugin_folder=folder)
    again = suites.run(suite, store=tmp_path / "r.db", plugin_folder=folder)
    assert (first.measured, again.measured, again.resumed) == (2, 0, 2)
    assert all(record.loss == 0.0 for record in records(tmp_path / "r.db") if record.solver == "swap")
    _forget()
    other = plugin(folder, what="but the file is another.")
    changed = suites.run(
        _loaded(tmp_path, other, OWN.format(more="")), store=tmp_path / "r.db", plugin_folder=other
    )
    assert changed.measured == 2


def _forget() -> None:
    """As if this process had never met the plug-in."""
    from qubopress.problems import registry
    from qubopress.suites import plugins

    function = registry._REGISTRY.pop("two-halves").generate
    del plugins._sources[function]
    del sys.modules[function.__module__]


# ---- the harness itself is ended


def marked(mark: str) -> list[psutil.Process]:
    """Processes that carry a mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("QUBOPRESS_TEST") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            pass
    return found


def begin(tmp_path: Path, mark: str, *, solver: str, seeds: int) -> subprocess.Popen[str]:
    folder = tmp_path / "plugins"
    folder.mkdir(exist_ok=True)
    (folder / "stubborn.py").write_text(STUBBORN, encoding="utf-8")
    command = [sys.executable, "-m", "qubopress.suites.cli", "run", "smoke", "--store", "r.db"]
    command += [
        "--problem",
        "joint-fisher",
        "--solver",
        solver,
        "--seeds",
        str(seeds),
        "--plugins",
        "plugins",
    ]
    environment = {**os.environ, "QUBOPRESS_TEST": mark}
    return subprocess.Popen(
        [*command, "--seconds", "0.2" if solver == "swap" else "60"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


STUBBORN = '''
import os, signal, time
from qubopress import problems, solvers

@solvers.solver("stubborn", accepts=problems.Capacity)
def stubborn(capacity, run):
    """Hangs in three processes, one of them in a session of its own."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0 and os.fork() == 0:
        os.setsid()
    open("hanging", "w").close()
    time.sleep(600)
'''


def wait_for(happened: object, *, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def stored(path: Path) -> int:
    try:
        with Store(path) as store:
            return len(store.statuses())
    except results.StoreError:
        return 0


def test_a_run_that_is_asked_to_end_leaves_a_store_to_go_on_with(tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    process = begin(tmp_path, mark, solver="swap", seeds=500)
    wait_for(lambda: stored(tmp_path / "r.db") >= 2)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert out == ""
    last = err.strip().splitlines()[-1]
    assert last.startswith("qubopress: interrupted; ")
    assert last.endswith("of 500 cells are in r.db, run the same command to go on")
    assert "Traceback" not in err
    wait_for(lambda: not marked(mark), seconds=5)
    assert int(last.split()[2]) == stored(tmp_path / "r.db")
    assert all(record.loss is not None for record in records(tmp_path / "r.db"))


def test_a_run_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    process = begin(tmp_path, mark, solver="stubborn", seeds=1)
    wait_for((tmp_path / "hanging").exists)
    assert len(marked(mark)) >= 4
    process.kill()
    process.communicate(timeout=30)
    wait_for(lambda: not marked(mark), seconds=5)
    assert stored(tmp_path / "r.db") == 0


def finish_times(path: Path) -> dict[str, str]:
    """When each stored cell ended, by its content key."""
    try:
        return {record.cell: record.finished_at for record in records(path)}
    except results.StoreError:
        return {}


@pytest.mark.slow
def test_killed_at_any_moment_it_loses_repeats_and_drops_no_cell(tmp_path: Path) -> None:
    store, draw, moments = tmp_path / "r.db", random.Random(0), 20
    for moment in range(moments):
        before, mark = finish_times(store), uuid.uuid4().hex
        process = begin(tmp_path, mark, solver="swap", seeds=80)
        if moment % 4:
            wait_for(lambda before=before: stored(store) > len(before))
        time.sleep(draw.uniform(0.0, 0.8 if moment % 4 else 8.0))
        ended = finish_times(store)
        process.kill()
        process.communicate(timeout=30)
        wait_for(lambda mark=mark: not marked(mark), seconds=5)
        after = finish_times(store)
        assert before.items() <= ended.items() <= after.items()
    assert moments / 2 < len(after) < 80
    process = begin(tmp_path, uuid.uuid4().hex, solver="swap", seeds=80)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert f"{80 - len(after)} cells measured" in err
    whole = finish_times(store)
    assert after.items() <= whole.items()
    assert sorted(record.seed for record in records(store)) == list(range(80))


# ---- formulations and solvers that break a rule in a run

RUDE = """
import numpy as np
import torch
from qubopress import problems, solvers

@problems.problem("rude")
def rude(task, *, what="weights"):
    "Changes what it was given."
    yield problems.Capacity(np.eye(4), np.ones(4), 2)
    with torch.no_grad():
        if what == "weights":
            next(task.network.parameters()).zero_()
        if what == "mode":
            task.network.train()
        if what == "samples":
            task.inputs.zero_()
    return task.network.eval() if what == "weights" else task.copy()

@solvers.solver("returns", accepts=problems.Qubo)
def returns(qubo, run):
    "Returns bits."
    return np.zeros(qubo.n)

@solvers.solver("raises", accepts=problems.Qubo)
def raises(qubo, run):
    "Divides."
    1 / 0

@solvers.solver("silent", accepts=problems.Qubo)
def silent(qubo, run):
    "Says nothing."
"""

RUDE_SUITE = """
seconds = 5
restarts = 1

[[problem]]
name = "rude"
network = "digits-mlp"
what = [{what}]

[[solver]]
name = [{solvers}]
"""


def _rude(tmp_path: Path, what: str, *names: str) -> list[Record]:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "rude.py").write_text(RUDE, encoding="utf-8")
    text = RUDE_SUITE.format(what=what, solvers=", ".join(f'"{name}"' for name in names))
    suites.run(_loaded(tmp_path, folder, text), store=tmp_path / "r.db", plugin_folder=folder)
    return records(tmp_path / "r.db")


def test_a_formulation_that_changes_what_it_was_given_ends_its_cells(tmp_path: Path) -> None:
    found = {one.instance.rpartition("=")[2]: one for one in _rude(tmp_path, '"", "mode", "samples"', "swap")}
    (good,) = [one for name, one in found.items() if name not in ("mode", "samples")]
    assert (good.status, good.message) == ("FINISHED", "")
    cures = {"mode": "got task.network changed in place; begin with network = task.copy()"}
    cures["samples"] = "got its samples changed in place; work on inputs.clone()"
    for what, cure in cures.items():
        assert (found[what].status, found[what].metric) == ("FAILED", None)
        assert found[what].message == f"rude must leave its task as it is, {cure}"


def test_a_network_pruned_in_place_hides_no_drop(tmp_path: Path) -> None:
    (record,) = _rude(tmp_path, '"weights"', "swap")
    assert record.status == "FAILED"
    assert "begin with network = task.copy()" in record.message
    row = results.load(tmp_path / "r.db").iloc[0]
    assert row.float_metric > 0.9 > row.baseline_metric


def test_a_solver_that_fails_is_told_what_to_do_and_at_which_line(tmp_path: Path) -> None:
    found = {one.solver: one for one in _rude(tmp_path, '""', "returns", "raises", "silent")}
    assert {one.status for one in found.values()} == {"FAILED"}
    line = RUDE.splitlines().index("    1 / 0") + 1
    assert found["raises"].message == f"ZeroDivisionError: division by zero (rude.py:{line})"
    assert found["returns"].message.startswith(
        "returns must call run.offer(x), got a ndarray that it returned"
    )
    assert "call run.offer(x) while run.open()" in found["silent"].message
