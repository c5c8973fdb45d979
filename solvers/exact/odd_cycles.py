"""Violated odd-cycle inequalities of the cut polytope, found by shortest paths (Barahona & Mahjoub 1986).

A cut crosses every cycle C evenly often, so that y(F) − y(C∖F) ≤ |F| − 1 for F ⊆ C of odd size. Take two
copies of every vertex, where a step along e stays in its copy at length y_e or changes it at 1 − y_e; a way
of length below 1 from a vertex to its other copy is a violated one. Its second half, seen from that copy, is
a way from the vertex itself, so that one search of half the length finds both.
"""

from __future__ import annotations

import functools
from typing import Any

import numba
import numpy as np

from .elimination import Ints

__all__ = ["Graph", "chordless", "compiled", "odd_walks", "rise", "sink", "triangles"]


class Graph:
    """Edges and, of each vertex, its neighbours.

    Attributes:
        n: how many vertices.
        u, v: (m,) ends of each edge.
        start: (n + 1,) where each vertex's neighbours begin in `other` and `edge`.
        other, edge: (2m,) the neighbours, in the order of the edges, and the edges to them.
    """

    def __init__(self, n: int, u: Ints, v: Ints) -> None:
        self.n, self.u, self.v = n, u, v
        self.start, self.other, self.edge = _neighbours(n, u, v)

    def parts(self) -> tuple[Ints, Ints, Ints]:
        """What kernels take of it."""
        return self.start, self.other, self.edge


@numba.njit(cache=True, nogil=True)
def _neighbours(n: int, u: Any, v: Any) -> Any:
    """start, other and edge of a graph, by counting."""
    m, start = u.size, np.zeros(n + 1, np.int64)
    other, edge = np.empty(2 * m, np.int64), np.empty(2 * m, np.int64)
    for e in range(m):
        start[u[e] + 1] += 1
        start[v[e] + 1] += 1
    for vertex in range(n):
        start[vertex + 1] += start[vertex]
    place = start[:n].copy()
    for e in range(m):
        other[place[u[e]]], edge[place[u[e]]] = v[e], e
        place[u[e]] += 1
        other[place[v[e]]], edge[place[v[e]]] = u[e], e
        place[v[e]] += 1
    return start, other, edge


@numba.njit(cache=True, nogil=True)
def triangles(u: Any, v: Any, start: Any, other: Any, edge: Any, y: Any, least: float, most: int) -> Any:
    """Triangles whose inequality is violated by `least`: edges (k, 3), whether each is in F, violation."""
    n = start.size - 1
    edges, inside, worst = np.empty((most, 3), np.int64), np.empty((most, 3), np.int8), np.empty(most)
    at, found, marked = np.full(n, -1, np.int64), 0, -1
    for e in range(u.size):
        # The ground's many neighbours are marked once: its edges come one after the other.
        if u[e] != marked:
            if marked >= 0:
                for k in range(start[marked], start[marked + 1]):
                    at[other[k]] = -1
            marked = u[e]
            for k in range(start[marked], start[marked + 1]):
                at[other[k]] = edge[k]
        for k in range(start[v[e]], start[v[e] + 1]):
            w = other[k]
            if w <= max(u[e], v[e]) or at[w] < 0:
                continue
            f, g = at[w], edge[k]
            a, b, c = y[e], y[f], y[g]
            values = (a + b + c - 2.0, a - b - c, b - a - c, c - a - b)
            for kind in range(4):
                if values[kind] > least and found < most:
                    edges[found, 0], edges[found, 1], edges[found, 2] = e, f, g
                    inside[found, 0] = kind < 2
                    inside[found, 1] = kind == 0 or kind == 2
                    inside[found, 2] = kind == 0 or kind == 3
                    worst[found] = values[kind]
                    found += 1
    return edges[:found], inside[:found], worst[:found]


