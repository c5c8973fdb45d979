"""verify: build every instance again and recompute each stored loss from the stored bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..problems import InputError, Instance
from ..results import Record, RecordError, Store, unpack
from . import plugins
from .spec import InstanceSpec

__all__ = ["Falsehood", "verify"]

TOLERANCE = 1e-5
"""Relative difference that another BLAS or another processor may make to a loss."""

METRIC_TOLERANCE = 0.004
"""Difference of a metric: a sample or two on the border between two classes."""


@dataclass(frozen=True)
class Falsehood:
    """A record that does not hold: which, and what is wrong."""

    record: Record
    reason: str


def verify(
    store: str | Path, *, plugin_folder: str | Path = ""
) -> Iterator[tuple[Record, Falsehood | None]]:
    """Every record with bits, in order, with what is false in it or None.

    Raises:
        StoreError: the store is missing, foreign or damaged.
    """
    plugins.load_entry_points()
    plugins.load_folder(str(Path(plugin_folder).resolve()) if plugin_folder else "")
    with Store(store) as records:
        parameters = {info.key: info.parameters for info in records.instances()}
        for record in records.records():
            if record.stages and all(stage.bits is not None for stage in record.stages):
                reason = _check(record, parameters.get(record.instance_key))
                yield record, Falsehood(record, reason) if reason else None


def _check(record: Record, parameters: dict[str, Any] | None) -> str:
    """What is wrong with a record, "" if nothing is."""
    if parameters is None:
        return "its instance is not described in the store"
    try:
        return _replay(record, InstanceSpec.from_record(record.problem, record.network, parameters))
    except (InputError, RecordError) as error:
        return str(error)


def _replay(record: Record, spec: InstanceSpec) -> str:
    """Answer the formulation's stages with the stored bits and compare every number."""
    task = spec.task()
    if spec.key(task) != record.instance_key:
        return "its instance is another one here: weights, data or formulation have changed"
    found: list[tuple[str, float | None, float]] = []
    total, violation = 0.0, 0.0

    def decide(stage: int, instance: Instance) -> Any:
        nonlocal total, violation
        if stage >= len(record.stages):
            raise InputError(f"it has {len(record.stages)} stages, and the instance has more")
        kept = record.stages[stage]
        assert kept.bits is not None
        x = unpack(kept.bits, kept.shape)
        loss = instance.loss(x)
        found.append((f"loss of stage {stage}", kept.loss, loss))
        found.append((f"violation of stage {stage}", kept.violation, instance.violation(x)))
        if spec.judged(instance):
            total, violation = total + loss, violation + instance.violation(x)
        return x

    network = spec.drive(task, decide)
    found += [("loss", record.loss, total), ("violation", record.violation, violation)]
    for name, stored, true in found:
        if stored is None or not _close(stored, true):
            return f"stored {name} is {stored}, the bits have {true:.12g}"
    if record.bound is not None and record.bound > total + TOLERANCE * abs(total):
        return f"stored bound is {record.bound}, above the loss {total:.12g} of its own bits"
    metric = task.judge(network) if task.judge else None
    if metric is not None and (record.metric is None or abs(record.metric - metric) > METRIC_TOLERANCE):
        return f"stored {record.metric_name} is {record.metric}, the decoded network has {metric:.6g}"
    return ""


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= TOLERANCE * max(abs(a), abs(b)) + 1e-9
