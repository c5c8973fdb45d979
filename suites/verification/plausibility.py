"""What a record says of itself, held against itself and what is known of its solver.

Nothing is built for it: impossible numbers, names that disagree, endings that the numbers contradict. The
table in docs/scoring.md says of each field how it is checked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from ... import solvers
from ...problems import InputError
from ...results import RANKED, InstanceInfo, Record
from ...results.storage.names import unfit
from ...solvers import Entry
from ..spec import SolverSpec

__all__ = [
    "BEGINNING",
    "NO_CHOICE",
    "PATIENCE",
    "beyond_its_solver",
    "implausible",
    "unknown_solver",
]

BEGINNING = datetime(2025, 1, 1, tzinfo=UTC)
"""Nothing was measured before there was a suite."""

PATIENCE = timedelta(days=1)
"""How far a clock may be ahead of ours."""

MOST_POINTS = 10_000
"""Most improvements of a trace: each has cost its solver an offer, and long honest ones have hundreds."""

MOST_BYTES = 2**50
"""More memory than any machine of ours has."""

CLOCK = 1e-3
"""Seconds by which two looks at one clock may differ."""

SLACK = 0.01
"""Share of a budget by which a search may end early and still have used it."""

EARLY = 0.01
"""Seconds by which the clock of a foreign solver may be ahead of ours: it is told beforehand when to end."""

ROOM = 1e-9
"""Relative difference that another order of the same sum may make."""

WITHOUT_BITS = ("SKIPPED", "TIMEOUT", "MEMORY", "CRASHED", "FAILED")
"""Endings that leave no result."""

ALSO_PROVE = ("layer-dp",)
"""Solvers that are not exact, and yet prove an optimum where the layers of an instance do not meet."""

NO_CHOICE = "no free variable"
"""The adapter of an instance with one solution, which is optimal whoever found it."""


def implausible(record: Record, info: InstanceInfo | None) -> str:
    """What is wrong with a record, in one line, as far as nothing must be built to see it; "" for nothing."""
    return _misnamed(record, info) or next((fault for check in _CHECKS if (fault := check(record))), "")


def unknown_solver(record: Record) -> str:
    """Why its solver cannot be looked at here, "" where it can."""
    try:
        solvers.get(_solver_of(record)).settings(record.parameters)
    except InputError as error:
        return f"its solver is another one here: {error}"
    return ""


def _solver_of(record: Record) -> str:
    """The name in the registry: an executable goes by its own."""
    return SolverSpec.of_record(record.solver, record.parameters).name


def _misnamed(record: Record, info: InstanceInfo | None) -> str:
    """Names that a record and its instance's description say differently."""
    if info is None:
        return "its instance is not described in the store"
    for name in ("problem", "network", "family", "metric_name"):
        if getattr(record, name) != getattr(info, name):
            return f"stored {name} is {getattr(record, name)}, its instance has {getattr(info, name)}"
    if record.instance != info.name:
        return f"stored instance is {record.instance}, its instance is named {info.name}"
    return ""


def _ill_named(record: Record) -> str:
    fault = unfit(record.suite)
    return f"the name of its suite {fault}" if fault else ""


def _unprovenanced(record: Record) -> str:
    if not re.fullmatch(r"[0-9a-f]{7,40}\+?|v\d[\w.]*", record.commit):
        return f"its commit must be a hash or a version of ours, got {record.commit!r}"
    if not record.machine.strip():
        return "its machine must be named, got nothing"
    if not BEGINNING <= datetime.fromisoformat(record.finished_at) <= datetime.now(UTC) + PATIENCE:
        return f"it must have finished by now and after {BEGINNING:%Y}, got {record.finished_at}"
    return ""


def _unlimited(record: Record) -> str:
    """A budget that no cell can have had."""
    if not record.budget.bounded:
        return "it must have had a budget or fixed work, and has neither"
    if record.budget_seconds is not None and not 0 < record.budget_seconds < math.inf:
        return f"its budget must be positive and finite, got {record.budget_seconds} s"
    limits = {"restarts": 1, "evaluations": 1, "threads": 1, "seed": 0}
    for name, least in limits.items():
        value = getattr(record, name)
        if value is not None and value < least:
            return f"its {name} must be at least {least}, got {value}"
    return ""


def _without_bits(record: Record) -> str:
    """What a record lacks that claims a result."""
    result = record.status in RANKED or record.loss is not None or record.metric is not None
    if result and (
        record.loss is None or not record.stages or any(one.bits is None for one in record.stages)
    ):
        return "it claims a result without the bits that have it"
    return ""


def _not_finite(record: Record) -> str:
    if record.bound is not None and not math.isfinite(record.bound):
        return f"stored bound is {record.bound}, above the loss or no number"
    numbers = {name: getattr(record, name) for name in ("loss", "energy", "violation", "metric")}
    for position, stage in enumerate(record.stages):
        numbers |= {
            f"loss of stage {position}": stage.loss,
            f"violation of stage {position}": stage.violation,
        }
    for name, value in (numbers | record.measures).items():
        if value is not None and not math.isfinite(value):
            return f"stored {name} must be finite, got {value}"
    return ""


