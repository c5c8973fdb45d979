"""verify: build every instance again and recompute each stored number from the stored bits."""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ... import problems, solvers
from ...problems import InputError, Instance, Task
from ...problems.cache import kept_in
from ...problems.errors import one_line
from ...results import RANKED, InstanceInfo, Record, Stage, Store, unpack
from ...results.storage.record import STORED_BYTES
from .. import plugins
from ..harness.cell import Cell
from ..harness.network_metrics import measures_of, metric_of
from ..harness.provenance import provenance
from ..harness.survey import Survey, survey
from ..spec import InstanceSpec, SolverSpec
from .plausibility import NO_CHOICE, beyond_its_solver, implausible, unknown_solver

__all__ = ["Falsehood", "Judge", "claims", "close", "judge", "one_thread", "room_of", "verify"]

LIED = "LIED"
"""The ending of a row that is never ranked."""

TOLERANCE = 1e-6
"""Relative difference that another BLAS or another processor may make to a loss, its constant left out, where
a network is behind the instance; a solution is judged alike. Others are the same on every machine."""

SAME = 1e-12
"""Relative difference of sums over the same numbers, where their instance has no resolution of its own."""

BROKEN = 1e-9
"""Difference of two violations that are the same."""

METRIC_TOLERANCE = 0.004
"""Difference of a metric: a sample or two on the border between two classes."""

MEASURE_TOLERANCE = 0.02
"""Relative difference of any other measure; a fine-tune by gradients multiplies what rounding changes."""

LATER = frozenset({STORED_BYTES})
"""Measures that records have not had from the beginning: one without them is old, not false."""

VERSIONS = 100
"""Versions of a formulation by which a key is tried, to tell another version from other content."""


@dataclass(frozen=True)
class Falsehood:
    """A record that does not hold here: which, and what is wrong.

    Attributes:
        record: the record.
        reason: what is wrong, in one line.
        elsewhere: whether it may hold where it was made: this machine lacks the data or the plug-in, or has
            another version of the formulation.
    """

    record: Record
    reason: str
    elsewhere: bool = False


class _Elsewhere(Exception):  # noqa: N818 - a verdict, not an error
    """The instance of a record cannot be built here."""


def verify(
    store: str | Path, *, plugin_folder: str | Path = "", pieces: Path | None = None
) -> Iterator[tuple[Record, Falsehood | None]]:
    """Every record that claims a result, in order, with what is false in it or None; others that are false.

    Parameters:
        store: of the records.
        plugin_folder: of the solvers and problems that they need.
        pieces: see `judge`.

    Raises:
        StoreError: the store is missing, foreign or damaged.
    """
    falsehood_of = judge(store, plugin_folder=plugin_folder, pieces=pieces)
    with Store(store) as records:
        for record in records.records():
            falsehood = falsehood_of(record)
            if claims(record) or falsehood is not None:
                yield record, falsehood


def claims(record: Record) -> bool:
    """Whether a record claims a result; one that LIED claims nothing any more, whatever is in it."""
    result = record.status in RANKED or record.loss is not None or record.metric is not None
    return result and record.status != LIED


def judge(store: str | Path, *, plugin_folder: str | Path = "", pieces: Path | None = None) -> Judge:
    """Who says what is false in a record of this store.

    Parameters:
        store: of the records.
        plugin_folder: of the solvers and problems that they need.
        pieces: folder for what is measured, which holds what the caller had judged and nothing older; one of
            its own where None.

    Raises:
        StoreError: the store is missing, foreign or damaged.
    """
    plugins.load_entry_points()
    plugins.load_folder(str(Path(plugin_folder).resolve()) if plugin_folder else "")
    with Store(store) as records:
        return Judge(records.instances(), pieces)


