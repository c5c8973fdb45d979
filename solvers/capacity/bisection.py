"""Bisect a uniform field −μ·c·x until the minimiser of the shifted Qubo meets the capacity."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from ...problems import Capacity, Qubo
from ...problems.arrays import Bits
from ..qubo.flips import reach
from ..run import Run
from ..solution import Solution, conclude
from .finishing import finish

__all__ = ["FIELDS", "Minimise", "bisection", "top_field", "with_field"]

FIELDS = 12
"""Searches of a field search: a bisection to 1/2048 of the range; one that meets the capacity is repeated."""


Minimise = Callable[[Qubo, Run], Any]
"""A search of a shifted Qubo under its own run."""


def top_field(capacity: Capacity) -> float:
    """A field that leaves every variable one value, and its negative the other."""
    return float((reach(capacity.qubo) / capacity.costs).max(initial=0.0)) or 1.0


def bisection(
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
