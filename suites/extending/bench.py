"""Bench: measure cells on the spot, each in its own supervised process, and keep them in no store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pandas as pd

from ...results import Record
from ...results.scoring.scores import excess
from ..harness.cell import Cell
from ..harness.executor import Job, JobOutcome
from ..harness.provenance import provenance
from ..harness.suite_run import job_of, record_of, warm_pairs
from ..harness.supervisor import Supervisor
from ..harness.survey import Survey
from ..harness.wire import survey_request
from ..spec import InstanceSpec

__all__ = ["Bench", "scored"]


class Bench:
    """A warm server to measure with. A context manager: leaving it ends every process.

    Parameters:
        plugin_folder: folder of Python files with more solvers and problems.
    """

    def __init__(self, plugin_folder: str | Path = "") -> None:
        self._folder = str(Path(plugin_folder).resolve()) if plugin_folder else ""
        self._where = provenance()
        self._server = Supervisor()

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
        jobs = [Job("survey", survey_request(spec), spec) for spec in specs]
        return {one.job.tag.label: _survey_of(one) for one in self._running.run(jobs)}

    def measure(self, cells: Iterable[Cell]) -> list[Record]:
        """A record of each cell, in their order."""
        wanted = list(cells)
        self._running.preload(solvers=warm_pairs(wanted))
        jobs = (job_of(cell, self._where, self._folder) for cell in wanted)
        return [record_of(outcome, self._where) for outcome in self._running.run(jobs)]


def _survey_of(outcome: JobOutcome) -> Survey | str:
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
