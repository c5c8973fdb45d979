"""Cell: one instance × solver × parameters × seed × budget, from the search to the record."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ... import problems, solvers
from ...problems import InputError, Instance
from ...results import Budget, Record, Stage, pack
from ...results.storage.budget import LIMITS
from ...solvers import Solution, Status
from ...solvers.traces import Point, summed
from ..plugins import fault_of, source_of
from ..spec import InstanceSpec, SolverSpec, canonical, seed_of
from .judged_search import Judge, SearchFailed
from .network_metrics import left_alone, measures_of, metric_of
from .provenance import Provenance, version_of
from .search_process import status_of
from .survey import Survey, prepared, variables_of

__all__ = ["Cell", "execute", "failed"]

WORST = (Status.LIED, Status.FAILED, Status.SKIPPED, Status.INFEASIBLE, Status.BUDGET, Status.FINISHED)
"""Which stage's ending names the cell's; TARGET and OPTIMAL take all stages."""


@dataclass(frozen=True)
class Cell:
    """What is measured once. `seed` numbers the replicate; the random numbers come from the names."""

    suite: str
    spec: InstanceSpec
    survey: Survey
    solver: SolverSpec
    seed: int
    budget: Budget

    def key(self, provenance: Provenance) -> str:
        """Content key; other code, a plug-in's too, or another version of a library makes another cell."""
        functions = (self._problem.generate, self._entry.search)
        parts = [
            self.suite,
            self.survey.info.key,
            self.solver.label,
            self.seed,
            list(vars(self.budget).values()),
            provenance.identity,
            [source_of(function) for function in functions],
            [(name, version_of(name)) for name in self.libraries],
        ]
        return hashlib.sha256(canonical(parts).encode()).hexdigest()[:20]

    @property
    def libraries(self) -> list[str]:
        """Packages that its solver or its formulation alone imports, sorted."""
        return sorted({*self._problem.requires, *self._entry.requires})

    @property
    def _problem(self) -> problems.Problem:
        return problems.get(self.spec.problem)

    @property
    def _entry(self) -> solvers.Entry:
        return solvers.get(self.solver.name)

    @property
    def seconds(self) -> float:
        """Wall clock of its searches; every suite gives one."""
        assert self.budget.seconds is not None
        return self.budget.seconds

    @property
    def name(self) -> str:
        """For people: solver, instance, replicate."""
        return f"{self.solver.title} on {self.spec.name} (seed {self.seed})"


class _Stopped(Exception):  # noqa: N818 - how a stage without bits ends the cell
    """A stage has no bits, so the network cannot be built."""


@dataclass
class _Log:
    """What the stages of a cell came to."""

    stages: list[Stage] = field(default_factory=list)
    judged: list[Solution] = field(default_factory=list)


def execute(cell: Cell, key: str, provenance: Provenance, judge: Judge) -> Record:
    """Have every stage searched, decode the network, measure it. Only the searches are on a clock."""
    begun = time.monotonic()
    log, message = _Log(), ""
    metric: float | None = None
    measures: dict[str, float] = {}
    status: Status | None = None
    try:
        task = cell.spec.task()
        with left_alone(cell.spec, task):
            network = cell.spec.drive(
                task, lambda stage, instance: _decide(cell, judge, log, stage, instance)
            )
        if len(log.judged) < len(cell.survey.shapes):
            stages = f"{len(log.judged)} of {len(cell.survey.shapes)} stages"
            raise InputError(f"the formulation ended after {stages}; their number must not depend on answers")
        metric = metric_of(cell.spec, task, network)
        measures = measures_of(cell.spec, task, network)
    except _Stopped:
        pass
    except SearchFailed as error:
        status, message = error.status, str(error)
    except Exception as error:
        status, message = status_of(error), fault_of(error)
    wall = time.monotonic() - begun
    known = {"metric": metric, "measures": measures, "wall_seconds": wall}
    known |= {"anytime": _anytime(cell, judge, log.judged), "peak_bytes": judge.peak_bytes or None}
    return _record(cell, _fields(cell, key, provenance) | known, log, status, message)


def _decide(cell: Cell, judge: Judge, log: _Log, stage: int, instance: Instance) -> Any:
    """The solution of one stage, noted in the log."""
    if not cell.spec.judged(instance):
        solution = prepared(cell.spec, stage, instance)
    else:
        solution = _search(cell, judge, log, stage, instance)
        log.judged.append(solution)
    x = solution.x
    bits = None if x is None else pack(x)
    log.stages.append(Stage(variables_of(instance), solution.loss, solution.violation, bits, instance.shape))
    if x is None:
        raise _Stopped
    return x


