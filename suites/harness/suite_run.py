"""The harness: survey a suite's instances, run its cells, commit each record as it comes."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ... import problems, solvers
from ...problems import InputError, MissingDataError
from ...problems.arrays import count
from ...results import Record, RecordError, Store
from ...results.scoring.references import load_references
from ...results.storage.record import RANKED
from ...solvers import Status
from .. import plugins
from ..finished import wanted
from ..suite import Suite
from ..suite import load as load_suite
from .cell import Cell, failed
from .executor import Executor, Job, JobOutcome, address_of
from .provenance import Provenance, provenance
from .supervisor import Supervisor
from .survey import SHAPES, Survey
from .wire import cell_request, survey_request

__all__ = ["Progress", "Run", "job_of", "record_of", "run", "warm_pairs"]


MOST_JOBS, LEAST_MEMORY = 4096, 1 << 20
"""Cells at a time, and bytes of a cap, that nobody can have meant to go beyond."""


class Progress:
    """What a run tells while it goes; the default tells nobody."""

    def surveying(self, count: int) -> None:
        """`count` instances are about to be built."""

    def surveyed(self, name: str) -> None:
        """One of them is, or cannot be."""

    def left_out(self, name: str, reason: str) -> None:
        """An instance cannot be built here."""

    def begin(self, total: int, done: int) -> None:
        """`total` cells in all, of which `done` are in the store already."""

    def started(self, cell: str) -> None:
        """A cell is begun: its solver, its instance, its replicate."""

    def finished(self, record: Record) -> None:
        """A cell is in the store."""


@dataclass
class Run:
    """What a run came to: cells measured now and found in the store, all keys, instances left out."""

    measured: int = 0
    resumed: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    cells: tuple[str, ...] = ()


def run(
    suite: Suite | str | Path,
    *,
    store: str | Path = "results.db",
    jobs: int = 1,
    memory: int | None = None,
    executor: str = "local",
    plugin_folder: str | Path = "",
    rerun_failed: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Run a suite's cells that the store lacks, each in its own process, and commit each record at once.

    Parameters:
        suite: a Suite, a built-in's name, or the path of a TOML file.
        store: database that the records go to; made if it is not there.
        jobs: cells at a time on this machine. Times of rows that had no cores of their own are no comparison.
        memory: bytes at which a cell is killed, None without a cap.
        executor: "local", or "dask://HOST:PORT" for the workers of a Dask scheduler.
        plugin_folder: folder of Python files with more solvers and problems.
        rerun_failed: run again the cells that were killed, died or failed.

    Raises:
        InputError: jobs or memory is none, the suite is not one, one of its parameters is out of range, a
            solver or problem in it is registered in this process alone, where cells cannot find it, or there
            is no such executor.
        StoreError: the store is foreign or cannot be written.
        ServerError: the process that forks the cells died.
    """
    jobs = count(jobs, name="jobs", low=1, high=MOST_JOBS)
    memory = None if memory is None else count(memory, name="memory", low=LEAST_MEMORY)
    folder = str(Path(plugin_folder).resolve()) if plugin_folder else ""
    plugins.load_entry_points()
    plugins.load_folder(folder)
    chosen = suite if isinstance(suite, Suite) else load_suite(suite)
    _refuse_homeless(chosen)
    told, result, where = progress or Progress(), Run(), provenance()
    there = _executor(executor, memory=memory)
    with Store(store, write=True) as records, there as server:
        server.preload(specs=[vars(spec) for spec in chosen.instances])
        told.surveying(len(chosen.instances))
        pieces: set[str] = set()
        surveys = _survey_all(server, chosen, folder, jobs, result, told, pieces)
        for found in surveys.values():
            records.add_instance(found.info)
        cells = list(_cells(chosen, surveys))
        server.preload(solvers=warm_pairs(cells), pieces=sorted(pieces))
        ended = records.statuses()
        todo = [cell for cell in cells if wanted(ended.get(cell.key(where)), rerun_failed)]
        result.resumed, result.cells = len(cells) - len(todo), tuple(cell.key(where) for cell in cells)
        records.resume(set(result.cells) - {cell.key(where) for cell in todo}, where.commit)
        told.begin(len(cells), result.resumed)
        bounds = _Bounds(records, surveys.values())
        with _Claims(store) as claims:
            for wait in (False, True):
                # What another run is at comes last, one at a time: no wait keeps a cell from its deadline.
                claimed = claims.of(todo, wait, lambda cell: records.status(cell.key(where)), ended, where)
                given = (job_of(cell, where, folder) for cell in _told(claimed, told))
                for outcome in server.run(given, workers=1 if wait else jobs):
                    record = bounds.held(record_of(outcome, where))
                    records.add(record, replace=True)
                    bounds.note(record)
                    result.measured += 1
                    result.statuses[record.status] = result.statuses.get(record.status, 0) + 1
                    told.finished(record)
            result.resumed += len(todo) - result.measured
    return result