@numba.njit(cache=True, nogil=True)
def odd_walks(start: Any, other: Any, edge: Any, y: Any, sources: Any, least: float, room: int) -> Any:
    """Chordless cycles violated by `least`, one at most from each source.

    Returns edges (k,), whether each is in F (k,), and where each cycle ends in them (cycles,). Ends early
    once the cycles have `room` edges.
    """
    n = start.size - 1
    edges, inside, ends = (
        np.empty(room + n, np.int64),
        np.empty(room + n, np.int8),
        np.empty(sources.size, np.int64),
    )
    dist, came, by = np.full(2 * n, np.inf), np.full(2 * n, -1, np.int64), np.full(2 * n, -1, np.int64)
    heap_at, heap_by = np.empty(4 * other.size + 2), np.empty(4 * other.size + 2, np.int64)
    touched, place = np.empty(2 * n, np.int64), np.full(n, -1, np.int64)
    points, steps, flags = (
        np.empty(2 * n + 1, np.int64),
        np.empty(2 * n + 1, np.int64),
        np.empty(2 * n + 1, np.int8),
    )
    total, cycles = 0, 0
    walk, along, joint = np.empty(4 * n + 2, np.int64), np.empty(4 * n + 2, np.int64), np.empty(3, np.int64)
    for s in sources:
        count = _reach(
            start, other, edge, y, s, 1.0 - least, dist, came, by, heap_at, heap_by, touched, joint
        )
        size = _met(s, n, came, by, joint, walk, along) if joint[2] >= 0 else 0
        if size > 0:
            size = _simple(n, size, walk, along, points, steps, flags, place)
            size = chordless(start, other, edge, y, size, points, steps, flags, place)
            for k in range(size):
                edges[total + k], inside[total + k] = steps[k], flags[k]
            total += size
            ends[cycles] = total
            cycles += 1
        for k in range(count):
            dist[touched[k]] = np.inf
        if total >= room:
            break
    return edges[:total], inside[:total], ends[:cycles]


