"""Odd-cycle inequalities that are tight at a known cut, found by shortest paths that stop early.

With z_e = |y_e − (y of the cut)_e| those are z_f ≤ z(P) for every path P between the ends of an edge f.
Where the cut is optimal and a relaxation proves it, multipliers on those of edges f that the cut pays for
do: a flow of as many commodities (Schrijver 2003, chapters 70 and 75). A search has the radius z_f / 2 where
one among all odd cycles has 1/2.
"""

from __future__ import annotations

import functools
from typing import Any

import numba
import numpy as np

from .odd_cycles import Graph, chordless, rise, sink

__all__ = ["compiled", "detours"]


@numba.njit(cache=True, nogil=True)
def detours(
    start: Any,
    other: Any,
    edge: Any,
    u: Any,
    v: Any,
    y: Any,
    crossed: Any,
    paid: Any,
    least: float,
    hop: float,
    places: int,
    room: int,
) -> Any:
    """Chordless cycles violated by `least`: of each paid edge the best through the ground and past it.

    Parameters:
        crossed: (m,) int8, whether the cut has each edge.
        paid: (k,) edges f.
        hop: added to the length of every edge, above 0, so that short cycles come before long ones.
        places: where a search past the ground that has come so far gives up.

    Returns edges (r,), whether each is in F (r,), and where each cycle ends in them (cycles,). Ends early
    once the cycles have `room` edges.
    """
    n, m = start.size - 1, y.size
    length = np.empty(m)
    for e in range(m):
        length[e] = hop + min(max(1.0 - y[e] if crossed[e] else y[e], 0.0), 1.0)
    edges, inside, ends = (
        np.empty(room + 2 * n, np.int64),
        np.empty(room + 2 * n, np.int8),
        np.empty(2 * paid.size, np.int64),
    )
    dist, came, by = np.full(2 * n, np.inf), np.full(2 * n, -1, np.int64), np.full(2 * n, -1, np.int64)
    heap_at, heap_by = np.empty(4 * m + 4), np.empty(4 * m + 4, np.int64)
    touched, joint = np.empty(2 * n, np.int64), np.empty(3, np.int64)
    points, steps, flags = (
        np.empty(2 * n + 1, np.int64),
        np.empty(2 * n + 1, np.int64),
        np.empty(2 * n + 1, np.int8),
    )
    place, total, cycles = np.full(n, -1, np.int64), 0, 0
    up, first = np.full(n, -1, np.int64), np.full(n, np.inf)
    _from_ground(start, other, edge, length, first, up, heap_at, heap_by)
    for f in paid:
        s, t, limit = u[f], v[f], length[f] - least
        for past in range(2):
            if limit <= 0.0 or total >= room or (past and s == 0):
                continue
            if past:
                count = _between(
                    start, other, edge, length, f, s, t, limit, places,
                    dist, came, by, heap_at, heap_by, touched, joint,
                )  # fmt: skip
                size = _path(n, s, t, came, by, joint, points, steps) if joint[2] >= 0 else 0
                for k in range(count):
                    dist[touched[k]] = np.inf
            else:
                size = (
                    _over_ground(u, v, s, t, up, place, points, steps) if first[s] + first[t] < limit else 0
                )
            if size < 2:
                continue
            steps[size] = f
            size += 1
            for k in range(size):
                flags[k] = crossed[steps[k]] ^ (1 if steps[k] == f else 0)
            size = chordless(start, other, edge, y, size, points, steps, flags, place)
            for k in range(size):
                edges[total + k], inside[total + k] = steps[k], flags[k]
            total += size
            ends[cycles] = total
            cycles += 1
    return edges[:total], inside[:total], ends[:cycles]


@numba.njit(cache=True, nogil=True)
def _from_ground(
    start: Any, other: Any, edge: Any, length: Any, dist: Any, up: Any, heap_at: Any, heap_by: Any
) -> None:
    """Distances of all vertices from 0, and the edge on which each is reached."""
    dist[0], heap_at[0], heap_by[0], size = 0.0, 0.0, 0, 1
    while size > 0:
        d, a = heap_at[0], heap_by[0]
        size -= 1
        sink(heap_at, heap_by, size)
        if d > dist[a]:
            continue
        for k in range(start[a], start[a + 1]):
            b, far = other[k], d + length[edge[k]]
            if far < dist[b]:
                dist[b], up[b] = far, edge[k]
                rise(heap_at, heap_by, size, far, b)
                size += 1


