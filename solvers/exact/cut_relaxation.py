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
from ..run import Run
from .cut_ascent import Pool
from .detours import detours
from .elimination import UNIT, Ints, Terms
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
    """Vertices whose sides are known relative to each other.

    Attributes:
        group: (n + 1,) those of a group are; the ground is vertex 0.
        side: (n + 1,) in its group.
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
        _join(*made, np.array([a]), np.array([b]), np.array([differ], dtype=np.int8))
        return made

    def all_joined(self, a: Ints, b: Ints, differ: Bits) -> Fixed | None:
        """With as many pairs made one; None where two of them exclude each other."""
        made = Fixed(self.group.copy(), self.side.copy())
        return made if _join(*made, a, b, differ) else None


@numba.njit(cache=True, nogil=True)
def _join(group: Any, side: Any, a: Any, b: Any, differ: Any) -> bool:
    """Make the groups of each pair one, in place; False where a pair is in one and its sides are others."""
    for k in range(a.size):
        change, old, new = side[a[k]] ^ side[b[k]] ^ differ[k], group[b[k]], group[a[k]]
        if old == new and change:
            return False
        if old != new:
            for i in range(group.size):
                if group[i] == old:
                    group[i] = new
                    side[i] ^= change
    return True


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

    def solve(self, fixed: Fixed, run: Run) -> Relaxed | None:
        """Sweeps with these groups, from where the last ones ended; None where the run ended first."""
        if run.stopped():
            return None
        self.least, self.most = self._bounds(fixed)
        self.y = np.clip(self.y, self.least, self.most)
        price = self.pool.priced(self.cost)[0]
        self.pool.ascend(price, self.least, self.most, self.y, self.stiffness, SWEEPS)
        return self._read()

    def _bounds(self, fixed: Fixed) -> tuple[Floats, Floats]:
        u, v = self.graph.u, self.graph.v
        known, differ = fixed.group[u] == fixed.group[v], (fixed.side[u] ^ fixed.side[v]).astype(np.float64)
        return np.where(known, differ, 0.0), np.where(known, differ, 1.0)

    def _read(self) -> Relaxed:
        """Any multipliers ≥ 0 give a bound, by the box of the columns (Neumaier & Shcherbina 2004)."""
        price, paid, longest = self.pool.priced(self.cost)
        bound = np.minimum(price * self.least, price * self.most).sum() - paid
        error = self._error(float(self.pool.multipliers.sum()), longest)
        return Relaxed(float(self.terms.offset + bound - error), self.y.copy(), price)

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