def _search(cell: Cell, judge: Judge, log: _Log, stage: int, instance: Instance) -> Solution:
    used = sum(solution.seconds for solution in log.judged)
    share = max(cell.seconds - used, 1e-3) * cell.survey.shares(len(log.judged))
    seed = seed_of(cell.suite, cell.survey.info.key, cell.solver.label, cell.seed, stage)
    return judge.search(instance, share, seed)


def _record(cell: Cell, known: dict[str, Any], log: _Log, status: Status | None, message: str) -> Record:
    """The record of a cell whose judge lived to write it; `known` are fields that are settled."""
    done = log.judged
    whole = status is None and bool(done) and all(one.x is not None for one in done)
    loss = sum(one.loss for one in done if one.loss is not None) if whole else None
    messages = [message, *(one.message for one in done)]
    fields = known | {
        "status": str(status or _joint_status(done)),
        "message": next((text for text in messages if text), ""),
        "loss": loss,
        "energy": sum(one.energy for one in done if one.energy is not None) if whole else None,
        "violation": sum(one.violation for one in done if one.violation is not None) if whole else None,
        "bound": _joint_bound(done) if whole else None,
        "seconds": sum(one.seconds for one in done) if done else None,
        "adapter": ", ".join(dict.fromkeys(one.adapter for one in done if one.adapter)),
        "stages": tuple(log.stages),
        **(_course(cell, done, loss) if loss is not None else {"trace": ()}),
        "counts": dict(sum((Counter(one.counts) for one in done), Counter())),
    }
    return Record(**fields)


def failed(cell: Cell, provenance: Provenance, status: Status, message: str, *, wall: float) -> Record:
    """The record of a cell whose process was killed or died."""
    nothing = dict.fromkeys(("loss", "energy", "violation", "bound", "metric", "seconds", "peak_bytes"))
    fields = _fields(cell, cell.key(provenance), provenance.beside(cell.libraries)) | nothing
    return Record(
        **fields, status=str(status), message=message, wall_seconds=wall, adapter="", stages=(), trace=()
    )


def _fields(cell: Cell, key: str, provenance: Provenance) -> dict[str, Any]:
    """What is known of a cell before it runs."""
    info = cell.survey.info
    return {
        "cell": key,
        "suite": cell.suite,
        "family": info.family,
        "problem": info.problem,
        "network": info.network,
        "instance": info.name,
        "instance_key": info.key,
        "solver": cell.solver.title,
        "parameters": cell.solver.parameters,
        "seed": cell.seed,
        **dict(zip(LIMITS, vars(cell.budget).values(), strict=True)),
        "metric_name": info.metric_name,
        "finished_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "commit": provenance.commit,
        "machine": provenance.machine,
        "versions": provenance.versions,
    }


def _anytime(cell: Cell, judge: Judge, done: list[Solution]) -> bool:
    """Whether the search would have gone the same way under a longer budget, so that its trace may be cut.

    Adapters and cells of several stages divide the budget, whatever the solver does.
    """
    whole = len(done) == 1 and done[0].adapter in ("", "row")
    return judge.contestant.entry.anytime and (whole or cell.budget.restarts is not None)


def _joint_status(done: list[Solution]) -> Status:
    """The worst ending of the stages; TARGET and OPTIMAL only where all say so."""
    found = {one.status for one in done}
    for status in WORST:
        if status in found:
            return status
    return Status.OPTIMAL if found == {Status.OPTIMAL} else Status.TARGET


def _joint_bound(done: list[Solution]) -> float | None:
    bounds = [one.bound for one in done]
    return None if None in bounds else float(sum(bound for bound in bounds if bound is not None))


def _course(cell: Cell, done: list[Solution], loss: float) -> dict[str, Any]:
    """Trace of the summed loss and the work beside it; a stage not reached yet counts at the baseline.

    Stages whose work has different units have none in common.
    """
    unit = _joint_unit(done)
    if len(done) == 1:
        points = done[0].points
    else:
        points = summed(cell.survey.losses, list(_one_after_another(done, unit)), loss)
    trace = tuple((point.seconds, point.loss) for point in points)
    work = tuple(point.work for point in points) if unit else ()
    return {"trace": trace, "trace_work": work, "work_unit": unit}


def _joint_unit(done: list[Solution]) -> str:
    units = {one.work_unit for one in done if one.counts}
    return units.pop() if len(units) == 1 else ""


def _one_after_another(done: list[Solution], unit: str) -> Iterator[list[Point]]:
    """The improvements of each stage on the clock and the count of the whole."""
    seconds, work = 0.0, 0
    for one in done:
        yield [Point(seconds + point.seconds, point.loss, work + point.work) for point in one.points]
        seconds, work = seconds + one.seconds, work + one.counts.get(unit, 0)
