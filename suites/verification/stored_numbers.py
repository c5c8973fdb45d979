"""verify: build every instance again and recompute each stored number from the stored bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ... import problems
from ...problems import InputError, Instance, Task
from ...problems.errors import one_line
from ...results import RANKED, InstanceInfo, Record, Store, unpack
from .. import plugins
from ..harness.survey import survey
from ..spec import InstanceSpec

__all__ = ["Falsehood", "claims", "close", "judge", "verify"]

TOLERANCE = 1e-5
"""Relative difference that another BLAS or another processor may make to a loss."""

METRIC_TOLERANCE = 0.004
"""Difference of a metric: a sample or two on the border between two classes."""

MEASURE_TOLERANCE = 0.02
"""Relative difference of any other measure; a fine-tune by gradients multiplies what rounding changes."""

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


def verify(store: str | Path, *, plugin_folder: str | Path = "") -> Iterator[tuple[Record, Falsehood | None]]:
    """Every record that claims a result, in order, with what is false in it or None.

    Raises:
        StoreError: the store is missing, foreign or damaged.
    """
    falsehood_of = judge(store, plugin_folder=plugin_folder)
    with Store(store) as records:
        for record in records.records():
            if claims(record):
                yield record, falsehood_of(record)


def claims(record: Record) -> bool:
    """Whether a record claims a result, so that there is something to recompute."""
    return record.status in RANKED or record.loss is not None or record.metric is not None


def judge(store: str | Path, *, plugin_folder: str | Path = "") -> Callable[[Record], Falsehood | None]:
    """What is false in a record of this store, as a function of the record.

    Raises:
        StoreError: the store is missing, foreign or damaged.
    """
    plugins.load_entry_points()
    plugins.load_folder(str(Path(plugin_folder).resolve()) if plugin_folder else "")
    with Store(store) as records:
        infos = {info.key: info for info in records.instances()}
    descriptions: dict[str, str] = {}

    def falsehood_of(record: Record) -> Falsehood | None:
        with _one_thread():
            return _judge(record, infos.get(record.instance_key), descriptions)

    return falsehood_of


def close(a: float, b: float) -> bool:
    """Whether two losses are the same but for another machine's rounding."""
    return abs(a - b) <= TOLERANCE * max(abs(a), abs(b)) + 1e-9


@contextmanager
def _one_thread() -> Iterator[None]:
    """As the cells built their instances; on a busy machine more threads take many times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _judge(record: Record, info: InstanceInfo | None, descriptions: dict[str, str]) -> Falsehood | None:
    """What is wrong with a record; `descriptions` keeps what is wrong with its instance's, by key."""
    try:
        reason = _incomplete(record, info) or _replayed(record, info, descriptions)
    except _Elsewhere as error:
        return Falsehood(record, str(error), elsewhere=True)
    except Exception as error:
        # Whatever a stranger's store holds, the other records are still to be checked.
        reason = f"its bits cannot be replayed: {one_line(error)}"
    return Falsehood(record, reason) if reason else None


def _incomplete(record: Record, info: InstanceInfo | None) -> str:
    """What a record lacks, or says twice and differently."""
    if info is None:
        return "its instance is not described in the store"
    for name in ("problem", "network", "family"):
        if getattr(record, name) != getattr(info, name):
            return f"stored {name} is {getattr(record, name)}, its instance has {getattr(info, name)}"
    if record.loss is None or not record.stages or any(stage.bits is None for stage in record.stages):
        return "it claims a result without the bits that have it"
    if record.trace and not close(record.trace[-1][1], record.loss):
        return f"stored trace ends at {record.trace[-1][1]}, the loss is {record.loss}"
    return ""


def _replayed(record: Record, info: InstanceInfo | None, descriptions: dict[str, str]) -> str:
    """What the instance, built anew, says of a record and of its stored description."""
    assert info is not None
    spec, task = _rebuilt(info)
    if spec.key(task) != info.key:
        return _another_version(info, spec, task)
    if info.key not in descriptions:
        descriptions[info.key] = _misdescribed(record, info, spec)
    return descriptions[info.key] or _misstated(record, spec, task)


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


def _misdescribed(record: Record, info: InstanceInfo, spec: InstanceSpec) -> str:
    """What is wrong with the stored sizes and baseline, by which every record of the instance is scored."""
    true = survey(spec, given=lambda stage, _: _bits(record, stage)).info
    for name in ("name", "family", "variables", "stage_variables", "metric_name", "higher_is_better"):
        if getattr(info, name) != getattr(true, name):
            return f"its instance's stored {name} is {getattr(info, name)}, it has {getattr(true, name)}"
    for stored, loss in zip(_losses(info), _losses(true), strict=True):
        if not close(stored, loss):
            return f"its instance's stored baseline loss is {stored}, the baseline has {loss:.12g}"
    for name in ("baseline_metric", "float_metric"):
        if not _metric_close(getattr(info, name), getattr(true, name)):
            return f"its instance's stored {name} is {getattr(info, name)}, it has {getattr(true, name)}"
    return ""


def _losses(info: InstanceInfo) -> tuple[float, ...]:
    return info.baseline_loss, *info.stage_losses


def _misstated(record: Record, spec: InstanceSpec, task: Task) -> str:
    """Answer the formulation's stages with the stored bits and compare every number."""
    found: list[tuple[str, float | None, float]] = []
    total = violation = noise = 0.0

    def decide(stage: int, instance: Instance) -> Any:
        nonlocal total, violation, noise
        x = _bits(record, stage)
        loss, broken = instance.loss(x), instance.violation(x)
        found.append((f"loss of stage {stage}", record.stages[stage].loss, loss))
        found.append((f"violation of stage {stage}", record.stages[stage].violation, broken))
        if spec.judged(instance):
            total, violation, noise = total + loss, violation + broken, noise + instance.resolution
        return x

    network = spec.drive(task, decide)
    found += [("loss", record.loss, total), ("violation", record.violation, violation)]
    for name, stored, true in found:
        if stored is None or not close(stored, true):
            return f"stored {name} is {stored}, the bits have {true:.12g}"
    metric = task.judge(network) if task.judge else None
    if not _metric_close(record.metric, metric):
        return f"stored {record.metric_name} is {record.metric}, the decoded network has {metric}"
    if misstated := _mismeasured(record.measures, spec.measures(task, network)):
        return misstated
    return _overstated(record, total, violation, room=TOLERANCE * abs(total) + 10 * noise)


def _mismeasured(stored: dict[str, float], true: dict[str, float]) -> str:
    """A measure of the network that is missing, or is another one here."""
    for name in sorted(stored.keys() | true.keys()):
        here, there = true.get(name, math.nan), stored.get(name, math.nan)
        room = MEASURE_TOLERANCE * abs(here) + METRIC_TOLERANCE
        if here != there and not abs(here - there) <= room:
            return f"stored {name} is {there:g}, the decoded network has {here:g}"
    return ""


def _overstated(record: Record, loss: float, violation: float, *, room: float) -> str:
    """A bound or an ending that the true numbers contradict; the bound may be off by `room`."""
    if record.bound is not None and not record.bound <= loss + room:
        return f"stored bound is {record.bound}, above the loss {loss:.12g} of its own bits"
    if record.status == "OPTIMAL" and (record.bound is None or record.bound < loss - room):
        return f"it ended OPTIMAL, and its bound is {record.bound}, not the loss {loss:.12g}"
    if record.status in RANKED and violation > 0:
        return f"it ended {record.status}, and its bits break a constraint by {violation:.6g}"
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
