"""Bench: measure cells on the spot, each in its own supervised process, and keep them in no store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd

from .. import solvers
from ..results import Record, RecordError
from ..results.scores import excess
from ..solvers import Status
from . import plugins
from .cell import Cell, failed
from .machine import provenance
from .processes import Job, Outcome, Server
from .spec import InstanceSpec
from .survey import Survey
from .wire import cell_request, survey_request

__all__ = ["Bench", "scored"]


class Bench:
    """A warm server to measure with. A context manager: leaving it ends every process.

    Parameters:
        plugin_folder: folder of Python files with more solvers and problems.
    """

    def __init__(self, plugin_folder: str | Path = "") -> None:
        self._folder = str(Path(plugin_folder).resolve()) if plugin_folder else ""
        self._where = provenance()
        self._server = Server()

    def __enter__(self) -> Self:
        self._running = self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)

    def survey(self, specs: Sequence[InstanceSpec]) -> dict[str, Survey | str]:
        """What must be known of each instance, by its label; or why it cannot be had."""
        self._running.preload(specs=[vars(spec) for spec in specs])
        jobs = [Job("survey", survey_request(spec, self._folder), spec) for spec in specs]
        return {one.job.tag.label: _survey_of(one) for one in self._running.run(jobs)}

    def measure(self, cells: Iterable[Cell]) -> list[Record]:
        """A record of each cell, in their order."""
        wanted = list(cells)
        pairs = {(cell.solver.name, shape) for cell in wanted for shape in cell.survey.shapes}
        # Strangers' code never enters the server.
        ours = [pair for pair in sorted(pairs) if plugins.source_of(solvers.get(pair[0]).search) == ""]
        self._running.preload(solvers=ours)
        return [self._record_of(outcome) for outcome in self._running.run(self._job(cell) for cell in wanted)]

    def _job(self, cell: Cell) -> Job:
        request = cell_request(cell, self._where, self._folder)
        stages = len(cell.survey.shapes)
        return Job("cell", request, cell, seconds=cell.seconds, searches=stages, threads=cell.threads)

    def _record_of(self, outcome: Outcome) -> Record:
        """The record that a cell sent; of one that sent none, a record of how it failed."""
        answer: dict[str, Any] = outcome.answer or {}
        status, reason = outcome.status or Status.FAILED, str(answer.get("broken", outcome.reason))
        if "record" in answer:
            try:
                return Record.from_json(str(answer["record"]))
            except RecordError as error:
                reason = f"the cell sent no record: {error}"
        return failed(outcome.job.tag, self._where, Status[status], reason, wall=outcome.wall)


def _survey_of(outcome: Outcome) -> Survey | str:
    answer = outcome.answer or {"broken": outcome.reason}
    if "survey" not in answer:
        return str(next(iter(answer.values())))
    try:
        return Survey.from_json(str(answer["survey"]))
    except (ValueError, KeyError, TypeError) as error:
        return f"the survey cannot be read: {error}"


def scored(
    records: Sequence[Record], surveys: Iterable[Survey], reference: dict[str, float] | None = None
) -> pd.DataFrame:
    """A row a record: `solver instance instance_key seed status loss metric excess message` and more.

    The excess is normalised: 1 is the baseline, 0 the reference of the instance's key, which is the lowest
    loss among these records where none is given.
    """
    columns = [
        "solver",
        "instance",
        "instance_key",
        "seed",
        "status",
        "message",
        "loss",
        "violation",
        "metric",
    ]
    frame = pd.DataFrame([[getattr(one, name) for name in columns] for one in records], columns=columns)
    frame = frame.astype(dict.fromkeys(("loss", "violation", "metric"), "float64"))
    baselines = {one.info.key: one.info.baseline_loss for one in surveys}
    frame["baseline_loss"] = frame["instance_key"].map(baselines).astype("float64")
    if reference is not None:
        frame["reference"] = frame["instance_key"].map(reference).astype("float64")
    frame["excess"] = excess(frame)
    return frame
