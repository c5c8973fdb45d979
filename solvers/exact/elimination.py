"""Variables of a sparse Qubo that can go exactly: forced ones, those of few neighbours, followers.

A variable whose slope cannot change sign is forced. One of at most two neighbours leaves behind the lower of
its two values, which is a quadratic function of them; so does one of three where that has no cubic term, the
star–triangle relation of spin glasses. One that a single coupling outweighs equals that neighbour or its
opposite. Boros & Hammer 2002; Liers et al. 2004; Rehfeldt, Koch & Shinano 2023, arXiv:2202.02305.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from ...problems import Qubo
from ...problems.arrays import Bits, Floats
from .linearised import products

__all__ = ["UNIT", "Ints", "Terms", "components", "contracted", "eliminated", "terms_of"]

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]

UNIT = float(np.finfo(np.float64).eps)

STAR = 3
"""Neighbours that a variable may have and still go."""


class Terms(NamedTuple):
    """offset + Σ linear_i x_i + Σ value_k x_i(k) x_j(k), over bits x.

    Attributes:
        linear: (n,).
        i, j: (m,) int64, the ends of each product, every pair at most once.
        value: (m,) none of it 0.
        offset: a number.
    """

    linear: Floats
    i: Ints
    j: Ints
    value: Floats
    offset: float

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self.linear)

    def of(self, x: Bits) -> float:
        """The value at x (n,)."""
        return float(self.offset + self.linear @ x + self.value @ (x[self.i] * x[self.j]))


def terms_of(qubo: Qubo) -> Terms:
    """The terms of a Qubo."""
    i, j, value = products(qubo)
    return Terms(np.array(qubo.linear), i.astype(np.int64), j.astype(np.int64), value, qubo.offset)


class Eliminated(NamedTuple):
    """What is left of terms, and the way back.

    Attributes:
        core: terms of the variables that are left.
        kept: (k,) their numbers before.
        steps: of each variable that went, in that order: its number, its slope where all its neighbours are
            0, these, and its couplings with them.
        doubt: most by which rounding moved any value.
    """

    core: Terms
    kept: Ints
    steps: list[tuple[int, float, list[int], list[float]]]
    doubt: float

    def lifted(self, y: Bits) -> Bits:
        """The best point (n,) with these bits (k,) of the variables that are left."""
        x = np.zeros(len(self.kept) + len(self.steps), dtype=np.int8)
        x[self.kept] = y
        for i, slope, others, couplings in reversed(self.steps):
            x[i] = slope + sum(w for j, w in zip(others, couplings, strict=True) if x[j]) < 0
        return x


def eliminated(terms: Terms) -> Eliminated:
    """Take out variables until none can go by itself. Time linear in the products, about."""
    work = _Elimination(terms)
    work.run()
    left = np.array([i for i, gone in enumerate(work.gone) if not gone], dtype=np.int64)
    place = np.full(terms.n, -1, dtype=np.int64)
    place[left] = np.arange(len(left))
    found = [(place[i], place[j], w) for i in left.tolist() for j, w in work.couplings[i].items() if i < j]
    i, j, value = zip(*found, strict=True) if found else ((), (), ())
    core = Terms(
        np.array(work.linear, dtype=np.float64)[left],
        np.array(i, dtype=np.int64),
        np.array(j, dtype=np.int64),
        np.array(value, dtype=np.float64),
        work.offset,
    )
    return Eliminated(core, left, work.steps, work.doubt)


class _Elimination:
    """Terms as dictionaries, while variables go."""

    def __init__(self, terms: Terms) -> None:
        self.linear, self.offset, self.doubt = terms.linear.tolist(), terms.offset, 0.0
        self.couplings: list[dict[int, float]] = [{} for _ in range(terms.n)]
        for i, j, w in zip(terms.i.tolist(), terms.j.tolist(), terms.value.tolist(), strict=True):
            self.couplings[i][j] = self.couplings[j][i] = w
        self.gone, self.steps = [False] * terms.n, list[tuple[int, float, list[int], list[float]]]()
        self.waiting = list(range(terms.n))

    def run(self) -> None:
        """Look at every variable, and again at the neighbours of each that went."""
        while self.waiting:
            i = self.waiting.pop()
            if not self.gone[i]:
                self._look(i)

    def _look(self, i: int) -> None:
        others = self.couplings[i]
        low = self.linear[i] + sum(min(w, 0.0) for w in others.values())
        high = self.linear[i] + sum(max(w, 0.0) for w in others.values())
        if low >= 0.0 or high <= 0.0:
            self._force(i, one=low < 0.0)
        elif len(others) <= STAR:
            self._star(i)
        else:
            self._follow(i, low, high)

    def _remove(self, i: int) -> tuple[float, list[int], list[float]]:
        """Take i out; its slope, neighbours and couplings, which the way back needs."""
        slope, others = self.linear[i], list(self.couplings[i])
        couplings = [self.couplings[i][j] for j in others]
        for j in others:
            del self.couplings[j][i]
        self.couplings[i], self.gone[i] = {}, True
        self.waiting += others
        self.steps.append((i, slope, others, couplings))
        size = abs(slope) + sum(map(abs, couplings)) + sum(abs(self.linear[j]) for j in others)
        self.doubt += UNIT * (16 * size + abs(self.offset))
        return slope, others, couplings

    def _couple(self, i: int, j: int, w: float) -> None:
        now = self.couplings[i].get(j, 0.0)
        after = now + w
        self.doubt += UNIT * abs(after)
        # What rounding alone leaves behind is no coupling.
        if abs(after) <= 4 * UNIT * max(abs(now), abs(w)):
            self.doubt += abs(after)
            if now:
                del self.couplings[i][j], self.couplings[j][i]
        else:
            self.couplings[i][j] = self.couplings[j][i] = after

    def _force(self, i: int, *, one: bool) -> None:
        slope, others, couplings = self._remove(i)
        if one:
            self.offset += slope
            for j, w in zip(others, couplings, strict=True):
                self.linear[j] += w

    def _star(self, i: int) -> None:
        """Put min(0, slope of i) in place of i, as a quadratic function of its neighbours, if it is one."""
        slope, values = self.linear[i], list(self.couplings[i].values())
        least = [
            min(0.0, slope + sum(w for k, w in enumerate(values) if mask >> k & 1))
            for mask in range(1 << len(values))
        ]
        if len(values) == STAR:
            cubic = sum((-1) ** (STAR - mask.bit_count()) * value for mask, value in enumerate(least))
            if abs(cubic) > 16 * UNIT * (abs(slope) + sum(map(abs, values))):
                return
            self.doubt += abs(cubic)
        _, others, _ = self._remove(i)
        self.offset += least[0]
        for k, one in enumerate(others):
            self.linear[one] += least[1 << k] - least[0]
            for m in range(k):
                both = least[1 << k | 1 << m] - least[1 << k] - least[1 << m] + least[0]
                self._couple(one, others[m], both)

    def _follow(self, i: int, low: float, high: float) -> None:
        """Put x_j or 1 − x_j in place of x_i where one coupling outweighs all else that moves i."""
        for j, w in self.couplings[i].items():
            least, most = low - min(w, 0.0), high - max(w, 0.0)
            if least >= 0.0 >= most + w:
                self._equal(i, j)
                return
            if most <= 0.0 <= least + w:
                self._opposite(i, j)
                return

    def _equal(self, i: int, j: int) -> None:
        slope, others, couplings = self._remove(i)
        self.linear[j] += slope
        for k, w in zip(others, couplings, strict=True):
            if k == j:
                self.linear[j] += w
            else:
                self._couple(j, k, w)

    def _opposite(self, i: int, j: int) -> None:
        slope, others, couplings = self._remove(i)
        self.offset += slope
        self.linear[j] -= slope
        for k, w in zip(others, couplings, strict=True):
            if k != j:
                self.linear[k] += w
                self._couple(j, k, -w)


def components(terms: Terms) -> list[tuple[Ints, Terms]]:
    """The parts of terms that no product joins, smallest first: their variables, and their own terms.

    Their offsets are 0: the sum of their values, with the offset of the whole, is the value of the whole.
    """
    n = terms.n
    graph = sp.csr_array((np.ones(len(terms.i)), (terms.i, terms.j)), shape=(n, n))
    count, label = connected_components(graph, directed=False) if n else (0, np.zeros(0, dtype=np.int64))
    place, found = np.zeros(n, dtype=np.int64), []
    for one in range(count):
        members = np.flatnonzero(label == one)
        place[members] = np.arange(len(members))
        own = label[terms.i] == one
        part = Terms(terms.linear[members], place[terms.i[own]], place[terms.j[own]], terms.value[own], 0.0)
        found.append((members, part))
    return sorted(found, key=lambda pair: len(pair[0]))


def contracted(terms: Terms, group: Ints, flip: Bits, count: int) -> tuple[Terms, float]:
    """Terms over groups: x_i is z_group(i), or 1 − that where flipped; what rounding may have moved them by.

    Parameters:
        group: (n,) of each variable, −1 where it is 0, or 1 if flipped.
        flip: (n,) 0 or 1.
        count: how many groups there are.
    """
    sign, base = 1.0 - 2.0 * flip, flip.astype(np.float64)
    i, j, a = terms.i, terms.j, terms.value
    slope = terms.linear.copy()
    np.add.at(slope, i, a * base[j])
    np.add.at(slope, j, a * base[i])
    # The last place takes what belongs to no group.
    linear = np.zeros(count + 1)
    np.add.at(linear, group, sign * slope)
    product, both = a * sign[i] * sign[j], (group[i] >= 0) & (group[j] >= 0)
    same = both & (group[i] == group[j])
    np.add.at(linear, group[i[same]], product[same])
    apart = both & ~same
    ends = group[i[apart]], group[j[apart]]
    pairs = sp.csr_array((product[apart], (np.minimum(*ends), np.maximum(*ends))), shape=(count, count))
    pairs.sum_duplicates()
    pairs.eliminate_zeros()
    pairs = pairs.tocoo()
    offset = terms.offset + terms.linear @ base + a @ (base[i] * base[j])
    size = np.abs(terms.linear).sum() + np.abs(a).sum() + abs(terms.offset)
    made = Terms(
        linear[:-1], pairs.row.astype(np.int64), pairs.col.astype(np.int64), pairs.data, float(offset)
    )
    return made, float((64 + terms.n) * UNIT * size)
