"""Variables of a sparse Qubo that can go exactly: forced ones, those of few neighbours, followers.

A variable whose slope cannot change sign is forced. One of at most two neighbours leaves behind the lower of
its two values, which is a quadratic function of them; so does one of three where that has no cubic term, the
star–triangle relation of spin glasses. One that a single coupling outweighs equals that neighbour or its
opposite. Boros & Hammer 2002; Liers et al. 2004; Rehfeldt, Koch & Shinano 2023, arXiv:2202.02305.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import scipy.sparse as sp

from ...problems import Qubo
from ...problems.arrays import Bits, Floats
from .forests import labels
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

    @property
    def resolution(self) -> float:
        """What rounding may lose of a sum of all terms."""
        return 1e-13 * float(np.abs(self.linear).sum() + np.abs(self.value).sum() + abs(self.offset))

    def of(self, x: Bits) -> float:
        """The value at x (n,)."""
        return float(self.offset + self.linear @ x + self.value @ (x[self.i] * x[self.j]))

    def least(self) -> float:
        """A lower bound on all values: what the variables save at most, one by one."""
        falls, half = self.linear.copy(), np.minimum(self.value, 0.0) / 2
        np.add.at(falls, self.i, half)
        np.add.at(falls, self.j, half)
        return float(self.offset + np.minimum(falls, 0.0).sum() - self.resolution)


def terms_of(qubo: Qubo) -> Terms:
    """The terms of a Qubo."""
    i, j, value = products(qubo)
    return Terms(np.array(qubo.linear), i, j, value, qubo.offset)


class Steps(NamedTuple):
    """How variables went, in that order.

    Attributes:
        variable, slope: (k,) which one, and its slope where all its neighbours then are 0.
        end: (k,) where its neighbours end in the next two.
        other, coupling: (r,) those neighbours, and its couplings with them.
    """

    variable: Ints
    slope: Floats
    end: Ints
    other: Ints
    coupling: Floats


class Eliminated(NamedTuple):
    """What is left of terms, and the way back.

    Attributes:
        core: terms of the variables that are left.
        kept: (k,) their numbers before.
        steps: of the variables that went.
        doubt: most by which rounding moved any value.
    """

    core: Terms
    kept: Ints
    steps: Steps
    doubt: float

    def lifted(self, y: Bits) -> Bits:
        """The best point (n,) with these bits (k,) of the variables that are left."""
        x = np.zeros(len(self.kept) + len(self.steps.variable), dtype=np.int8)
        x[self.kept] = y
        _lift(x, *self.steps)
        return x


def eliminated(terms: Terms) -> Eliminated:
    """Take out variables until none can go by itself. Time linear in the products, about."""
    work = _begun(terms)
    while not _eliminate(work, STAR):
        longer = 2 * len(work.other) + int(work.degree.max())
        work = work._replace(other=np.resize(work.other, longer), coupling=np.resize(work.coupling, longer))
    left = np.flatnonzero(~work.gone)
    place = np.full(terms.n, -1, dtype=np.int64)
    place[left] = np.arange(len(left))
    live = np.flatnonzero(work.alive)
    ends = place[work.to[2 * live + 1]], place[work.to[2 * live]]
    core = Terms(
        work.linear[left], np.minimum(*ends), np.maximum(*ends), work.value[live], float(work.sums[0])
    )
    k, entries = work.marks[1:3]
    steps = Steps(
        work.variable[:k], work.slope[:k], work.end[:k], work.other[:entries], work.coupling[:entries]
    )
    return Eliminated(core, left, steps, float(work.sums[1]))


class _Work(NamedTuple):
    """Terms while variables go: edge k is in the lists of its two ends, as 2k in that of i and 2k + 1 in j's.

    What takes it is compiled into its callers, or numba counts references to all of these at every call.

    Attributes:
        linear, degree, gone, queued: (n,) of the variables.
        head, after, before, to: the lists; −1 ends one.
        value, alive: (m,) of the edges.
        sums: offset and doubt.
        marks: how many variables wait and how many went, entries of their neighbours, and free edges.
        waiting, free: (n,), (m,) stacks.
        variable, slope, end, other, coupling: of the steps.
    """

    linear: Any
    degree: Any
    gone: Any
    queued: Any
    head: Any
    after: Any
    before: Any
    to: Any
    value: Any
    alive: Any
    sums: Any
    marks: Any
    waiting: Any
    free: Any
    variable: Any
    slope: Any
    end: Any
    other: Any
    coupling: Any


def _begun(terms: Terms) -> _Work:
    n, m = terms.n, len(terms.i)
    ends = np.stack([terms.j, terms.i], axis=1).ravel()
    work = _Work(
        np.array(terms.linear, dtype=np.float64), np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_),
        np.ones(n, dtype=np.bool_), np.full(n, -1), np.full(2 * m, -1), np.full(2 * m, -1), ends,
        np.array(terms.value, dtype=np.float64), np.ones(m, dtype=np.bool_), np.array([terms.offset, 0.0]),
        np.array([n, 0, 0, 0]), np.arange(n), np.zeros(m, dtype=np.int64), np.zeros(n, dtype=np.int64),
        np.zeros(n), np.zeros(n, dtype=np.int64), np.zeros(3 * n, dtype=np.int64), np.zeros(3 * n),
    )  # fmt: skip
    _link_all(work)
    return work


@numba.njit(cache=True, nogil=True)
def _link_all(work: Any) -> None:
    for half in range(work.to.size - 1, -1, -1):
        _link(work, work.to[half ^ 1], half)


@numba.njit(cache=True, nogil=True, inline="always")
def _link(work: Any, i: int, half: int) -> None:
    """Put half an edge first in the list of i."""
    first = work.head[i]
    work.after[half], work.before[half], work.head[i] = first, -1, half
    if first >= 0:
        work.before[first] = half
    work.degree[i] += 1


@numba.njit(cache=True, nogil=True, inline="always")
def _unlink(work: Any, i: int, half: int) -> None:
    before, after = work.before[half], work.after[half]
    if before >= 0:
        work.after[before] = after
    else:
        work.head[i] = after
    if after >= 0:
        work.before[after] = before
    work.degree[i] -= 1


@numba.njit(cache=True, nogil=True, inline="always")
def _cut(work: Any, half: int) -> None:
    """Take an edge out of both lists."""
    _unlink(work, work.to[half ^ 1], half)
    _unlink(work, work.to[half], half ^ 1)
    edge = half >> 1
    work.alive[edge], work.free[work.marks[3]] = False, edge
    work.marks[3] += 1


@numba.njit(cache=True, nogil=True)
def _eliminate(work: Any, star: int) -> bool:
    """Look at every variable, and again at neighbours of those that went; False where there is no room."""
    while work.marks[0] > 0:
        i = work.waiting[work.marks[0] - 1]
        if work.marks[2] + work.degree[i] > work.other.size:
            return False
        work.marks[0] -= 1
        work.queued[i] = False
        if not work.gone[i]:
            _look(work, i, star)
    return True


@numba.njit(cache=True, nogil=True, inline="always")
def _look(work: Any, i: int, star: int) -> None:
    low = high = work.linear[i]
    half = work.head[i]
    while half >= 0:
        low += min(work.value[half >> 1], 0.0)
        high += max(work.value[half >> 1], 0.0)
        half = work.after[half]
    if low >= 0.0 or high <= 0.0:
        _force(work, i, low < 0.0)
    elif work.degree[i] <= star:
        _star(work, i)
    else:
        _follow(work, i, low, high)


@numba.njit(cache=True, nogil=True, inline="always")
def _remove(work: Any, i: int) -> int:
    """Take i out and write its step; where its neighbours begin there."""
    begin = end = work.marks[2]
    size = abs(work.linear[i])
    while work.head[i] >= 0:
        half = work.head[i]
        j, w = work.to[half], work.value[half >> 1]
        work.other[end], work.coupling[end] = j, w
        size += abs(w) + abs(work.linear[j])
        end += 1
        _cut(work, half)
        if not work.queued[j]:
            work.queued[j], work.waiting[work.marks[0]] = True, j
            work.marks[0] += 1
    step = work.marks[1]
    work.variable[step], work.slope[step], work.end[step] = i, work.linear[i], end
    work.gone[i], work.marks[1], work.marks[2] = True, step + 1, end
    work.sums[1] += UNIT * (16 * size + abs(work.sums[0]))
    return int(begin)


@numba.njit(cache=True, nogil=True, inline="always")
def _couple(work: Any, i: int, j: int, w: float) -> None:
    if work.degree[i] > work.degree[j]:
        i, j = j, i
    half = work.head[i]
    while half >= 0 and work.to[half] != j:
        half = work.after[half]
    now = work.value[half >> 1] if half >= 0 else 0.0
    after = now + w
    work.sums[1] += UNIT * abs(after)
    # What rounding alone leaves behind is no coupling.
    if abs(after) <= 4 * UNIT * max(abs(now), abs(w)):
        work.sums[1] += abs(after)
        if half >= 0:
            _cut(work, half)
    elif half >= 0:
        work.value[half >> 1] = after
    else:
        # No step joins more pairs than it parts, so that an edge is free.
        work.marks[3] -= 1
        edge = work.free[work.marks[3]]
        work.value[edge], work.alive[edge] = after, True
        work.to[2 * edge], work.to[2 * edge + 1] = j, i
        _link(work, i, 2 * edge)
        _link(work, j, 2 * edge + 1)


@numba.njit(cache=True, nogil=True, inline="always")
def _force(work: Any, i: int, one: bool) -> None:
    begin = _remove(work, i)
    if one:
        work.sums[0] += work.linear[i]
        for k in range(begin, work.marks[2]):
            work.linear[work.other[k]] += work.coupling[k]


@numba.njit(cache=True, nogil=True, inline="always")
def _star(work: Any, i: int) -> None:
    """Put min(0, slope of i) in place of i, as a quadratic function of its neighbours, if it is one."""
    count, half = work.degree[i], work.head[i]
    values, least = np.zeros(3), np.zeros(8)
    for k in range(count):
        values[k] = work.value[half >> 1]
        half = work.after[half]
    for mask in range(1 << count):
        slope = work.linear[i]
        for k in range(count):
            slope += values[k] if mask >> k & 1 else 0.0
        least[mask] = min(0.0, slope)
    if count == 3:
        cubic = least[7] - least[6] - least[5] - least[3] + least[1] + least[2] + least[4] - least[0]
        if abs(cubic) > 16 * UNIT * (abs(work.linear[i]) + np.abs(values).sum()):
            return
        work.sums[1] += abs(cubic)
    begin = _remove(work, i)
    work.sums[0] += least[0]
    for k in range(count):
        work.linear[work.other[begin + k]] += least[1 << k] - least[0]
        for m in range(k):
            both = least[1 << k | 1 << m] - least[1 << k] - least[1 << m] + least[0]
            _couple(work, work.other[begin + k], work.other[begin + m], both)


@numba.njit(cache=True, nogil=True, inline="always")
def _follow(work: Any, i: int, low: float, high: float) -> None:
    """Put x_j or 1 − x_j in place of x_i where one coupling outweighs all else that moves i."""
    half = work.head[i]
    while half >= 0:
        w = work.value[half >> 1]
        least, most = low - min(w, 0.0), high - max(w, 0.0)
        if least >= 0.0 >= most + w:
            _replace(work, i, work.to[half], False)
            return
        if most <= 0.0 <= least + w:
            _replace(work, i, work.to[half], True)
            return
        half = work.after[half]


@numba.njit(cache=True, nogil=True, inline="always")
def _replace(work: Any, i: int, j: int, opposite: bool) -> None:
    """x_i = x_j, or 1 − x_j."""
    begin = _remove(work, i)
    work.sums[0] += work.linear[i] if opposite else 0.0
    work.linear[j] += -work.linear[i] if opposite else work.linear[i]
    for k in range(begin, work.marks[2]):
        other, w = work.other[k], work.coupling[k]
        if other == j:
            work.linear[j] += 0.0 if opposite else w
        else:
            if opposite:
                work.linear[other] += w
            _couple(work, j, other, -w if opposite else w)


@numba.njit(cache=True, nogil=True)
def _lift(x: Any, variable: Any, slope: Any, end: Any, other: Any, coupling: Any) -> None:
    for step in range(variable.size - 1, -1, -1):
        total = slope[step]
        for k in range(end[step - 1] if step else 0, end[step]):
            total += coupling[k] * x[other[k]]
        x[variable[step]] = total < 0


def components(terms: Terms) -> list[tuple[Ints, Terms]]:
    """The parts of terms that no product joins, smallest first: their variables, and their own terms.

    Their offsets are 0: the sum of their values, with the offset of the whole, is the value of the whole.
    """
    count, label = labels(terms.n, terms.i, terms.j)
    if count == 1:
        return [(np.arange(terms.n), terms._replace(offset=0.0))]
    by_label, own = np.argsort(label, kind="stable"), np.argsort(label[terms.i], kind="stable")
    sizes, many = np.bincount(label, minlength=count), np.bincount(label[terms.i], minlength=count)
    place = np.empty(terms.n, dtype=np.int64)
    place[by_label] = np.arange(terms.n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    found = []
    for members, edges in zip(_split(by_label, sizes), _split(own, many), strict=True):
        ends = place[terms.i[edges]], place[terms.j[edges]]
        found.append((members, Terms(terms.linear[members], *ends, terms.value[edges], 0.0)))
    return sorted(found, key=lambda pair: len(pair[0]))


def _split(order: Ints, sizes: Ints) -> list[Ints]:
    """Pieces of these sizes."""
    return np.split(order, np.cumsum(sizes)[:-1]) if len(sizes) else []


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
