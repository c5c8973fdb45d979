from __future__ import annotations

import dataclasses
import json
import os
import pickle
from functools import cache
from typing import Any

import numpy as np
import pytest

from qubopress import problems, solvers
from qubopress.problems import InputError, MissingDataError
from qubopress.problems.errors import one_line
from qubopress.results import Budget, Record
from qubopress.solvers import Solution, Status
from qubopress.suites.harness import cell as module
from qubopress.suites.harness.cell import Cell, execute, failed
from qubopress.suites.harness.judged_search import Contestant, Judge
from qubopress.suites.harness.provenance import Provenance
from qubopress.suites.harness.search_process import SolverCode
from qubopress.suites.harness.survey import Survey, survey
from qubopress.suites.spec import InstanceSpec, SolverSpec

WHERE = Provenance("0123abc", "a machine", {"numpy": "2"}, "identity")


@cache
def surveyed(label: str) -> Survey:
    return survey(InstanceSpec(**json.loads(label)))


def make(
    problem: str = "taylor", solver: str = "swap", *, network: str = "digits-cnn", **changes: Any
) -> Cell:
    spec = InstanceSpec.of(problem, network=network, **changes.pop("parameters", {}))
    seed, limits = changes.pop("seed", 0), {"seconds": 5.0, "restarts": 1} | changes
    return Cell("suite", spec, surveyed(spec.label), SolverSpec(solver, {}), seed, Budget(**limits))


