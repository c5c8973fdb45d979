"""Adapters: bring a solver for Qubos to a layer of neurons, or to an exact capacity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
    "concluded",
    "direct",
    "field_search",
    "finish",
    "parts_of",
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


def _searched(entry: Entry, instance: Any, run: Run, values: dict[str, Any]) -> None:
    """Have the solver search; one that returns its answer and offers none is told what to do."""
    # By its type a search returns nothing; a stranger's may all the same.
    search: Callable[..., Any] = entry.search
    answer = search(instance, run, **values)
    if answer is not None and run.best is None:
        kind = type(answer).__name__
        raise InputError(
            f"{entry.name} must call run.offer(x), got a {kind} that it returned; nobody takes it"
        )


def direct(instance: Instance, run: Run, entry: Entry, values: dict[str, Any]) -> Solution:
    """The solver takes the shape itself."""
    _searched(entry, instance, run, values)
    return conclude(run, seconds=run.elapsed())


def by_rows(rounding: Rounding, run: Run, entry: Entry, values: dict[str, Any]) -> Solution:
    """Neuron by neuron, each with its share of the time that is left.

    A neuron without an incumbent yet counts at round to nearest. A target for the layer leaves each neuron
    what the others do not use. Of one neuron alone the adapter is called "row": no budget is divided.
    """
    return _in_parts(rounding, run, entry, values, _row_of(rounding), "rows" if rounding.n > 1 else "row")


def by_neurons(rounding: Rounding, run: Run, entry: Entry, values: dict[str, Any]) -> Solution:
    """As `by_rows`, for a solver of layers that knows no groups: a neuron's steps go into its Gram matrix."""
    return _in_parts(rounding, run, entry, values, _neuron_of(rounding), "neurons")


Decode = Callable[[Any], Bits]

Take = Callable[[int], tuple[Instance, Decode]]
"""A part of a layer as an instance of its own, and what its solution is in the layer."""


def _row_of(rounding: Rounding) -> Take:
    def take(i: int) -> tuple[Instance, Decode]:
        row = _row(rounding, i)
        return row.qubo, row.decode

    return take


def _neuron_of(rounding: Rounding) -> Take:
    return lambda i: (rounding.neuron(i), lambda x: np.asarray(x[0], dtype=np.int8))


def parts_of(entry: Entry, instance: Instance) -> Take | None:
    """How a solver's adapter takes an instance apart, None where it does not."""
    adapter = adapter_for(entry, instance)
    if not isinstance(instance, Rounding) or adapter not in (by_rows, by_neurons):
        return None
    return _row_of(instance) if adapter is by_rows else _neuron_of(instance)


def _in_parts(
    rounding: Rounding, run: Run, entry: Entry, values: dict[str, Any], take: Take, adapter: str
) -> Solution:
    layer = _Layer(rounding)
    for i in range(rounding.n):
        if run.stopped() or (run.target is not None and layer.losses.sum() <= run.target):
            break
        one, decode = take(i)
        left = None if run.target is None else run.target - (layer.losses.sum() - layer.losses[i])
        child = run.part(one, i, seconds=run.remaining() / (rounding.n - i), target=left)
        child.listener = run.listener and run.listener.part(i)
        if one.free:
            _searched(entry, one, child, values)
        else:
            child.offer(one.baseline())
            child.prove(one.loss(one.baseline()))
        layer.take(i, decode, conclude(child, seconds=child.elapsed()))
        run.share = (i + 1) / rounding.n
    return layer.joined(run, run.elapsed(), adapter)


class _Layer:
    """A layer that is put together from what was found for its neurons."""

    def __init__(self, rounding: Rounding) -> None:
        self.rounding, self.x = rounding, rounding.nearest()
        self.first = rounding.row_losses(self.x)
        self.losses, self.parts = self.first.copy(), list[Solution]()

    def take(self, i: int, decode: Decode, part: Solution) -> None:
        """Neuron i of the layer, as far as it was found."""
        self.parts.append(part)
        if part.x is not None and part.loss is not None:
            self.x[i], self.losses[i] = decode(part.x), part.loss

    def joined(self, run: Run, seconds: float, adapter: str) -> Solution:
        """The solution of the layer after `seconds`; a lie about a neuron is a lie about the layer."""
        rounding, parts = self.rounding, self.parts
        run.exhausted |= any(part.status is Status.BUDGET for part in parts)
        run.end()
        run.lie = _lie(parts)
        run.offer(self.x)
        bounds = [part.bound for part in parts if part.bound is not None]
        if len(bounds) == rounding.n:
            # The layer's loss and the neurons' are different sums of the same numbers.
            run.prove(sum(bounds) - rounding.resolution)
        whole = conclude(run, seconds=seconds, adapter=adapter)
        points = summed(self.first.tolist(), [part.points for part in parts], float(whole.loss or 0.0))
        return whole.along(points)


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
        _searched(entry, qubo, child, values)
        for what in child.counts.keys() - {"restarts"}:
            run.tally(what, child.counts[what])
        if child.best is not None:
            run.tally("answers")
            run.tally("infeasible", int(capacity.violation(child.best) > 0))
            run.offer(child.best)
        run.exhausted |= child.exhausted
    return _penalised_end(qubo, run, run.elapsed())


def _penalised_end(qubo: Qubo, run: Run, seconds: float) -> Solution:
    found = conclude(run, seconds=seconds, adapter="penalty")
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
        _searched(entry, qubo, child, values)

    top = top_field(capacity)
    parts = [part for part, _ in bisection(capacity, run, minimise, FIELDS, -top, top, shares=True)]
    run.exhausted |= any(part.status is Status.BUDGET for part in parts)
    run.lie = _lie(parts)
    return conclude(run, seconds=run.elapsed(), adapter="field-search")


def _lie(parts: Sequence[Solution]) -> str:
    """What the first part that lied was caught at: a lie about a part is one about the whole."""
    return next((part.message for part in parts if part.status is Status.LIED), "")


def concluded(
    entry: Entry, instance: Any, run: Run, parts: Mapping[int, Run], values: dict[str, Any], seconds: float
) -> Solution:
    """The solution that a solver's adapter makes of a run that was replayed, and of those of its parts."""
    adapter, take = adapter_for(entry, instance), parts_of(entry, instance)
    if adapter is penalty:
        return _penalised_end(penalised(instance, float(values.get("weight", 0.0))), run, seconds)
    if take is None:
        return conclude(run, seconds=seconds, adapter="" if adapter is direct else "field-search")
    layer = _Layer(instance)
    for i, part in sorted(parts.items()):
        layer.take(i, take(i)[1], conclude(part, seconds=part.elapsed()))
    if adapter is by_neurons:
        return layer.joined(run, seconds, "neurons")
    return layer.joined(run, seconds, "rows" if instance.n > 1 else "row")
