"""A sparse Qubo as a minimum cut with signs, and its linear relaxation by odd cycles.

With a ground vertex at 0, x_i x_j = (x_i + x_j − y_ij)/2 where y_ij says whether x_i and x_j differ; so the
loss is Σ w_e y_e over edges, those to the ground among them (Hammer 1965; De Simone 1990).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from ...problems.arrays import Bits, Floats
from ..run import Run
from .elimination import UNIT, Ints, Terms
from .linear_programs import Program
from .odd_cycles import Graph, odd_walks, triangles

__all__ = ["Fixed", "Relaxation", "Relaxed"]

VIOLATED = 1e-3
"""Least violation of a cut that is added."""

FEW = 50
"""Violated triangles below which longer cycles are looked for as well."""

OLD = 8
"""Solves after which a row without a dual goes."""


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
        group, side = self.group.copy(), self.side.copy()
        moved = group == group[b]
        side[moved] ^= side[a] ^ side[b] ^ np.int8(differ)
        group[moved] = group[a]
        return Fixed(group, side)


class Relaxed(NamedTuple):
    """What a linear program says of the edges.

    Attributes:
        bound: on the loss, valid whatever the program's tolerances.
        y: (m,) in [0, 1].
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
        self.scale = float(2.0 ** -np.floor(np.log2(np.abs(self.cost).max(initial=1e-300))))
        self.least, self.most = np.zeros(len(u)), np.ones(len(u))
        self.rows = sp.csr_array((0, len(u)), dtype=np.float64)
        self.high, self.age = np.zeros(0), np.zeros(0, dtype=np.int64)
        self.program = Program(self.scale * self.cost)

    def solve(self, fixed: Fixed, run: Run) -> Relaxed | None:
        """The relaxation with these groups; None where the run ended first."""
        least, most = self._bounds(fixed)
        where = np.flatnonzero((least != self.least) | (most != self.most))
        self.program.bound(where, least[where], most[where])
        self.least, self.most = least, most
        found = self.program.solve(run.remaining())
        if found is not None:
            return self._read(found.x, found.duals)
        if run.stopped():
            return None
        # Without duals the box alone bounds.
        return self._read(np.clip(np.full(len(least), 0.5), least, most), np.zeros(len(self.high)))

    def _bounds(self, fixed: Fixed) -> tuple[Floats, Floats]:
        u, v = self.graph.u, self.graph.v
        known, differ = fixed.group[u] == fixed.group[v], (fixed.side[u] ^ fixed.side[v]).astype(np.float64)
        return np.where(known, differ, 0.0), np.where(known, differ, 1.0)

    def _read(self, y: Floats, duals: Floats) -> Relaxed:
        """Any multipliers ≥ 0 give a bound, by the box of the columns (Neumaier & Shcherbina 2004)."""
        multipliers = np.maximum(-duals, 0.0) / self.scale
        self.age = np.where(multipliers > 0, 0, self.age + 1)
        price = self.cost + self.rows.T @ multipliers
        bound = np.minimum(price * self.least, price * self.most).sum() - multipliers @ self.high
        bound = float(self.terms.offset + bound - self._error(float(multipliers.sum())))
        return Relaxed(bound, np.clip(y, self.least, self.most), np.asarray(price))

    def _error(self, multipliers: float) -> float:
        """What rounding may have added to a bound with multipliers of this sum."""
        longest = int(np.diff(self.rows.indptr).max(initial=1))
        size = float(np.abs(self.cost).sum()) + 2 * longest * multipliers + abs(self.terms.offset)
        return float((64 + self.rows.shape[0]) * UNIT * size)

    def separate(self, y: Floats, run: Run) -> int:
        """Add violated inequalities, and drop rows that long had no dual; how many were added."""
        u, v, parts = self.graph.u, self.graph.v, self.graph.parts()
        most = max(200, len(u))
        edges, inside, violation = triangles(u, v, *parts, y, VIOLATED, 20 * most)
        worst = np.argsort(-violation, kind="stable")[:most]
        ends = 3 * np.arange(1, len(worst) + 1)
        edges, inside = edges[worst].ravel(), inside[worst].ravel()
        if len(worst) < FEW:
            sources = run.rng.permutation(self.graph.n)
            more, inner, last = odd_walks(*parts, y, sources, VIOLATED, 10 * most)
            ends = np.concatenate([ends, last + len(edges)])
            edges, inside = np.concatenate([edges, more]), np.concatenate([inside, inner])
        return self._add(edges, inside, ends) if len(ends) else 0

    def _add(self, edges: Ints, inside: Bits, ends: Ints) -> int:
        """Rows y(F) − y(C∖F) ≤ |F| − 1, each once."""
        new = sp.csr_array((2.0 * inside - 1.0, edges, np.append(0, ends)), shape=(len(ends), len(self.cost)))
        new.sort_indices()
        high = np.add.reduceat(inside.astype(np.float64), np.append(0, ends[:-1])) - 1.0
        seen, first = set[bytes](), list[int]()
        for row in range(len(ends)):
            part = slice(new.indptr[row], new.indptr[row + 1])
            key = (new.indices[part] * 2 + (new.data[part] > 0)).tobytes()
            if key not in seen:
                seen.add(key)
                first.append(row)
        self._drop()
        self.program.add(new[first], high[first])
        self.rows = sp.csr_array(sp.vstack([self.rows, new[first]], format="csr"))
        self.high = np.concatenate([self.high, high[first]])
        self.age = np.concatenate([self.age, np.zeros(len(first), dtype=np.int64)])
        return len(first)

    def _drop(self) -> None:
        old = np.flatnonzero(self.age >= OLD)
        if old.size:
            keep = np.flatnonzero(self.age < OLD)
            self.rows, self.high, self.age = self.rows[keep], self.high[keep], self.age[keep]
            self.program.drop(old)
