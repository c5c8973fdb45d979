"""Forests of vertices whose sides are known relative to each other: union–find with parities (Tarjan 1975).

Every vertex has one above it, itself at a root, and a bit that says whether their sides differ.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

__all__ = ["join", "labels", "spanned"]


@numba.njit(cache=True, nogil=True)
def _root(above: Any, flip: Any, vertex: int) -> tuple[int, int]:
    """The root over a vertex, and whether their sides differ; the way there is halved as it is walked."""
    differ = 0
    while above[vertex] != vertex:
        flip[vertex] ^= flip[above[vertex]]
        above[vertex] = above[above[vertex]]
        differ ^= flip[vertex]
        vertex = above[vertex]
    return vertex, differ


@numba.njit(cache=True, nogil=True)
def _flatten(above: Any, flip: Any) -> None:
    """Put every vertex right below its root."""
    for vertex in range(above.size):
        root, differ = _root(above, flip, vertex)
        above[vertex], flip[vertex] = root, differ


@numba.njit(cache=True, nogil=True)
def join(above: Any, flip: Any, a: Any, b: Any, differ: Any) -> bool:
    """Make the trees of each pair one, in place and flat; False where a pair is in one and says otherwise."""
    for k in range(a.size):
        s, p = _root(above, flip, a[k])
        t, q = _root(above, flip, b[k])
        change = p ^ q ^ differ[k]
        if s == t and change:
            return False
        if s != t:
            above[t], flip[t] = s, change
    _flatten(above, flip)
    return True


@numba.njit(cache=True, nogil=True)
def spanned(n: int, u: Any, v: Any, y: Any, order: Any) -> Any:
    """A side (n,) for every vertex: edges in this order say whether their ends differ, if they still may."""
    above, flip = np.arange(n), np.zeros(n, np.int8)
    for e in order:
        a, p = _root(above, flip, u[e])
        b, q = _root(above, flip, v[e])
        if a != b:
            above[b], flip[b] = a, p ^ q ^ (1 if y[e] > 0.5 else 0)
    _flatten(above, flip)
    return flip


@numba.njit(cache=True, nogil=True)
def labels(n: int, u: Any, v: Any) -> Any:
    """How many components n vertices have, and each one's (n,), numbered by their first vertices."""
    above, flip, label, count = np.arange(n), np.zeros(n, np.int8), np.full(n, -1), 0
    for e in range(u.size):
        a, b = _root(above, flip, u[e])[0], _root(above, flip, v[e])[0]
        above[b] = a
    for vertex in range(n):
        root = _root(above, flip, vertex)[0]
        if label[root] < 0:
            label[root] = count
            count += 1
        above[vertex] = root
    return count, label[above]
