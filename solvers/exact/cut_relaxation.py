"""A sparse Qubo as a minimum cut with signs, and its relaxation by odd cycles.

With a ground vertex at 0, x_i x_j = (x_i + x_j − y_ij)/2 where y_ij says whether x_i and x_j differ; so the
loss is Σ w_e y_e over edges, those to the ground among them (Hammer 1965; De Simone 1990). The relaxation is
not solved to its end: rounds of sweeps, which raise multipliers on its rows, take turns with new cuts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from ...problems.arrays import Bits, Floats
from ..compiled import per_look
from ..run import Run
from .cut_ascent import Pool
from .detours import detours
from .elimination import UNIT, Ints, Terms
from .forests import join, spanned
from .odd_cycles import Graph, odd_walks, triangles

__all__ = ["Fixed", "Relaxation", "Relaxed"]

VIOLATED = 1e-3
"""Least violation of a cut that is added."""

STIFF, SWEEPS = 0.5, 40
"""Stiffness of the proximal term in mean sizes of w, and sweeps between cuts."""

OLD = 8
"""Rounds after which a row without a multiplier goes."""

HOP, LEAST_HOP = 0.05, 1e-4
"""What an edge more makes a detour longer, at first and at last, so that short cycles come first."""

PLACES = 50
"""Places that a search for a detour may come to, at first."""

FEW, NEARER = 0.1, 0.5
"""New cuts for each edge that the cut pays for, below which hops and searches reach so much farther."""

AT_ONCE = 250
"""Paid edges whose detours are looked for between two looks at the clock."""


class Fixed(NamedTuple):
    """Vertices whose sides are known relative to each other: a flat forest, a tree a group.

    Attributes:
        group: (n + 1,) the root of each vertex's; the ground is vertex 0.
        side: (n + 1,) whether it is on another side than that.
    """

    group: Ints
    side: Bits

    @classmethod
    def none(cls, n: int) -> Fixed:
        """Every one of n vertices in a group of its own."""
        return cls(np.arange(n), np.zeros(n, dtype=np.int8))

    def joined(self, a: int, b: int, differ: int) -> Fixed:
        """With the groups of two vertices made one."""
        made = Fixed(self.group.copy(), self.side.copy())
        join(*made, np.array([a]), np.array([b]), np.array([differ], dtype=np.int8))
        return made

    def all_joined(self, a: Ints, b: Ints, differ: Bits) -> Fixed | None:
        """With as many pairs made one; None where two of them exclude each other."""
        made = Fixed(self.group.copy(), self.side.copy())
        return made if join(*made, a, b, differ) else None


class Relaxed(NamedTuple):
    """What multipliers say of the edges.

    Attributes:
        bound: on the loss, valid however far the multipliers have come.
        y: (m,) in [0, 1], about where the relaxation is least.
        price: (m,) what y_e away from its bound adds to the bound.
    """

    bound: float
    y: Floats
    price: Floats


class Relaxation:
    """min w·y over the odd-cycle inequalities found so far, with some vertices fixed to each other.

    Attributes:
        terms: whose loss it bounds.
        graph: the ground and the variables, and an edge for every product and every slope.
        cost: (m,) w.
    """

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        field = terms.linear.copy()
        np.add.at(field, terms.i, terms.value / 2)
        np.add.at(field, terms.j, terms.value / 2)
        bound = np.flatnonzero(field)
        u = np.concatenate([np.zeros(len(bound), dtype=np.int64), terms.i + 1])
        v = np.concatenate([bound + 1, terms.j + 1])
        self.graph = Graph(terms.n + 1, u, v)
        self.cost: Floats = np.concatenate([field[bound], -terms.value / 2])
        size = np.abs(self.cost)
        self.size, self.stiffness = float(size.sum()), STIFF * float(size.mean()) if len(u) else 1.0
        self.least, self.most, self.hop = np.zeros(len(u)), np.ones(len(u)), HOP
        self.places = PLACES
        self.y, self.pool = np.full(len(u), 0.5), Pool()

    def solve(self, fixed: Fixed, run: Run, enough: float = np.inf) -> Relaxed | None:
        """Sweeps with these groups, from where the last ones ended, until the bound is enough.

        None where the run ended first.
        """
        if run.stopped():
            return None
        _settle(*fixed, self.graph.u, self.graph.v, self.least, self.most, self.y)
        price, box = self.pool.priced(self.cost)[0], (self.least, self.most)
        self.pool.ascend(price, *box, self.y, self.stiffness, SWEEPS, enough - self.terms.offset)
        return self._read()

    def _read(self) -> Relaxed:
        """Any multipliers ≥ 0 give a bound, by the box of the columns (Neumaier & Shcherbina 2004)."""
        price, paid, longest = self.pool.priced(self.cost)
        bound = np.minimum(price * self.least, price * self.most).sum() - paid
        error = self._error(float(self.pool.multipliers.sum()), longest)
        return Relaxed(float(self.terms.offset + bound - error), self.y.copy(), price)

    def rounded(self, y: Floats) -> Bits:
        """A point by the edges that are nearest to decided, and a descent from it."""
        order = np.argsort(np.minimum(y, 1.0 - y), kind="stable")
        return self.descended(spanned(self.graph.n, self.graph.u, self.graph.v, y, order))

    def descended(self, side: Bits) -> Bits:
        """The point that a descent comes to from a cut (n + 1,), whose vertices it moves."""
        _descend(*self.graph.parts(), self.cost, side, per_look(2 * self.graph.n))
        return np.asarray(side[1:] ^ side[0])

    def _error(self, multipliers: float, longest: int) -> float:
        """What rounding may have added to a bound with multipliers of this sum."""
        size = self.size + 2 * longest * multipliers + abs(self.terms.offset)
        return float((64 + self.pool.count) * UNIT * size)

    def separate(self, y: Floats, x: Bits, run: Run) -> int:
        """Add violated inequalities, those tight at a point x first, drop old rows; how many were added."""
        self.pool.drop(OLD)
        self.pool.aged()
        added = self._triangles(y) + self._detours(y, x, run)
        if added or run.stopped():
            return added
        sources = run.rng.permutation(self.graph.n)
        room = 10 * max(200, len(y))
        return self.pool.add(*odd_walks(*self.graph.parts(), y, sources, VIOLATED, room))

    def _triangles(self, y: Floats) -> int:
        most = max(200, len(y))
        found = triangles(self.graph.u, self.graph.v, *self.graph.parts(), y, VIOLATED, 20 * most)
        worst = np.argsort(-found[2], kind="stable")[:most] if len(found[2]) > most else slice(None)
        edges, inside = found[0][worst].ravel(), found[1][worst].ravel()
        return self.pool.add(edges, inside, np.arange(3, len(edges) + 1, 3))

    def _detours(self, y: Floats, x: Bits, run: Run) -> int:
        u, v, side, added = self.graph.u, self.graph.v, np.append(np.int8(0), x), 0
        crossed = side[u] ^ side[v]
        paid = np.flatnonzero(np.where(crossed, self.cost > 0, self.cost < 0))
        for first in range(0, len(paid), AT_ONCE):
            if run.stopped():
                return added
            some, room = paid[first : first + AT_ONCE], 10 * max(200, len(y))
            found = detours(
                *self.graph.parts(), u, v, y, crossed, some, VIOLATED, self.hop, self.places, room
            )
            added += self.pool.add(*found)
        if added < FEW * len(paid):
            self.hop = max(NEARER * self.hop, LEAST_HOP)
            self.places = min(int(self.places / NEARER), 2 * self.graph.n + PLACES)
        return added


@numba.njit(cache=True, nogil=True)
def _settle(group: Any, side: Any, u: Any, v: Any, least: Any, most: Any, y: Any) -> None:
    """Write what is fixed of every edge into its bounds, and bring y between them."""
    for e in range(u.size):
        if group[u[e]] == group[v[e]]:
            least[e] = most[e] = y[e] = side[u[e]] ^ side[v[e]]
        else:
            least[e], most[e] = 0.0, 1.0


@numba.njit(cache=True, nogil=True)
def _descend(start: Any, other: Any, edge: Any, cost: Any, side: Any, flips: int) -> None:
    """Move the vertex that helps most to the other side, `flips` times or until none helps, in place."""
    n, noise = side.size, 0.0
    change = np.zeros(n)
    for a in range(n):
        size = 0.0
        for k in range(start[a], start[a + 1]):
            w = cost[edge[k]]
            size += abs(w)
            change[a] += w if side[a] == side[other[k]] else -w
        noise = max(noise, 1e-13 * size)
    for _ in range(flips):
        a = int(np.argmin(change))
        if change[a] >= -noise:
            return
        change[a], side[a] = -change[a], side[a] ^ 1
        for k in range(start[a], start[a + 1]):
            w = 2.0 * cost[edge[k]]
            change[other[k]] += w if side[a] == side[other[k]] else -w
