"""Adapters: bring a solver for Qubos to a layer of neurons, or to an exact capacity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..problems import Capacity, InputError, Instance, Qubo, Rounding
from ..problems.arrays import Bits, Floats
from ..problems.rounding import Row
from .kernels import reach, slopes
from .registry import Entry
from .run import Declined, Run
from .solution import Solution, conclude
from .status import Status
from .traces import summed

__all__ = ["Adapter", "adapter_for", "by_rows", "direct", "field_search", "reaches"]

Adapter = Callable[[Any, Run, Entry, dict[str, Any]], Solution]

FIELDS = 12
"""Searches of a field search: a bisection to 1/2048 of the range; one that meets the capacity is repeated."""


def adapter_for(entry: Entry, instance: Instance) -> Adapter:
    """How this solver is brought to this instance.

    Raises:
        InputError: it takes neither the shape nor a part of it.
    """
    adapter = _adapter_of_shape(entry, type(instance))
    if adapter is None:
        shape, takes = type(instance).__name__, ", ".join(one.__name__ for one in entry.accepts)
        hint = "see `qubopress list` for solvers of each shape"
        raise InputError(f"{entry.name} solves {takes}, got a {shape}; {hint}")
    return adapter


def reaches(entry: Entry, shape: type) -> bool:
    """Whether a solver takes a shape itself or through an adapter."""
    return _adapter_of_shape(entry, shape) is not None


def _adapter_of_shape(entry: Entry, shape: type) -> Adapter | None:
    if issubclass(shape, entry.accepts):
        return direct
    adapters: dict[type, Adapter] = {Rounding: by_rows, Capacity: field_search}
    chosen = [adapter for whole, adapter in adapters.items() if issubclass(shape, whole)]
    return chosen[0] if chosen and Qubo in entry.accepts else None


def direct(instance: Instance, run: Run, entry: Entry, values: dict[str, Any]) -> Solution:
    """The solver takes the shape itself."""
    entry.search(instance, run, **values)
    return conclude(run, seconds=run.elapsed())


def by_rows(rounding: Rounding, run: Run, entry: Entry, values: dict[str, Any]) -> Solution:
    """Neuron by neuron, each with its share of the time that is left.

    A neuron without an incumbent yet counts at round to nearest. A target for the layer leaves each neuron
    what the others do not use. Of one neuron alone the adapter is called "row": no budget is divided.
    """
    x = rounding.nearest()
    first = rounding.row_losses(x)
    losses, parts = first.copy(), list[Solution]()
    for i in range(rounding.n):
        if run.stopped() or (run.target is not None and losses.sum() <= run.target):
            break
        row = _row(rounding, i)
        left = None if run.target is None else run.target - (losses.sum() - losses[i])
        child = run.part(row.qubo, i, seconds=run.remaining() / (rounding.n - i), target=left)
        if row.qubo.n:
            entry.search(row.qubo, child, **values)
        else:
            child.offer(np.zeros(0, dtype=np.int8))
            child.prove(row.qubo.offset)
        part = conclude(child, seconds=child.elapsed())
        parts.append(part)
        if part.x is not None and part.loss is not None:
            x[i], losses[i] = row.decode(part.x), part.loss
    run.exhausted |= any(part.status is Status.BUDGET for part in parts)
    seconds = run.elapsed()
    run.offer(x)
    bounds = [part.bound for part in parts if part.bound is not None]
    if len(bounds) == rounding.n:
        # The layer's loss and the neurons' are different sums of the same numbers.
        run.prove(sum(bounds) - rounding.resolution)
    whole = conclude(run, seconds=seconds, adapter="rows" if rounding.n > 1 else "row")
    trace = summed(first.tolist(), [part.trace for part in parts], float(whole.loss or 0.0))
    return _flag_lies(replace(whole, trace=trace), parts)


def _row(rounding: Rounding, i: int) -> Row:
    try:
        return rounding.row(i)
    except InputError as error:
        raise Declined(str(error)) from None


def field_search(capacity: Capacity, run: Run, entry: Entry, values: dict[str, Any]) -> Solution:
    """Bisect a uniform field −μ·c·x until the capacity is met; finish each answer by greedy add and drop.

    Our reading of the "dynamic capacity-driven search" of Orabi et al. 2026 (arXiv:2604.05856). Minimisers
    reach only supported capacities, so each solution is finished to the exact one. Bounds carry over:
    min E − μ(c·x − K) never exceeds the constrained optimum (for c·x ≤ K only where μ ≤ 0).
    """
    top = float((reach(capacity.qubo) / capacity.costs).max(initial=0.0)) or 1.0
    low, high, field = -top, top, 0.0
    parts: list[Solution] = []
    for step in range(FIELDS):
        if run.stopped():
            break
        shifted = _with_field(capacity, field)
        child = run.part(shifted, step, seconds=run.remaining() / (FIELDS - step))
        entry.search(shifted, child, **values)
        part = conclude(child, seconds=child.elapsed())
        parts.append(part)
        if part.x is None:
            continue
        if part.bound is not None and (capacity.exact or field <= 0):
            noise = shifted.resolution + 1e-12 * abs(field) * max(1.0, capacity.K)
            run.prove(part.bound + field * capacity.K - noise)
        run.offer(finish(capacity, part.x))
        low, high = _narrowed(capacity, part.x, low, high, field)
        field = (low + high) / 2 if low < high else field
    run.exhausted |= any(part.status is Status.BUDGET for part in parts)
    return _flag_lies(conclude(run, seconds=run.elapsed(), adapter="field-search"), parts)


def _narrowed(capacity: Capacity, x: Bits, low: float, high: float, field: float) -> tuple[float, float]:
    """The fields still in question after x came out at `field`: that one alone where x fits."""
    room = capacity.K - float(capacity.costs @ x)
    if room == 0 or (room > 0 and field == 0 and not capacity.exact):
        return field, field
    return (field, high) if room > 0 else (low, field)


def _with_field(capacity: Capacity, field: float) -> Qubo:
    shift = np.arange(capacity.n), np.arange(capacity.n), -field * capacity.costs
    if not capacity.qubo.sparse:
        Q = np.array(capacity.Q)
        Q[shift[0], shift[1]] += shift[2]
        return Qubo(Q, capacity.offset)
    diagonal = sp.csr_array((shift[2], (shift[0], shift[1])), shape=capacity.Q.shape)
    return Qubo(capacity.Q + diagonal, capacity.offset)


def finish(capacity: Capacity, x: Bits) -> Bits:
    """`x` brought to the capacity by greedy drops and adds, each the least harmful per cost.

    Under Σc·x ≤ K variables that fit and lower the loss are added too.
    """
    x = np.array(x, dtype=np.int8)
    slope = slopes(capacity.qubo, x)
    while (i := _next_flip(capacity, x, slope)) >= 0:
        x[i] ^= 1
        row = capacity.qubo.couplings[[i]]
        slope += (2 if x[i] else -2) * (row.toarray() if capacity.qubo.sparse else row).ravel()
    return x


def _next_flip(capacity: Capacity, x: Bits, slope: Floats) -> int:
    """The variable to drop where too much is kept, or to add; −1 where neither is due."""
    room, costs = capacity.K - float(capacity.costs @ x), capacity.costs
    if room < 0 and capacity.violation(x) > 0:
        kept = np.flatnonzero(x == 1)
        return int(kept[np.argmin(-slope[kept] / costs[kept])])
    wanted = room > 0 if capacity.exact else (slope < 0) & (costs <= room)
    candidates = np.flatnonzero((x == 0) & wanted)
    return int(candidates[np.argmin(slope[candidates] / costs[candidates])]) if candidates.size else -1


def _flag_lies(solution: Solution, parts: list[Solution]) -> Solution:
    """A lie about a part is a lie about the whole."""
    for part in parts:
        if part.status is Status.LIED:
            return replace(solution, status=Status.LIED, message=part.message)
    return solution