@numba.njit(cache=True, nogil=True)
def _reach(
    start: Any, other: Any, edge: Any, y: Any, s: int, limit: float,
    dist: Any, came: Any, by: Any, heap_at: Any, heap_by: Any, touched: Any, joint: Any,
) -> int:  # fmt: skip
    """Ways from s, until two of them make the shortest one to its copy; how many places were touched.

    `joint` gets the place that the first ends in, the one whose copy the second ends in, and the edge between
    them, −1 where no way is shorter than the limit.
    """
    n = start.size - 1
    dist[s], touched[0], count = 0.0, s, 1
    heap_at[0], heap_by[0], size, best = 0.0, s, 1, limit
    joint[2] = -1
    while size > 0 and 2.0 * heap_at[0] < best:
        d, a = heap_at[0], heap_by[0]
        size -= 1
        sink(heap_at, heap_by, size)
        if d > dist[a]:
            continue
        here, side = a % n, a // n
        for k in range(start[here], start[here + 1]):
            length = min(max(y[edge[k]], 0.0), 1.0)
            for change in range(2):
                far = d + (1.0 - length if change else length)
                b = other[k] + n * (side ^ change)
                # From b on it is as from its copy, seen from s + n.
                across = (b + n) % (2 * n)
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
def rise(heap_at: Any, heap_by: Any, size: int, far: float, b: int) -> None:
    """Put (far, b) into the heap."""
    k = size
    while k > 0 and heap_at[(k - 1) // 2] > far:
        heap_at[k], heap_by[k] = heap_at[(k - 1) // 2], heap_by[(k - 1) // 2]
        k = (k - 1) // 2
    heap_at[k], heap_by[k] = far, b


@numba.njit(cache=True, nogil=True)
def sink(heap_at: Any, heap_by: Any, size: int) -> None:
    """Put the last of the heap, at `size`, in place of the first."""
    far, b, k = heap_at[size], heap_by[size], 0
    while True:
        child = 2 * k + 1
        if child >= size:
            break
        if child + 1 < size and heap_at[child + 1] < heap_at[child]:
            child += 1
        if heap_at[child] >= far:
            break
        heap_at[k], heap_by[k] = heap_at[child], heap_by[child]
        k = child
    heap_at[k], heap_by[k] = far, b


@numba.njit(cache=True, nogil=True)
def _met(s: int, n: int, came: Any, by: Any, joint: Any, walk: Any, along: Any) -> int:
    """The way of two halves from s to s + n: its places (size + 1,) and its edges."""
    at, size = joint[0], 0
    while at != s:
        walk[size], along[size] = at, by[at]
        at, size = came[at], size + 1
    walk[size] = s
    for k in range((size + 1) // 2):
        walk[k], walk[size - k] = walk[size - k], walk[k]
    for k in range(size // 2):
        along[k], along[size - 1 - k] = along[size - 1 - k], along[k]
    along[size], at, size = joint[2], joint[1], size + 1
    while at != s:
        walk[size], along[size] = (at + n) % (2 * n), by[at]
        at, size = came[at], size + 1
    walk[size] = s + n
    return size


@numba.njit(cache=True, nogil=True)
def _simple(n: int, size: int, walk: Any, along: Any, points: Any, steps: Any, flags: Any, place: Any) -> int:
    """A simple cycle of odd F on a way of places from s to s + n: points, steps to the next, whether in F."""
    at, top = 0, 0
    points[0], place[walk[0]] = walk[0], 0
    while at < size:
        before = walk[at + 1]
        steps[top], flags[top] = along[at], np.int8((walk[at] // n) != (before // n))
        top += 1
        at += 1
        here = before % n
        first = place[here]
        if first >= 0:
            odd = 0
            for k in range(first, top):
                odd ^= flags[k]
            if odd == 1:
                for k in range(top):
                    place[points[k]] = -1
                for k in range(first, top):
                    points[k - first], steps[k - first], flags[k - first] = points[k], steps[k], flags[k]
                return int(top - first)
            # An even round trip is left out; what is left of the way is still odd, and no longer.
            for k in range(first + 1, top):
                place[points[k]] = -1
            top = first
        else:
            points[top], place[here] = here, top
    return 0


@numba.njit(cache=True, nogil=True)
def chordless(
    start: Any, other: Any, edge: Any, y: Any, size: int, points: Any, steps: Any, flags: Any, place: Any
) -> int:
    """Cut the cycle at its chords, each time keeping a part that is violated no less; how long it is then."""
    for k in range(size):
        place[points[k]] = k
    a = 0
    while a < size:
        cut = False
        if start[points[a] + 1] - start[points[a]] < 64:
            for k in range(start[points[a]], start[points[a] + 1]):
                b = place[other[k]]
                if b < 0 or abs(a - b) <= 1 or abs(a - b) == size - 1:
                    continue
                size = _split(y, size, min(a, b), max(a, b), edge[k], points, steps, flags, place)
                cut = True
                break
        a = 0 if cut else a + 1
    for k in range(size):
        place[points[k]] = -1
    return size


@numba.njit(cache=True, nogil=True)
def _split(
    y: Any, size: int, a: int, b: int, chord: int, points: Any, steps: Any, flags: Any, place: Any
) -> int:
    """The shorter of the two cycles that a chord from place a to b makes, as lengths count; its size."""
    near, whole, odd = 0.0, 0.0, 0
    for k in range(size):
        length = min(max(y[steps[k]], 0.0), 1.0)
        length = 1.0 - length if flags[k] else length
        whole += length
        if a <= k < b:
            near += length
            odd ^= flags[k]
    over = min(max(y[chord], 0.0), 1.0)
    # Each part is made odd: the chord is in F of the part that is even without it.
    inner = near + (over if odd else 1.0 - over)
    outer = whole - near + (1.0 - over if odd else over)
    for k in range(size):
        place[points[k]] = -1
    if inner <= outer:
        for k in range(a, b + 1):
            points[k - a], steps[k - a], flags[k - a] = points[k], steps[k], flags[k]
        size = b - a + 1
        steps[size - 1], flags[size - 1] = chord, 1 - odd
    else:
        steps[a], flags[a] = chord, odd
        for k in range(b, size):
            points[a + 1 + k - b], steps[a + 1 + k - b], flags[a + 1 + k - b] = points[k], steps[k], flags[k]
        size = a + 1 + size - b
    for k in range(size):
        place[points[k]] = k
    return size


@functools.cache
def compiled() -> None:
    """Have every kernel compiled, on a violated triangle and square: tiny Qubos never come to them."""
    for n, u, v in ((3, [0, 0, 1], [1, 2, 2]), (4, [0, 1, 2, 0], [1, 2, 3, 3])):
        graph = Graph(n, np.array(u), np.array(v))
        y = np.append(np.ones(1), np.zeros(n - 1))
        triangles(graph.u, graph.v, *graph.parts(), y, 0.5, 9)
        odd_walks(*graph.parts(), y, np.arange(n), 0.5, 9)
