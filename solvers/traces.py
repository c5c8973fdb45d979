"""Traces: how a loss that is a sum over parts fell while the parts were searched."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

import numpy as np

__all__ = ["falling", "summed"]

Trace = list[tuple[float, float]]


def summed(first: Sequence[float], traces: Sequence[Trace], final: float) -> Trace:
    """Trace of the sum over parts, strictly falling, its last loss `final`.

    A part counts at first[i] until its own trace begins; an infinite first[i] means that the sum has no
    value before. A part may begin worse than it was counted: the sum is then shown at the highest loss
    that is still to come, so it is never shown lower than it is later.

    Parameters:
        first: (parts,) loss of each part before its first incumbent.
        traces: (seconds, loss) of each part, all on one clock.
        final: loss of the whole at the end, as it was recomputed.
    """
    return falling([point for point in _sums(first, traces) if np.isfinite(point[1])], final)


def falling(points: Trace, final: float) -> Trace:
    """The points made a strictly falling trace that ends at `final`: each shows the highest loss to come."""
    points = [*points[:-1], (points[-1][0] if points else 0.0, final)]
    losses = np.array([loss for _, loss in points])
    to_come = np.maximum.accumulate(losses[::-1])[::-1].tolist()
    trace: Trace = []
    for (seconds, _), loss in zip(points, to_come, strict=True):
        if not trace or loss < trace[-1][1]:
            trace.append((seconds, loss))
    return trace


def _sums(first: Sequence[float], traces: Sequence[Trace]) -> Trace:
    """The sum at time 0 and after every event of a part."""
    now = [float(loss) for loss in first]
    events = sorted((seconds, i, loss) for i, trace in enumerate(traces) for seconds, loss in trace)
    points = [(0.0, fsum(now))]
    for seconds, i, loss in events:
        now[i] = loss
        points.append((seconds, fsum(now)))
    return points
