"""Adapters: bring a solver for Qubos to a layer of neurons, or to an exact capacity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..problems import Capacity, InputError, Instance, Qubo, Rounding
from ..problems.arrays import Bits
from ..problems.instances.rounding import Row
from .capacity.bisection import FIELDS, bisection, top_field
from .capacity.finishing import finish
from .qubo.flips import reach
from .registry import Entry
from .run import Declined, Run
from .solution import Solution, conclude
from .status import Status
from .traces import summed

__all__ = [
    "ABOVE",
    "FIELDS",
    "Adapter",
    "adapter_for",
    "by_neurons",
    "by_rows",
    "direct",
    "field_search",
    "finish",
    "flag_lies",
    "penalised",
    "penalty",
    "reaches",
]

Adapter = Callable[[Any, Run, Entry, dict[str, Any]], Solution]


def adapter_for(entry: Entry, instance: Instance) -> Adapter:
    """How this solver is brought to this instance.

    Raises:
        InputError: it takes neither the shape nor a part of it.
    """
    adapter = _adapter_of_shape(entry, type(instance))
    if adapter is direct and isinstance(instance, Rounding) and instance.grouped and not entry.groups:
        adapter = by_neurons
    if adapter is field_search and entry.capacity == "penalty" and instance.exact:
        adapter = penalty
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

    def take(i: int) -> tuple[Instance, Decode]:
        row = _row(rounding, i)
        return row.qubo, row.decode

    return _in_parts(rounding, run, entry, values, take, adapter="rows" if rounding.n > 1 else "row")


def by_neurons(rounding: Rounding, run: Run, entry: Entry, values: dict[str, Any]) -> Solution:
    """As `by_rows`, for a solver of layers that knows no groups: a neuron's steps go into its Gram matrix."""

    def take(i: int) -> tuple[Instance, Decode]:
        return rounding.neuron(i), lambda x: np.asarray(x[0], dtype=np.int8)

    return _in_parts(rounding, run, entry, values, take, adapter="neurons")


Decode = Callable[[Any], Bits]


def _in_parts(
    rounding: Rounding,
    run: Run,
    entry: Entry,
    values: dict[str, Any],
    take: Callable[[int], tuple[Instance, Decode]],
    *,
    adapter: str,
) -> Solution:
    x = rounding.nearest()
    first = rounding.row_losses(x)
    losses, parts = first.copy(), list[Solution]()
    for i in range(rounding.n):
        if run.stopped() or (run.target is not None and losses.sum() <= run.target):
            break
        one, decode = take(i)
        left = None if run.target is None else run.target - (losses.sum() - losses[i])
        child = run.part(one, i, seconds=run.remaining() / (rounding.n - i), target=left)
        if one.free:
            entry.search(one, child, **values)
        else:
            child.offer(one.baseline())
            child.prove(one.loss(one.baseline()))
        part = conclude(child, seconds=child.elapsed())
        parts.append(part)
        if part.x is not None and part.loss is not None:
            x[i], losses[i] = decode(part.x), part.loss
        run.share = (i + 1) / rounding.n
    run.exhausted |= any(part.status is Status.BUDGET for part in parts)
    seconds = run.elapsed()
    run.offer(x)
    bounds = [part.bound for part in parts if part.bound is not None]
    if len(bounds) == rounding.n:
        # The layer's loss and the neurons' are different sums of the same numbers.
        run.prove(sum(bounds) - rounding.resolution)
    whole = conclude(run, seconds=seconds, adapter=adapter)
    trace = summed(first.tolist(), [part.trace for part in parts], float(whole.loss or 0.0))
    return flag_lies(replace(whole, trace=trace), parts)


def _row(rounding: Rounding, i: int) -> Row:
    try:
        return rounding.row(i)
    except InputError as error:
        raise Declined(str(error)) from None


ABOVE = 1.01
"""Default weight over the largest change of E by one flip."""


def penalty(capacity: Capacity, run: Run, entry: Entry, values: dict[str, Any]) -> Solution:
    """The adapter: each restart searches the penalised Qubo once. The solution's energy is the penalised one.

    Counts "answers", one a restart, and how many of them were "infeasible".
    """
    weight = float(values.get("weight", 0.0))
    qubo = penalised(capacity, weight)
    while run.open():
        child = run.part(qubo, run.opened)
        # The child's own restart is this one, which is counted already.
        child.restarts, child.counts = 1, Counter[str]()
        entry.search(qubo, child, **values)
        if child.best is not None:
            run.tally("answers")
            run.tally("infeasible", int(capacity.violation(child.best) > 0))
            run.offer(child.best)
        run.exhausted |= child.exhausted
    found = conclude(run, seconds=run.elapsed(), adapter="penalty")
    return found if found.x is None else replace(found, energy=qubo.loss(found.x))


def penalised(capacity: Capacity, weight: float = 0.0) -> Qubo:
    """E + λ(Σx − K)² as a dense Qubo; λ = `weight`, or just above the largest change of E by one flip.

    With d = Σx − K ≠ 0 some flip changes the penalty by λ(1 − 2|d|) ≤ −λ, so under the default no local
    optimum is infeasible.
    """
    weight = weight or ABOVE * float(reach(capacity.qubo).max(initial=0.0)) or 1.0
    Q = np.array(capacity.Q.toarray() if capacity.sparse else capacity.Q)
    Q += weight
    Q[np.diag_indices(capacity.n)] -= 2.0 * weight * capacity.K
    return Qubo(Q, capacity.offset + weight * capacity.K**2)


def field_search(capacity: Capacity, run: Run, entry: Entry, values: dict[str, Any]) -> Solution:
    """The adapter: one bisection brings a solver of Qubos to a capacity; restarts are those of its searches.

    Bounds carry over: min E − μ(c·x − K) never exceeds the constrained optimum (for c·x ≤ K only where
    μ ≤ 0).
    """

    def minimise(qubo: Qubo, child: Run) -> None:
        entry.search(qubo, child, **values)

    top = top_field(capacity)
    parts = [part for part, _ in bisection(capacity, run, minimise, FIELDS, -top, top, shares=True)]
    run.exhausted |= any(part.status is Status.BUDGET for part in parts)
    return flag_lies(conclude(run, seconds=run.elapsed(), adapter="field-search"), parts)


def flag_lies(solution: Solution, parts: list[Solution]) -> Solution:
    """A lie about a part is a lie about the whole."""
    for part in parts:
        if part.status is Status.LIED:
            return replace(solution, status=Status.LIED, message=part.message)
    return solution
