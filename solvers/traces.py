"""Traces: how a loss that is a sum over parts fell while the parts were searched."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import NamedTuple

import numpy as np

__all__ = ["Point", "falling", "summed"]


class Point(NamedTuple):
    """An improvement: when it came, its loss, and the work that was counted by then."""

    seconds: float
    loss: float
    work: int = 0


def summed(first: Sequence[float], traces: Sequence[Sequence[Point]], final: float) -> list[Point]:
    """Trace of the sum over parts, strictly falling, its last loss `final`.

    A part counts at first[i] until its own trace begins; an infinite first[i] means that the sum has no
    value before. A part may begin worse than it was counted: the sum is then shown at the highest loss
    that is still to come, so it is never shown lower than it is later.

    Parameters:
        first: (parts,) loss of each part before its first incumbent.
        traces: improvements of each part, all on one clock and of one count.
        final: loss of the whole at the end, as it was recomputed.
    """
    return falling([point for point in _sums(first, traces) if np.isfinite(point.loss)], final)


def falling(points: Sequence[Point], final: float) -> list[Point]:
    """The points made a strictly falling trace that ends at `final`: each shows the highest loss to come."""
    last = points[-1] if points else Point(0.0, final)
    points = [*points[:-1], last._replace(loss=final)]
    losses = np.array([point.loss for point in points])
    to_come = np.maximum.accumulate(losses[::-1])[::-1].tolist()
    trace: list[Point] = []
    for point, loss in zip(points, to_come, strict=True):
        if not trace or loss < trace[-1].loss:
            trace.append(point._replace(loss=loss))
    return trace


def _sums(first: Sequence[float], traces: Sequence[Sequence[Point]]) -> list[Point]:
    """The sum at time 0 and after every event of a part."""
    now = [float(loss) for loss in first]
    events = sorted(
        (seconds, i, loss, work) for i, trace in enumerate(traces) for seconds, loss, work in trace
    )
    points = [Point(0.0, fsum(now))]
    for seconds, i, loss, work in events:
        now[i] = loss
        points.append(Point(seconds, fsum(now), work))
    return points