def _untimely(record: Record) -> str:
    """Times that no clock can have shown: 0 ≤ trace ≤ seconds ≤ wall."""
    for name in ("seconds", "wall_seconds"):
        value = getattr(record, name)
        if value is not None and not 0 <= value < math.inf:
            return f"its {name} must be finite and at least 0, got {value}"
    seconds, wall = record.seconds, record.wall_seconds
    if record.status in RANKED and (seconds is None or wall is None):
        return f"it ended {record.status}, and its times are missing"
    if seconds is not None and wall is not None and seconds > wall + CLOCK:
        return f"its search took {seconds} s, more than the whole cell's {wall} s"
    return _ill_traced(record)


def _ill_traced(record: Record) -> str:
    """A trace that is not improvements one after the other, the last of them the result."""
    if len(record.trace) > MOST_POINTS:
        return f"its trace must have at most {MOST_POINTS} improvements, got {len(record.trace)}"
    if not all(math.isfinite(number) for point in record.trace for number in point):
        return "its trace must be finite numbers"
    end = math.inf if record.seconds is None else record.seconds + CLOCK
    times = [0.0, *(seconds for seconds, _ in record.trace), end]
    if any(later < earlier for earlier, later in pairwise(times)):
        return f"its trace must lie between 0 and its {record.seconds} s, in order of time"
    if any(later >= earlier for (_, earlier), (_, later) in pairwise(record.trace)):
        return "its trace must fall with every improvement"
    if record.trace and (record.loss is None or not _same(record.trace[-1][1], record.loss)):
        return f"stored trace ends at {record.trace[-1][1]}, the loss is {record.loss}"
    return ""


def _ill_worked(record: Record) -> str:
    """Work beside the trace that is not counted up to what the cell counted in all."""
    if not record.trace_work and not record.work_unit:
        return ""
    if len(record.trace_work) != len(record.trace):
        beside = f"{len(record.trace)} improvements, got {len(record.trace_work)}"
        return f"its trace_work must have a count for each of its {beside}"
    if record.work_unit not in record.counts:
        counted = ", ".join(sorted(record.counts)) or "nothing"
        return f"its work_unit must be one of its counts, got {record.work_unit!r}; it counted {counted}"
    total = record.counts[record.work_unit]
    if any(later < earlier for earlier, later in pairwise([0, *record.trace_work, total])):
        return f"its trace_work must count up from 0 to its {total} {record.work_unit}"
    return ""


def _impossible_work(record: Record) -> str:
    if record.peak_bytes is not None and not 0 < record.peak_bytes <= MOST_BYTES:
        return f"its peak_bytes must lie in [1, {MOST_BYTES}], got {record.peak_bytes}"
    negative = next((name for name, number in record.counts.items() if number < 0), None)
    return f"its count of {negative} must be at least 0, got {record.counts[negative]}" if negative else ""


def _contradicted(record: Record) -> str:
    """An ending that the record's own numbers contradict."""
    if record.status == "TARGET":
        return "it ended TARGET, and no cell of a suite has a target"
    if record.status in WITHOUT_BITS and (record.loss, record.metric, record.bound) != (None, None, None):
        return f"it ended {record.status}, and yet has a result"
    if record.status == "INFEASIBLE" and not (record.violation or 0) > 0:
        return "it ended INFEASIBLE, and breaks no constraint"
    return _unlike_its_time(record)


def _unlike_its_time(record: Record) -> str:
    """BUDGET before the budget was used, FINISHED long after; parts of a search have budgets of their own."""
    budget, seconds = record.budget_seconds, record.seconds
    if budget is None or seconds is None:
        return ""
    whole = not record.adapter and record.evaluations is None and len(record.stages) == 1
    if record.status == "BUDGET" and whole and seconds < (1 - SLACK) * budget - EARLY:
        return f"it ended BUDGET after {seconds} s of {budget} s"
    if record.status == "FINISHED" and seconds > (1 + SLACK) * budget + 0.5:
        return f"it ended FINISHED after {seconds} s, with {budget} s to do it"
    return ""


def beyond_its_solver(record: Record) -> str:
    """What its solver cannot have done, where it is known here; "" for nothing."""
    if _solver_of(record) not in solvers.names() or record.status not in RANKED:
        return ""
    entry = solvers.get(_solver_of(record))
    settled = record.adapter.startswith(NO_CHOICE)
    if record.status == "OPTIMAL" and not (entry.exact or entry.name in ALSO_PROVE or settled):
        return f"it ended OPTIMAL, and {entry.name} can prove nothing"
    if record.anytime and not entry.anytime:
        return f"its trace may not be cut: the path of {entry.name} depends on the budget"
    return _other_energy(record, entry)


def _other_energy(record: Record, entry: Entry) -> str:
    """An energy that is not the loss where there are no penalties."""
    if record.loss is None or record.energy is None:
        lost = record.loss is not None or record.energy is not None
        return f"stored energy is {record.energy}, the loss is {record.loss}" if lost else ""
    if entry.capacity != "penalty" and not _same(record.energy, record.loss):
        return f"stored energy is {record.energy}, and without penalties it is the loss {record.loss}"
    return ""


def _same(a: float, b: float) -> bool:
    """Whether two sums of the same numbers are one."""
    return abs(a - b) <= ROOM * max(abs(a), abs(b)) + 1e-12


_CHECKS: tuple[Callable[[Record], str], ...] = (
    _ill_named,
    _unprovenanced,
    _unlimited,
    _without_bits,
    _not_finite,
    _untimely,
    _ill_worked,
    _impossible_work,
    _contradicted,
)
