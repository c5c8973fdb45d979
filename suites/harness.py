"""The harness: survey a suite's instances, run its cells, commit each record as it comes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .. import solvers
from ..problems import InputError
from ..results import Record, RecordError, Store
from ..results.record import RANKED
from ..solvers import Status
from . import plugins
from .cell import Cell, failed
from .jobs import cell_payload, survey_payload
from .machine import Provenance, provenance
from .processes import Job, Outcome, Server
from .spec import InstanceSpec
from .suite import Suite
from .suite import load as load_suite
from .survey import Survey

__all__ = ["Progress", "Run", "run"]


class Progress:
    """What a run tells while it goes; the default tells nobody."""

    def surveying(self, count: int) -> None:
        """`count` instances are about to be built."""

    def left_out(self, spec: InstanceSpec, reason: str) -> None:
        """An instance cannot be built here."""

    def begin(self, total: int, done: int) -> None:
        """`total` cells in all, of which `done` are in the store already."""

    def finished(self, record: Record) -> None:
        """A cell is in the store."""


@dataclass
class Run:
    """What a run came to: cells measured now, cells found in the store, instances left out and why."""

    measured: int = 0
    resumed: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)


def run(
    suite: Suite | str | Path,
    *,
    store: str | Path = "results.db",
    jobs: int = 1,
    memory: int | None = None,
    plugin_folder: str | Path = "",
    rerun_failed: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Run a suite's cells that the store lacks, each in its own process, and commit each record at once.

    Parameters:
        suite: a Suite, a built-in's name, or the path of a TOML file.
        store: database that the records go to; made if it is not there.
        jobs: cells at a time; more than one makes times less trustworthy.
        memory: bytes at which a cell is killed, None without a cap.
        plugin_folder: folder of Python files with more solvers and problems.
        rerun_failed: run again the cells that were killed, died or failed.

    Raises:
        InputError: the suite is not one, or one of its parameters is out of range.
        StoreError: the store is foreign or cannot be written.
    """
    folder = str(Path(plugin_folder).resolve()) if plugin_folder else ""
    plugins.load_entry_points()
    plugins.load_folder(folder)
    chosen = suite if isinstance(suite, Suite) else load_suite(suite)
    told, result, where = progress or Progress(), Run(), provenance()
    with Store(store, write=True) as records, Server(memory=memory) as server:
        server.preload(networks=sorted({spec.network for spec in chosen.instances}))
        told.surveying(len(chosen.instances))
        surveys = _survey_all(server, chosen, folder, jobs, result, told)
        for found in surveys.values():
            records.add_instance(found.info)
        cells = list(_cells(chosen, surveys))
        server.preload(networks=[], solvers=_pairs(cells))
        ended = records.statuses()
        todo = [cell for cell in cells if _wanted(ended.get(cell.key(where)), rerun_failed)]
        result.resumed = len(cells) - len(todo)
        told.begin(len(cells), result.resumed)
        for outcome in server.run((_job(cell, where, folder) for cell in todo), workers=jobs):
            record = _record_of(outcome, where)
            records.add(record, replace=True)
            result.measured += 1
            result.statuses[record.status] = result.statuses.get(record.status, 0) + 1
            told.finished(record)
    return result


def _survey_all(
    server: Server, suite: Suite, folder: str, jobs: int, result: Run, progress: Progress
) -> dict[str, Survey]:
    """Surveys by the instance's name; what cannot be had here is left out and told."""
    requests = [Job("survey", survey_payload(spec, folder), spec) for spec in suite.instances]
    found = {}
    for outcome in server.run(requests, workers=jobs):
        spec, answer = outcome.job.tag, outcome.answer or {}
        if "survey" in answer:
            found[spec.name] = Survey.from_json(answer["survey"])
            continue
        if "refused" in answer:
            raise InputError(f"{spec.name}: {answer['refused']}")
        reason = answer.get("missing") or f"{outcome.status}: {outcome.reason}"
        result.left_out[spec.name] = reason
        progress.left_out(spec, reason)
    return found


def _cells(suite: Suite, surveys: dict[str, Survey]) -> Iterator[Cell]:
    """Every pair of an instance and a solver that can be brought to it, replicate by replicate."""
    for seed, spec, solver in itertools.product(range(suite.seeds), suite.instances, suite.solvers):
        if spec.name in surveys and surveys[spec.name].suits(solver.name):
            budget = (suite.seconds, suite.restarts, suite.evaluations, suite.threads)
            yield Cell(suite.name, spec, surveys[spec.name], solver, seed, *budget)


def _pairs(cells: list[Cell]) -> list[tuple[str, str]]:
    """Solvers of the package with the shapes that they will meet; strangers' code never enters the server."""
    pairs = {(cell.solver.name, shape) for cell in cells for shape in cell.survey.shapes}
    return sorted((name, shape) for name, shape in pairs if _is_ours(name))


def _is_ours(name: str) -> bool:
    return solvers.get(name).search.__module__.startswith("qubopress.solvers.")


def _wanted(status: str | None, rerun_failed: bool) -> bool:
    """Whether a cell of this stored status is to be run."""
    settled = (*RANKED, str(Status.INFEASIBLE), str(Status.SKIPPED))
    return status is None or (rerun_failed and status not in settled)


def _job(cell: Cell, where: Provenance, folder: str) -> Job:
    return Job("cell", cell_payload(cell, where, folder), cell)


def _record_of(outcome: Outcome, where: Provenance) -> Record:
    """The record that the cell sent, if it is the record of that cell; else why there is none."""
    cell: Cell = outcome.job.tag
    if outcome.answer is None:
        return failed(cell, where, Status(outcome.status), outcome.reason, wall=outcome.wall)
    try:
        record = Record.from_json(str(outcome.answer.get("record")))
    except RecordError as error:
        return failed(cell, where, Status.FAILED, f"the cell sent no record: {error}", wall=outcome.wall)
    if record.cell != cell.key(where):
        return failed(cell, where, Status.FAILED, "the cell sent another cell's record", wall=outcome.wall)
    return record