def _told(cells: Iterable[Cell], progress: Progress) -> Iterator[Cell]:
    """The cells, each told when it is asked for, which is when it begins."""
    for cell in cells:
        progress.started(cell.name)
        yield cell


class _Claims:
    """Which cells this run is at, so that another on the same store leaves them alone. A context manager.

    A claim is a lock on one byte of a file that no other process can have at the same time; it ends with this
    process, however that ends.
    """

    def __init__(self, store: str | Path) -> None:
        name = hashlib.sha256(str(Path(store).resolve()).encode()).hexdigest()[:16]
        self._path = Path(tempfile.gettempdir(), f"qubopress-{os.getuid()}-{name}.lock")
        self._ended: set[str] = set()

    def __enter__(self) -> Self:
        self._file = self._path.open("ab")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def of(
        self,
        cells: list[Cell],
        wait: bool,
        status: Callable[[Cell], str | None],
        ended: dict[str, str],
        where: Provenance,
    ) -> Iterator[Cell]:
        """The cells that no other run is at, or has ended since this one looked."""
        for cell in cells:
            key = cell.key(where)
            if key in self._ended or not self._claimed(key, wait):
                continue
            self._ended.add(key)
            if status(cell) == ended.get(key):
                yield cell

    def _claimed(self, key: str, wait: bool) -> bool:
        how = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.lockf(self._file, how, 1, int(key[:15], 16))
        except OSError:
            return False
        return True


class _Bounds:
    """Holds every claimed bound against the lowest bits that anybody has for its instance.

    Those are the cells of the store, those of this run as they come, and the references.
    """

    def __init__(self, records: Store, surveys: Iterable[Survey]) -> None:
        self._records = records
        self._baselines = {one.info.key: one.info.baseline_loss for one in surveys}
        self._lowest = {key: loss for key, loss in load_references().losses.items() if key in self._baselines}
        self._claimed: dict[str, dict[str, float]] = {}
        table = records.frame()
        for row in table[table["instance_key"].isin(list(self._baselines))].itertuples():
            feasible = row.status in RANKED and row.violation == 0
            self._take(row.cell, row.instance_key, row.loss if feasible else None, row.bound)

    def _take(self, cell: str, key: str, loss: float | None, bound: float | None) -> None:
        if loss is not None and loss < self._lowest.get(key, math.inf):
            self._lowest[key] = loss
        if bound is not None and math.isfinite(bound):
            self._claimed.setdefault(key, {})[cell] = bound

    def _refuted(self, key: str, bound: float | None) -> bool:
        low = self._lowest.get(key, math.inf)
        # Offsets say nothing of how far losses are apart; the way from the baseline does.
        room = 1e-6 * abs(self._baselines.get(key, low) - low) + 1e-9 * abs(low)
        return bound is not None and bound > low + room

    def held(self, record: Record) -> Record:
        """The record, LIED where bits are known that refute its bound."""
        key = record.instance_key
        if record.status not in RANKED or not self._refuted(key, record.bound):
            return record
        why = f"claimed bound {record.bound!r}, but bits of loss {self._lowest[key]!r} are known"
        return replace(record, status=str(Status.LIED), message=why)

    def note(self, record: Record) -> None:
        """Know a record's bits and bound; what they refute in the store is LIED from now on."""
        key, ranks = record.instance_key, record.status in RANKED and record.violation == 0
        self._take(record.cell, key, record.loss if ranks else None, record.bound if ranks else None)
        claimed = self._claimed.get(key, {})
        for cell in [cell for cell, bound in claimed.items() if self._refuted(key, bound)]:
            del claimed[cell]
            liar = self.held(self._records.record(cell))
            self._records.add(liar, replace=True)


def _executor(name: str, *, memory: int | None) -> Executor:
    address = address_of(name)
    if not address:
        return Supervisor(memory=memory)
    from .dask_cluster import Cluster

    return Cluster(address, memory=memory)


def _refuse_homeless(suite: Suite) -> None:
    """A cell's process imports what it needs, so everything must come from a file."""
    functions: dict[str, Callable[..., Any]] = {
        one.name: solvers.get(one.name).search for one in suite.solvers
    }
    functions |= {one.problem: problems.get(one.problem).generate for one in suite.instances}
    for name, function in functions.items():
        if plugins.source_of(function) is None:
            cure = "put it into a file of the plug-in folder, or behind an entry point"
            raise InputError(f"{name} must come from a file that cells can import; {cure}")


