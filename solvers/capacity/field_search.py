"""field-search: bisect a uniform field −μ·c·x until the minimiser meets the capacity, finish it greedily.

Our reading of the "dynamic capacity-driven search" of Orabi et al. 2026 (arXiv:2604.05856). A minimiser of
E − μ c·x lies on the lower convex hull of the curve of energy against capacity (Everett 1963), so no field
may lead to a capacity in a dent of that curve; greedy drops and adds close the gap. The solver searches each
shifted Qubo by our own tabu; the adapter `field_search` does the same for any solver of Qubos.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import scipy.sparse as sp

from ...problems import Capacity, Qubo
from ...problems.arrays import Bits
from ..qubo.flips import reach
from ..qubo.tabu import tabu
from ..registry import Entry, Range, solver
from ..run import Run
from ..solution import Solution, conclude
from ..status import Status
from .greedy import finish

__all__ = ["FIELDS", "field_search", "field_search_solver", "flag_lies", "with_field"]

FIELDS = 12
"""Searches of a field search: a bisection to 1/2048 of the range; one that meets the capacity is repeated."""

NEAR = 1 / 32
"""Half of the range of fields that a later restart bisects, around where the last one ended."""

Minimise = Callable[[Qubo, Run], Any]
"""A search of a shifted Qubo under its own run."""


@solver("field-search", accepts=Capacity, reference="Everett 1963; Orabi et al. 2026")
def field_search_solver(
    capacity: Capacity,
    run: Run,
    *,
    fields: Annotated[int, Range(1, 64)] = FIELDS,
    flips: Annotated[int, Range(100, 10_000_000, log=True)] = 2_000,
) -> None:
    """Bisect a field with a tabu search at each, then drop and add greedily. A flip of the search costs O(n).

    Counts, beside the flips: "answers" of the fields, and "gap before finish", the sum of |Σc·x − K| over
    them in whole units of the cost.

    Parameters:
        fields: steps of the bisection; the first restart begins at 0, the later ones where the last ended.
        flips: length of each tabu search.
    """

    def minimise(qubo: Qubo, child: Run) -> None:
        child.restarts = 1
        tabu(qubo, child, flips=flips)

    run.offer(capacity.baseline())
    top = _top(capacity)
    low, high = -top, top
    while run.open():
        for _, field in _bisection(capacity, run, minimise, fields, low, high, index=run.opened * fields):
            low, high = field - NEAR * top, field + NEAR * top


def field_search(capacity: Capacity, run: Run, entry: Entry, values: dict[str, Any]) -> Solution:
    """The adapter: one bisection brings a solver of Qubos to a capacity; restarts are those of its searches.

    Bounds carry over: min E − μ(c·x − K) never exceeds the constrained optimum (for c·x ≤ K only where
    μ ≤ 0).
    """

    def minimise(qubo: Qubo, child: Run) -> None:
        entry.search(qubo, child, **values)

    top = _top(capacity)
    parts = [part for part, _ in _bisection(capacity, run, minimise, FIELDS, -top, top, shares=True)]
    run.exhausted |= any(part.status is Status.BUDGET for part in parts)
    return flag_lies(conclude(run, seconds=run.elapsed(), adapter="field-search"), parts)


def _top(capacity: Capacity) -> float:
    """A field that leaves every variable one value, and its negative the other."""
    return float((reach(capacity.qubo) / capacity.costs).max(initial=0.0)) or 1.0


def _bisection(
    capacity: Capacity,
    run: Run,
    minimise: Minimise,
    fields: int,
    low: float,
    high: float,
    *,
    index: int = 0,
    shares: bool = False,
) -> Iterator[tuple[Solution, float]]:
    """The solution of each shifted Qubo, and its field; finished ones are offered, their bounds stated."""
    field = (low + high) / 2
    for step in range(fields):
        if run.stopped():
            return
        shifted = with_field(capacity, field)
        seconds = run.remaining() / (fields - step) if shares else np.inf
        child = run.part(shifted, index + step, seconds=seconds)
        minimise(shifted, child)
        part = conclude(child, seconds=child.elapsed())
        yield part, field
        if part.x is None:
            continue
        if part.bound is not None and (capacity.exact or field <= 0):
            noise = shifted.resolution + 1e-12 * abs(field) * max(1.0, capacity.K)
            run.prove(part.bound + field * capacity.K - noise)
        run.tally("answers")
        run.tally("gap before finish", math.ceil(capacity.violation(part.x)))
        run.offer(finish(capacity, part.x))
        low, high = _narrowed(capacity, part.x, low, high, field)
        field = (low + high) / 2 if low < high else field


def _narrowed(capacity: Capacity, x: Bits, low: float, high: float, field: float) -> tuple[float, float]:
    """The fields still in question after x came out at `field`: that one alone where x fits."""
    room = capacity.K - float(capacity.costs @ x)
    if room == 0 or (room > 0 and field == 0 and not capacity.exact):
        return field, field
    return (field, high) if room > 0 else (low, field)


def with_field(capacity: Capacity, field: float) -> Qubo:
    """The objective − field·c·x."""
    shift = np.arange(capacity.n), np.arange(capacity.n), -field * capacity.costs
    if not capacity.qubo.sparse:
        Q = np.array(capacity.Q)
        Q[shift[0], shift[1]] += shift[2]
        return Qubo(Q, capacity.offset)
    diagonal = sp.csr_array((shift[2], (shift[0], shift[1])), shape=capacity.Q.shape)
    return Qubo(capacity.Q + diagonal, capacity.offset)


def flag_lies(solution: Solution, parts: list[Solution]) -> Solution:
    """A lie about a part is a lie about the whole."""
    for part in parts:
        if part.status is Status.LIED:
            return replace(solution, status=Status.LIED, message=part.message)
    return solution