@numba.njit(cache=True, nogil=True)
def _over_ground(u: Any, v: Any, s: int, t: int, up: Any, place: Any, points: Any, steps: Any) -> int:
    """The way from s to t in the tree of the ground, which it may bypass: points, and how many steps."""
    at = s
    place[at] = 0
    while at != 0:
        at = u[up[at]] + v[up[at]] - at
        place[at] = 0
    meet = t
    while place[meet] < 0:
        meet = u[up[meet]] + v[up[meet]] - meet
    place[0], at = -1, s
    while at != 0:
        place[at] = -1
        at = u[up[at]] + v[up[at]] - at
    size, at = 0, s
    while at != meet:
        points[size], steps[size] = at, up[at]
        at, size = u[up[at]] + v[up[at]] - at, size + 1
    whole, at = size, t
    while at != meet:
        at, whole = u[up[at]] + v[up[at]] - at, whole + 1
    at, k = t, whole
    while at != meet:
        points[k], steps[k - 1] = at, up[at]
        at, k = u[up[at]] + v[up[at]] - at, k - 1
    points[size] = meet
    return whole


@numba.njit(cache=True, nogil=True)
def _between(
    start: Any, other: Any, edge: Any, length: Any, f: int, s: int, t: int, limit: float, places: int,
    dist: Any, came: Any, by: Any, heap_at: Any, heap_by: Any, touched: Any, joint: Any,
) -> int:  # fmt: skip
    """Ways from s and, in a second copy, from t, past f and the ground, until they meet; places touched.

    `joint` gets the places that the two ways end in and the edge between, −1 where no way is below the limit.
    """
    n = start.size - 1
    dist[s], touched[0], dist[t + n], touched[1], count = 0.0, s, 0.0, t + n, 2
    heap_at[0], heap_by[0], heap_at[1], heap_by[1], size, best = 0.0, s, 0.0, t + n, 2, limit
    joint[2] = -1
    while size > 0 and 2.0 * heap_at[0] < best and count < places:
        d, a = heap_at[0], heap_by[0]
        size -= 1
        sink(heap_at, heap_by, size)
        if d > dist[a]:
            continue
        here, side = a % n, a // n
        for k in range(start[here], start[here + 1]):
            if edge[k] == f or other[k] == 0:
                continue
            far, b = d + length[edge[k]], other[k] + n * side
            across = other[k] + n * (1 - side)
            if far + dist[across] < best:
                best, joint[0], joint[1], joint[2] = far + dist[across], a, across, edge[k]
            if 2.0 * far < best and far < dist[b]:
                if dist[b] == np.inf:
                    touched[count] = b
                    count += 1
                dist[b], came[b], by[b] = far, a, edge[k]
                rise(heap_at, heap_by, size, far, b)
                size += 1
    return count


@numba.njit(cache=True, nogil=True)
def _path(n: int, s: int, t: int, came: Any, by: Any, joint: Any, points: Any, steps: Any) -> int:
    """The way from s to t of two halves: points, and how many steps."""
    near, far = (joint[0], joint[1]) if joint[0] < n else (joint[1], joint[0])
    at, size = near, 0
    while at != s:
        at, size = came[at], size + 1
    at, k = near, size
    while at != s:
        points[k], steps[k - 1] = at, by[at]
        at, k = came[at], k - 1
    points[0], steps[size], size, at = s, joint[2], size + 1, far
    while at != t + n:
        points[size], steps[size] = at - n, by[at]
        at, size = came[at], size + 1
    points[size] = t
    return size


@functools.cache
def compiled() -> None:
    """Have every kernel compiled, on a square past the ground and a triangle through it."""
    graph = Graph(5, np.array([0, 0, 1, 2, 3, 1]), np.array([1, 2, 2, 3, 4, 4]))
    y = np.array([0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    crossed, paid = np.zeros(6, dtype=np.int8), np.array([2])
    detours(*graph.parts(), graph.u, graph.v, y, crossed, paid, 0.1, 0.0, 99, 99)
