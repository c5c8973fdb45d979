"""Slices: a suite's instances one by one, small enough to be a file each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from ...problems import Capacity, InputError, Instance, MissingDataError, Qubo, Rounding
from ...problems.arrays import Bits
from ...results import load_references, unpack
from ...results.scoring.references import PROVEN, Reference
from ..spec import InstanceSpec

__all__ = ["Limits", "Slice", "slices_of", "whole"]

Known = Callable[[Bits], Bits]
"""The bits of a slice in those of its stage."""


@dataclass(frozen=True)
class Limits:
    """How much of a suite becomes files.

    Attributes:
        neurons: of a layer that is too large to be one file, evenly spaced.
        stages: of a formulation, evenly spaced.
        layer: most free bits of a layer that is one Qubo.
        whole: bits of the largest coefficient where all become whole numbers, 0 to leave them as they are.
    """

    neurons: int = 2
    stages: int = 4
    layer: int = 700
    whole: int = 0


@dataclass(frozen=True, eq=False)
class Slice:
    """One instance and where it comes from.

    Attributes:
        name: of its files, unique within a set.
        instance: in units of `unit`.
        spec: the formulation.
        stage, neuron: which of its stages and rows; the neuron is None where it is all of them.
        unit: what 1 of its loss is in the formulation's.
        known: best bits of the registry, None without any; `proven` whether nothing is lower, `by` whom.
    """

    name: str
    instance: Qubo | Capacity | Rounding
    spec: InstanceSpec
    stage: int
    neuron: int | None
    unit: float = 1.0
    known: Bits | None = None
    proven: bool = False
    by: str = ""


def slices_of(
    spec: InstanceSpec, limits: Limits, told: Callable[[str], None], *, layers: bool
) -> Iterator[Slice]:
    """The slices of one formulation; `told` hears what is left out.

    Parameters:
        spec: the formulation.
        limits: how much of it.
        told: hears of each part that is left out.
        layers: whether a layer may stay one, as .npz alone holds it.
    """
    stages: list[Instance] = []

    def decide(_: int, instance: Instance) -> Any:
        if not spec.judged(instance):
            from ..harness.survey import prepared

            return prepared(spec, 0, instance).x
        stages.append(instance)
        return instance.baseline()

    try:
        task = spec.task()
        spec.drive(task, decide)
    except MissingDataError as error:
        told(f"{spec.name}: {error}")
        return
    reference = load_references().instances.get(spec.key(task))
    chosen = _spaced(len(stages), limits.stages)
    if len(chosen) < len(stages):
        told(f"{spec.name}: {len(stages) - len(chosen)} of {len(stages)} stages; see --stages")
    for stage in chosen:
        where = _slug(spec.name) + (f"-stage-{stage}" if len(stages) > 1 else "")
        known = _stage_bits(reference, stage, len(stages))
        for one in _sliced(stages[stage], where, limits, partial(_told, told, where), layers):
            part, bits, name, neuron = one
            yield _whole_slice(
                Slice(name, part, spec, stage, neuron, known=None if known is None else bits(known)),
                limits,
                reference,
            )


def _told(told: Callable[[str], None], where: str, what: str) -> None:
    told(f"{where}: {what}")


def _whole_slice(one: Slice, limits: Limits, reference: Reference | None) -> Slice:
    """In whole numbers if that is asked for; a proof does not outlive it."""
    proven = reference is not None and reference.standing == PROVEN and not limits.whole
    by = "" if reference is None or one.known is None else reference.solver
    part, unit = whole(one.instance, limits.whole) if limits.whole else (one.instance, 1.0)
    kept = None if part.violation(_anything(one)) else one.known
    return Slice(one.name, part, one.spec, one.stage, one.neuron, unit, kept, proven, by)


def _anything(one: Slice) -> Bits:
    """The known bits, where there are none the baseline."""
    return one.instance.baseline() if one.known is None else one.known


def _sliced(
    instance: Instance, where: str, limits: Limits, told: Callable[[str], None], layers: bool
) -> Iterator[tuple[Any, Known, str, int | None]]:
    """Parts of a stage: itself, a layer as one Qubo, or some of its neurons."""
    if isinstance(instance, Qubo | Capacity) or (layers and isinstance(instance, Rounding)):
        yield instance, lambda x: x, where, None
    elif not isinstance(instance, Rounding):
        told("a black box is a function and has no file")
    elif instance.n > 1 and instance.free <= limits.layer:
        try:
            rows = [instance.row(i) for i in range(instance.n)]
        except InputError as error:
            told(str(error))
            return
        yield _joined([row.qubo for row in rows]), partial(_encoded, rows), where, None
    else:
        yield from _neurons(instance, where, limits, told)


def _neurons(
    layer: Rounding, where: str, limits: Limits, told: Callable[[str], None]
) -> Iterator[tuple[Any, Known, str, int | None]]:
    chosen = _spaced(layer.n, limits.neurons)
    if len(chosen) < layer.n:
        told(f"{layer.n - len(chosen)} of {layer.n} neurons; see --neurons")
    for i in chosen:
        try:
            row = layer.row(i)
        except InputError as error:
            told(str(error))
            continue
        name = f"{where}-row-{i}" if layer.n > 1 else where
        yield row.qubo, partial(_row_bits, row, i), name, i


def _row_bits(row: Any, i: int, x: Bits) -> Bits:
    return np.asarray(row.encode(x[i]))


def _encoded(rows: list[Any], x: Bits) -> Bits:
    return np.concatenate([row.encode(own) for row, own in zip(rows, x, strict=True)])


def _joined(parts: list[Qubo]) -> Qubo:
    """Qubos that do not meet, as one."""
    return Qubo(sp.block_diag([one.Q for one in parts], format="csr"), sum(one.offset for one in parts))


def whole(instance: Qubo | Capacity | Rounding, bits: int) -> tuple[Any, float]:
    """An instance whose coefficients are whole numbers, the largest of `bits` bits, and what 1 is worth.

    The unit is a power of two, so that another machine's last bits of a coefficient change nothing here. A
    layer keeps its numbers: its coefficients are products of several.
    """
    if isinstance(instance, Rounding):
        return instance, 1.0
    qubo = instance.qubo
    upper = sp.triu(qubo.couplings, k=1, format="csr") * 2.0
    linear = qubo.linear
    largest = max(float(abs(upper).max()) if upper.nnz else 0.0, float(np.abs(linear).max(initial=0.0)))
    if not largest or all(np.array_equal(one, np.rint(one)) for one in (upper.data, linear)):
        return instance, 1.0
    unit = float(2.0 ** (np.floor(np.log2(largest)) + 1 - bits))
    upper.data = np.rint(upper.data / unit)
    matrix = upper + sp.diags_array(np.rint(linear / unit), format="csr")
    Q = matrix if qubo.sparse else matrix.toarray()
    offset = float(np.rint(qubo.offset / unit))
    made = Qubo(Q, offset) if instance.K is None else Capacity(Q, instance.costs, instance.K, offset)
    return made, unit


def _spaced(n: int, most: int) -> list[int]:
    """At most so many of n places, evenly apart."""
    return list(range(n)) if n <= most else sorted({i * n // most for i in range(most)})


def _stage_bits(reference: Reference | None, stage: int, stages: int) -> Bits | None:
    """The registry's bits of a stage; later stages of several depend on the answers before them."""
    if reference is None or stages > 1 or len(reference.stages) != 1:
        return None
    kept = reference.stages[stage]
    return unpack(kept.bits, kept.shape)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")