def _survey_all(
    server: Executor,
    suite: Suite,
    folder: str,
    jobs: int,
    result: Run,
    progress: Progress,
    pieces: set[str],
) -> dict[str, Survey]:
    """Surveys by the instance's label; what cannot be had here is left out and told.

    The keys of what the formulations measured come to `pieces`.

    Raises:
        InputError: a parameter is refused.
        MissingDataError: the data of every instance is missing, so there is nothing to run.
    """
    requests = [Job("survey", survey_request(spec), spec) for spec in suite.instances]
    found, missing = {}, set[str]()
    for outcome in server.run(requests, workers=jobs):
        spec, answer = outcome.job.tag, outcome.answer or {}
        progress.surveyed(spec.name)
        if "refused" in answer:
            raise InputError(f"suite {suite.name}: {spec.name}: {answer['refused']}")
        read = _survey_of(answer)
        if read is not None:
            found[spec.label] = read
            told = answer.get("pieces")
            pieces |= {one for one in told if isinstance(one, str)} if isinstance(told, list) else set()
            continue
        ended = f"{outcome.status or 'FAILED'} {outcome.reason or 'it sent no survey'}"
        reason = str(answer.get("missing") or answer.get("broken") or ended)
        result.left_out[spec.name] = reason
        missing |= {reason} if "missing" in answer else set()
    if missing and not found and missing == set(result.left_out.values()):
        raise MissingDataError("; ".join(sorted(missing)))
    for name, reason in result.left_out.items():
        progress.left_out(name, reason)
    return found


def _survey_of(answer: dict[str, Any]) -> Survey | None:
    """The survey in an answer, None where there is none; a stranger's formulation may send anything."""
    try:
        survey = Survey.from_json(answer["survey"])
    except (KeyError, TypeError, ValueError):
        return None
    return survey if set(survey.shapes) <= SHAPES.keys() else None


def _cells(suite: Suite, surveys: dict[str, Survey]) -> Iterator[Cell]:
    """Every pair of an instance and a solver that can be brought to it, replicate by replicate."""
    for seed, entering in enumerate(suite.rounds()):
        for spec, solver in itertools.product(suite.instances, entering):
            if spec.label in surveys and surveys[spec.label].suits(solver.name):
                yield Cell(suite.name, spec, surveys[spec.label], solver, seed, suite.budget)


def warm_pairs(cells: list[Cell]) -> list[tuple[str, str]]:
    """Solvers of the package with the shapes that they will meet; strangers' code never enters the server."""
    pairs = {(cell.solver.name, shape) for cell in cells for shape in cell.survey.shapes}
    pairs |= {(cell.spec.prepare, "Capacity") for cell in cells if cell.spec.prepare}
    return sorted((name, shape) for name, shape in pairs if plugins.source_of(solvers.get(name).search) == "")


def job_of(cell: Cell, where: Provenance, folder: str) -> Job:
    """What an executor is given for a cell."""
    stages = len(cell.survey.shapes)
    request = cell_request(cell, where, folder)
    return Job("cell", request, cell, seconds=cell.seconds, searches=stages, threads=cell.budget.threads)


def record_of(outcome: JobOutcome, where: Provenance) -> Record:
    """The record of a cell; what it says of its machine and its caps is what the executor says."""
    record = _believed(outcome, where)
    machine = outcome.machine or where.machine
    return replace(record, machine=machine, timing_grade=outcome.timing_grade, limits=outcome.limits)


def _believed(outcome: JobOutcome, where: Provenance) -> Record:
    """The record that the cell sent, if it is the record of that cell; else why there is none."""
    cell: Cell = outcome.job.tag
    if outcome.answer is None:
        return failed(cell, where, Status[outcome.status], outcome.reason, wall=outcome.wall)
    if "broken" in outcome.answer:
        return failed(cell, where, Status.FAILED, str(outcome.answer["broken"]), wall=outcome.wall)
    try:
        record = Record.from_json(str(outcome.answer.get("record")))
    except RecordError as error:
        return failed(cell, where, Status.FAILED, f"the cell sent no record: {error}", wall=outcome.wall)
    if record.cell != cell.key(where):
        reason = "the cell sent another cell's record; a plug-in's file may have changed meanwhile"
        return failed(cell, where, Status.FAILED, reason, wall=outcome.wall)
    return record