def run(cell: Cell) -> tuple[Record, list[float | None]]:
    """The cell, judged in a process of its own: a judge ends all that came of its process."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, pickle.dumps(judged(cell)))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        found = pickle.load(pipe)
    os.waitpid(pid, 0)
    return found  # type: ignore[no-any-return]


def judged(cell: Cell) -> tuple[Record, list[float | None]]:
    clock: list[float | None] = []
    entry = solvers.get(cell.solver.name)
    options = {name: getattr(cell.budget, name) for name in ("restarts", "evaluations", "threads")}
    code = SolverCode(entry.name)
    with Judge(Contestant(entry), code, options, {}, lambda seconds, pid: clock.append(seconds)) as judge:
        return execute(cell, cell.key(WHERE), WHERE, judge), clock


def solution(status: Status, **changes: Any) -> Solution:
    return Solution(np.zeros(1, np.int8), 1.0, 0.0, 1.0, None, status, [], 0.1, **changes)


# ---- keys


def test_the_key_knows_parameters_budget_replicate_suite_and_provenance() -> None:
    cell = make()
    others = [
        dataclasses.replace(cell, seed=1),
        make(seconds=4.0),
        make(restarts=2),
        make(restarts=None),
        make(evaluations=9),
        make(threads=2),
        dataclasses.replace(cell, suite="other"),
        dataclasses.replace(cell, solver=SolverSpec("tabu", {})),
        dataclasses.replace(cell, solver=SolverSpec("swap", {"sweeps": 3})),
        make(parameters={"keep": 0.25}),
    ]
    keys = {cell.key(WHERE), *(other.key(WHERE) for other in others)}
    keys.add(cell.key(dataclasses.replace(WHERE, identity="other")))
    assert len(keys) == 12
    elsewhere = dataclasses.replace(WHERE, machine="another", commit="fff")
    assert cell.key(elsewhere) == make().key(WHERE) == cell.key(WHERE)


@pytest.mark.parametrize("which", ["swap", "taylor"])
def test_the_key_knows_the_file_of_a_plugin(monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    cell = make()
    before = cell.key(WHERE)
    function = solvers.get("swap").search if which == "swap" else problems.get("taylor").generate
    monkeypatch.setattr(module, "source_of", lambda one: "another file" if one is function else "")
    assert cell.key(WHERE) != before


def test_the_key_knows_the_versions_of_what_its_solver_alone_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    without = make("adaround", "nearest-plane", network="digits-mlp")
    needing = make(solver="cp-sat")
    before = without.key(WHERE), needing.key(WHERE)
    monkeypatch.setattr(module, "version_of", lambda name: "99")
    assert without.key(WHERE) == before[0]
    assert needing.key(WHERE) != before[1]
    assert needing.libraries == ["ortools", "torch", "torch-pruning"]


# ---- the search


def test_fixed_work_gives_the_same_bits_whatever_the_suite_around_it() -> None:
    first, clock = run(make())
    second, _ = run(make())
    assert first.stages == second.stages
    assert first.loss is not None
    assert first.status == "FINISHED"
    assert clock == [5.0, None]


def test_replicates_differ_by_their_seed() -> None:
    one, _ = run(make(solver="random"))
    two, _ = run(make(solver="random", seed=1))
    assert one.stages != two.stages


def test_the_stages_share_the_seconds_and_their_traces_are_one() -> None:
    cell = make("adaround", "one-flip", network="digits-mlp", seconds=0.4, restarts=None)
    record, clock = run(cell)
    first, end, second, last = clock
    assert (end, last) == (None, None)
    assert first == pytest.approx(0.4 * cell.survey.shares(0))
    assert second is not None
    assert 0.001 <= second <= 0.4
    assert record.status == "BUDGET"
    assert len(record.stages) == 2
    assert record.loss == pytest.approx(sum(stage.loss or 0.0 for stage in record.stages))
    times, losses = zip(*record.trace, strict=True)
    assert losses[-1] == pytest.approx(record.loss)
    assert all(np.diff(losses) < 0)
    assert all(np.diff(times) >= 0)


def test_the_work_of_the_stages_adds_up_beside_their_trace() -> None:
    record, _ = run(make("adaround", "one-flip", network="digits-mlp"))
    assert (record.work_unit, len(record.stages)) == ("evaluations", 2)
    assert len(record.trace_work) == len(record.trace) > 2
    counted = [0, *record.trace_work, record.counts["evaluations"]]
    assert counted == sorted(counted)
    assert record.trace_work[-1] > record.counts["evaluations"] / 2


def test_stages_whose_work_has_different_units_have_none_in_common() -> None:
    one = Solution(None, 1.0, 0.0, 1.0, None, Status.FINISHED, [(0.1, -1e9)], 0.2)
    stages = [
        dataclasses.replace(one, counts={unit: 3}, work_unit=unit, trace_work=[2])
        for unit in ("flips", "nodes")
    ]
    cell = make("adaround", "one-flip", network="digits-mlp")
    assert module._course(cell, stages, -2e9)["work_unit"] == ""
    same = module._course(cell, [stages[0]] * 2, -2e9)
    assert (same["work_unit"], same["trace_work"][-1]) == ("flips", 5)


def test_a_stage_that_is_prepared_is_stored_and_not_counted() -> None:
    cell = make("hybrid", "random", parameters={"refine": 6, "prepare": "random"}, evaluations=20)
    record, clock = run(cell)
    assert len(record.stages) == 2
    assert record.loss == record.stages[1].loss
    assert len(clock) == 2


# ---- endings


@pytest.mark.parametrize(
    ("ends", "joint"),
    [
        (["OPTIMAL", "OPTIMAL"], "OPTIMAL"),
        (["OPTIMAL", "TARGET"], "TARGET"),
        (["OPTIMAL", "FINISHED"], "FINISHED"),
        (["FINISHED", "BUDGET", "OPTIMAL"], "BUDGET"),
        (["BUDGET", "INFEASIBLE"], "INFEASIBLE"),
        (["INFEASIBLE", "SKIPPED"], "SKIPPED"),
        (["BUDGET", "FAILED"], "FAILED"),
        (["LIED", "FAILED"], "LIED"),
    ],
)
def test_the_worst_stage_names_the_cells_ending(ends: list[str], joint: str) -> None:
    for order in (ends, ends[::-1]):
        assert module._joint_status([solution(Status[end]) for end in order]) == joint


def test_a_bound_is_the_sum_of_all_stages_bounds_or_none() -> None:
    known = dataclasses.replace(solution(Status.OPTIMAL), bound=1.5)
    assert module._joint_bound([known, known]) == 3.0
    assert module._joint_bound([known, solution(Status.BUDGET)]) is None


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ValueError("two\nlines"), "FAILED", "ValueError: two lines"),
        (InputError("must be so"), "FAILED", "must be so"),
        (MemoryError("much"), "MEMORY", "MemoryError: much"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"),
            "MEMORY",
            "RuntimeError: Default",
        ),
        (MissingDataError("no such data"), "SKIPPED", "no such data"),
    ],
)
def test_whatever_a_solver_raises_is_the_cells_result(error: Exception, status: str, message: str) -> None:
    @solvers.solver("raiser", accepts=problems.Capacity)
    def raiser(capacity: problems.Capacity, run: solvers.Run) -> None:
        raise error

    record, clock = run(make(solver="raiser"))
    assert record.status == status
    assert record.message.startswith(message)
    assert "\n" not in record.message
    assert (record.loss, record.metric, record.bound) == (None, None, None)
    assert clock[-1] is None


def test_a_stage_without_bits_ends_the_cell() -> None:
    @solvers.solver("idle", accepts=problems.Rounding)
    def idle(rounding: problems.Rounding, run: solvers.Run) -> None:
        pass

    record, clock = run(make("adaround", "idle", network="digits-mlp"))
    assert (record.status, record.message) == (
        "FAILED",
        "the solver offered no solution within its budget; it must call run.offer(x) while run.open()",
    )
    assert len(record.stages) == 1
    assert record.stages[0].bits is None
    assert len(clock) == 2


def test_a_formulation_whose_stages_depend_on_the_answers_fails() -> None:
    wanted = {"stages": 1}

    @problems.problem("wavering")
    def wavering(task):  # type: ignore[no-untyped-def]
        for _ in range(wanted["stages"]):
            yield problems.Capacity(np.zeros((3, 3)), np.ones(3), 1)
        return task.copy()

    cell = make("wavering")
    wanted["stages"] = 2
    record, _ = run(cell)
    assert record.status == "FAILED"
    assert "as many stages whatever the answers" in record.message
    assert (record.loss, record.metric) == (None, None)
    wanted["stages"] = 0
    record, _ = run(cell)
    assert record.status == "FAILED"
    assert record.message.startswith("the formulation ended after 0 of 1 stages")


def test_the_record_of_a_cell_without_an_answer_says_why() -> None:
    record = failed(make(), WHERE, Status.TIMEOUT, "killed", wall=2.5)
    assert (record.status, record.message, record.wall_seconds) == ("TIMEOUT", "killed", 2.5)
    assert record.cell == make().key(WHERE)
    assert (record.loss, record.stages, record.trace) == (None, (), ())


def test_an_error_is_told_in_one_bounded_line() -> None:
    assert one_line(KeyError("a\n b")) == "KeyError: 'a\\n b'"
    assert len(one_line(ValueError("x" * 10_000))) == 500