@dataclass(frozen=True)
class _Recomputed:
    """What a record's bits have on its instance, built anew.

    Attributes:
        loss, violation, metric, measures: as in the record.
        stages: loss, violation and room of each stage.
        room: how far the stored loss may lie from this one.
        noise: the part of it that is the instance's resolution.
        offset: the part of the loss that is a constant.
        settled: whether the instance leaves no choice.
    """

    loss: float
    violation: float
    stages: tuple[tuple[float, float, float], ...]
    metric: float | None
    measures: dict[str, float]
    room: float
    noise: float
    offset: float
    settled: bool


class Judge:
    """Says what is false in a record, and retells one that holds with the numbers that were recomputed.

    Instances are built anew, from no piece that was kept before, each piece once; so is what the same bits
    of one instance have, as many solvers end in the same.
    """

    def __init__(self, infos: list[InstanceInfo], pieces: Path | None = None) -> None:
        self._infos = {info.key: info for info in infos}
        self._true: dict[str, InstanceInfo] = {}
        self._faults: dict[str, str] = {}
        self._recomputed: dict[str, _Recomputed] = {}
        self._known: dict[tuple[str, tuple[Stage, ...]], _Recomputed] = {}
        self._pieces = pieces or Path(tempfile.mkdtemp(prefix="qubopress-"))
        if pieces is None:
            weakref.finalize(self, shutil.rmtree, self._pieces, ignore_errors=True)

    def __call__(self, record: Record) -> Falsehood | None:
        """What is false in the record, None where it holds. One that LIED is believed to have."""
        info = self._infos.get(record.instance_key)
        self._recomputed.clear()
        try:
            if record.status == LIED:
                return None
            reason = implausible(record, info)
            if not reason and info is not None and claims(record):
                with one_thread(), kept_in(self._pieces):
                    reason = self._replayed(record, info) or beyond_its_solver(record)
            if not reason and (unknown := unknown_solver(record)):
                return Falsehood(record, unknown, elsewhere=True)
        except _Elsewhere as error:
            return Falsehood(record, str(error), elsewhere=True)
        except Exception as error:
            # Whatever a stranger's store holds, the other records are still to be checked.
            reason = f"its bits cannot be replayed: {one_line(error)}"
        return Falsehood(record, reason) if reason else None

    def retold(self, record: Record) -> Record:
        """The record that was judged last, with every number as it was recomputed."""
        found = self._recomputed.get(record.cell)
        if found is None:
            return record
        stages = tuple(
            replace(stage, loss=loss, violation=violation)
            for stage, (loss, violation, _) in zip(record.stages, found.stages, strict=True)
        )
        moved = found.loss - record.loss if record.loss is not None else 0.0
        return replace(
            record,
            loss=found.loss,
            energy=None if record.energy is None else record.energy + moved,
            violation=found.violation,
            metric=found.metric,
            measures=found.measures,
            stages=stages,
            **_ending_at(record, found.loss),
        )

    def described(self, info: InstanceInfo) -> InstanceInfo:
        """An instance's description as it was recomputed, as it is where none of its records was judged."""
        return self._true.get(info.key, info)

    def _replayed(self, record: Record, info: InstanceInfo) -> str:
        """What the instance, built anew, says of a record and of its stored description."""
        spec, task = _rebuilt(info)
        if spec.key(task) != info.key:
            return _another_version(info, spec, task)
        found = self._found(record, spec, task)
        if info.key not in self._faults:
            true = survey(spec, given=lambda stage, _: _bits(record, stage)).info
            self._true[info.key], self._faults[info.key] = true, _misdescribed(info, true, spec, found)
        self._recomputed[record.cell] = found
        return self._faults[info.key] or _misstated(record, found) or _other_key(record, info, spec)

    def _found(self, record: Record, spec: InstanceSpec, task: Task) -> _Recomputed:
        """What the record's bits have; the same ones are replayed once."""
        # Losses are compared and not replayed, so two records that lie unlike each other share the work.
        bits = tuple(replace(stage, loss=None, violation=None) for stage in record.stages)
        key = record.instance_key, bits
        if key not in self._known:
            self._known[key] = _recompute(record, spec, task)
        return self._known[key]


def close(a: float, b: float, *, room: float = 0.0) -> bool:
    """Whether two finite losses are the same but for `room`."""
    return abs(a - b) <= max(room, SAME * min(abs(a), abs(b)))


def room_of(spec: InstanceSpec, instance: Instance, loss: float) -> float:
    """How far a loss may lie from the one recomputed here, as a solution is judged: its constant left out."""
    size = min(abs(loss), abs(loss - instance.offset))
    return 10 * instance.resolution + (TOLERANCE * size if spec.network else 0.0)


@contextmanager
def one_thread() -> Iterator[None]:
    """As the cells built their instances; on a busy machine more threads take many times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _rebuilt(info: InstanceInfo) -> tuple[InstanceSpec, Task]:
    """The spec and the task of an instance, if this machine can have them."""
    try:
        spec = InstanceSpec.from_record(info.problem, info.network, info.parameters)
        task = spec.task()
    except InputError as error:
        raise _Elsewhere(str(error)) from None
    return spec, task


def _another_version(info: InstanceInfo, spec: InstanceSpec, task: Task) -> str:
    """Why the key of an instance is another one here."""
    for version in range(1, VERSIONS):
        if spec.key(task, version=version) == info.key:
            here = problems.get(spec.problem).version
            raise _Elsewhere(f"it was made by version {version} of {spec.problem}, here is version {here}")
    return "its instance is another one here: weights, data or parameters differ"


def _misdescribed(info: InstanceInfo, true: InstanceInfo, spec: InstanceSpec, found: _Recomputed) -> str:
    """What is wrong with the stored sizes and baseline, by which every record of the instance is scored."""
    for name in ("name", "family", "variables", "stage_variables", "metric_name", "higher_is_better"):
        if getattr(info, name) != getattr(true, name):
            return f"its instance's stored {name} is {getattr(info, name)}, it has {getattr(true, name)}"
    for stored, loss in zip(_losses(info), _losses(true), strict=True):
        size = min(abs(loss), abs(loss - found.offset)) if spec.network else 0.0
        if not close(stored, loss, room=found.noise + TOLERANCE * size):
            return f"its instance's stored baseline loss is {stored}, the baseline has {loss:.12g}"
    for name in ("baseline_metric", "float_metric"):
        if not _metric_close(getattr(info, name), getattr(true, name)):
            return f"its instance's stored {name} is {getattr(info, name)}, it has {getattr(true, name)}"
    return ""


def _losses(info: InstanceInfo) -> tuple[float, ...]:
    return info.baseline_loss, *info.stage_losses


def _recompute(record: Record, spec: InstanceSpec, task: Task) -> _Recomputed:
    """Answer the formulation's stages with the stored bits."""
    stages: list[tuple[float, float, float]] = []
    judged: list[tuple[float, float, float, float, float]] = []
    settled = True

    def decide(stage: int, instance: Instance) -> Any:
        nonlocal settled
        x = _bits(record, stage)
        _same_size(record.stages[stage].variables, instance.free, stage)
        loss, violation = instance.loss(x), instance.violation(x)
        room = room_of(spec, instance, loss)
        stages.append((loss, violation, room))
        if spec.judged(instance):
            judged.append((loss, violation, room, 10 * instance.resolution, instance.offset))
            settled = settled and (instance.settled or not instance.free)
        return x

    network = spec.drive(task, decide)
    if len(stages) != len(record.stages):
        raise InputError(f"it has {len(record.stages)} stages, and the instance {len(stages)}")
    # As a cell adds them up, from the first stage to the last.
    loss, violation, room, noise, offset = (sum(parts) for parts in zip(*judged, strict=True))
    metric, measures = metric_of(spec, task, network), measures_of(spec, task, network)
    return _Recomputed(loss, violation, tuple(stages), metric, measures, room, noise, offset, settled)


def _same_size(stored: int, free: int, stage: int) -> None:
    if stored != free:
        raise InputError(f"stage {stage} has {free} free variables, the record says {stored}")


def _misstated(record: Record, found: _Recomputed) -> str:
    """A stored number that the bits do not have."""
    compared = [("loss", record.loss, found.loss, found.room)]
    compared.append(("violation", record.violation, found.violation, BROKEN))
    for position, (stage, true) in enumerate(zip(record.stages, found.stages, strict=True)):
        loss, violation, room = true
        compared.append((f"loss of stage {position}", stage.loss, loss, room))
        compared.append((f"violation of stage {position}", stage.violation, violation, BROKEN))
    for name, stored, here, room in compared:
        if stored is None or not close(stored, here, room=room):
            return f"stored {name} is {stored}, the bits have {here:.12g}"
    if not _metric_close(record.metric, found.metric):
        return f"stored {record.metric_name} is {record.metric}, the decoded network has {found.metric}"
    return _mismeasured(record.measures, found.measures) or _overstated(record, found)


def _other_key(record: Record, info: InstanceInfo, spec: InstanceSpec) -> str:
    """The key of a cell holds suite, instance, solver, parameters, seed, budget and code: it tells renaming.

    Only the same code on the same libraries makes the same key, so others' are believed.
    """
    here = provenance()
    solver = SolverSpec.of_record(record.solver, record.parameters)
    if record.commit != here.commit or here.commit.endswith("+") or solver.name not in solvers.names():
        return ""
    cell = Cell(record.suite, spec, Survey(info, ()), solver, record.seed, record.budget)
    if record.versions != here.beside(cell.libraries).versions or cell.key(here) == record.cell:
        return ""
    return "its key is that of another suite, solver, parameters, seed or budget"


def _ending_at(record: Record, loss: float) -> dict[str, Any]:
    """The course of a record that falls to a loss which is another one by rounding."""
    last = len(record.trace) - 1
    kept = [place for place, (_, before) in enumerate(record.trace) if before > loss or place == last]
    trace = tuple(
        (record.trace[place][0], loss if place == last else record.trace[place][1]) for place in kept
    )
    return {
        "trace": trace,
        "trace_work": tuple(record.trace_work[place] for place in kept if record.trace_work),
    }


def _mismeasured(stored: dict[str, float], true: dict[str, float]) -> str:
    """A measure of the network that is missing, or is another one here; records of before have not all."""
    for name in sorted(stored.keys() | (true.keys() - LATER)):
        here, there = true.get(name, math.nan), stored.get(name, math.nan)
        room = MEASURE_TOLERANCE * abs(here) + METRIC_TOLERANCE
        if here != there and not abs(here - there) <= room:
            return f"stored {name} is {there:g}, the decoded network has {here:g}"
    return ""


def _overstated(record: Record, found: _Recomputed) -> str:
    """A bound or an ending that the true numbers contradict."""
    loss, room = found.loss, max(found.room, SAME * abs(found.loss))
    if record.bound is not None and not record.bound <= loss + room:
        return f"stored bound is {record.bound}, above the loss {loss:.12g} of its own bits"
    if record.status == "OPTIMAL" and (record.bound is None or record.bound < loss - room):
        return f"it ended OPTIMAL, and its bound is {record.bound}, not the loss {loss:.12g}"
    if record.status in RANKED and found.violation > 0:
        return f"it ended {record.status}, and its bits break a constraint by {found.violation:.6g}"
    if record.adapter.startswith(NO_CHOICE) and not found.settled:
        return f"its adapter is {record.adapter!r}, and the instance leaves a choice"
    met = record.bound is not None and record.loss is not None and record.bound >= record.loss
    if met and record.status in ("BUDGET", "FINISHED") and len(record.stages) == 1:
        return f"it ended {record.status}, and its bound {record.bound} is its loss: that is OPTIMAL"
    return ""


def _bits(record: Record, stage: int) -> Any:
    """The stored bits of a stage."""
    if stage >= len(record.stages):
        raise InputError(f"it has {len(record.stages)} stages, and the instance has more")
    kept = record.stages[stage]
    assert kept.bits is not None
    return unpack(kept.bits, kept.shape)


def _metric_close(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return abs(a - b) <= METRIC_TOLERANCE
