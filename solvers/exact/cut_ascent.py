"""Odd-cycle inequalities with multipliers that sweeps raise: bounds like a linear program's in milliseconds.

The dual of min w·y over rows and box is made smooth by a proximal term μ/2 |y − z|², so that each multiplier
has a best value that a pass over its row finds (Hildreth 1957); z follows y (Rockafellar 1976). Any
multipliers ≥ 0 give a bound, so that nothing hangs on how far they have come, and y lies inside the optimal
face rather than at a vertex: cuts that are violated there are deep.
"""

from __future__ import annotations

import functools
from typing import Any

import numba
import numpy as np
import scipy.sparse as sp

from ...problems.arrays import Bits, Floats
from .elimination import Ints

__all__ = ["Pool", "compiled"]

FOLLOWS = 2
"""Sweeps after which z follows y."""

LOOKS = 5 * FOLLOWS
"""Sweeps between two looks at the bound."""


class Pool:
    """Rows Σ_F y − Σ_C∖F y ≤ |F| − 1 over cycles C, each once, and their multipliers.

    Attributes:
        count: how many rows there are; the arrays below are longer.
        start: where each row begins in `edge` and `sign`, and where the last ends.
        high: right-hand sides.
        multiplier: none below 0.
        age: rounds since a row last had a multiplier.
    """

    def __init__(self) -> None:
        self.count = 0
        self.start, self.key = np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.uint64)
        self.edge, self.sign = np.zeros(0, dtype=np.int64), np.zeros(0)
        self.high, self.multiplier, self.age = np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64)
        self.table = np.full(16, -1, dtype=np.int64)

    def add(self, edges: Ints, inside: Bits, ends: Ints) -> int:
        """Take cycles in whose edges (k,) with F (k,) end there; how many were new."""
        before = self.count
        self._reserve(before + len(ends), int(self.start[before]) + len(edges))
        self.count = int(_append(*self._kept(), self.table, before, edges, inside, ends))
        return self.count - before

    def _kept(self) -> tuple[Any, Any, Any, Any, Any]:
        return self.start, self.edge, self.sign, self.high, self.key

    def _reserve(self, rows: int, entries: int) -> None:
        if rows > len(self.high):
            self.start, self.key = _longer(self.start, 2 * rows + 1), _longer(self.key, 2 * rows)
            self.high, self.multiplier = _longer(self.high, 2 * rows), _longer(self.multiplier, 2 * rows)
            self.age = _longer(self.age, 2 * rows)
        if entries > len(self.edge):
            self.edge, self.sign = _longer(self.edge, 2 * entries), _longer(self.sign, 2 * entries)
        if 2 * rows > len(self.table):
            self._index(1 << (4 * rows).bit_length())

    def _index(self, size: int) -> None:
        self.table = np.full(size, -1, dtype=np.int64)
        _indexed(self.table, self.key, self.count)

    def drop(self, age: int) -> None:
        """Rows that had no multiplier for so many rounds go."""
        if self.count and int(self.age[: self.count].max()) >= age:
            self.count = int(_drop(*self._kept(), self.multiplier, self.age, self.count, age))
            self._index(len(self.table))

    def ascend(
        self,
        price: Floats,
        least: Floats,
        most: Floats,
        y: Floats,
        stiffness: float,
        sweeps: int,
        enough: float = np.inf,
    ) -> None:
        """Raise the bound by sweeps over all rows until it is enough or they are over.

        Moves y (m,) and price (m,), w with what the rows add.
        """
        own = self.start, self.edge, self.sign, self.high, self.multiplier
        _ascend(*own, self.count, price, least, most, y, stiffness, sweeps, enough)

    @property
    def multipliers(self) -> Floats:
        """Those of the rows, (count,)."""
        return self.multiplier[: self.count]

    def matrix(self, columns: int) -> Any:
        """The rows as a CSR array (count, columns)."""
        end = self.start[self.count]
        parts = self.sign[:end], self.edge[:end], self.start[: self.count + 1]
        return sp.csr_array(parts, shape=(self.count, columns))

    def aged(self) -> None:
        """Count one round more for every row without a multiplier."""
        self.age[: self.count] = np.where(self.multipliers > 0, 0, self.age[: self.count] + 1)

    def priced(self, cost: Floats) -> tuple[Floats, float, int]:
        """Prices (m,) = w + what the rows add to it, multipliers·high, and the length of the longest row."""
        price = cost.copy()
        longest = int(_priced(self.start, self.edge, self.sign, self.multiplier, self.count, price))
        return price, float(self.multipliers @ self.high[: self.count]), longest


def _longer(array: Any, size: int) -> Any:
    grown = np.zeros(size, dtype=array.dtype)
    grown[: len(array)] = array
    return grown


@numba.njit(cache=True, nogil=True)
def _place(table: Any, key: Any, wanted: Any) -> int:
    """Where a row of this key is in the table, or would be."""
    mask = table.size - 1
    at = np.int64(wanted & np.uint64(0x3FFFFFFFFFFFFFFF)) & mask
    while table[at] >= 0 and key[table[at]] != wanted:
        at = (at + 1) & mask
    return int(at)


@numba.njit(cache=True, nogil=True)
def _indexed(table: Any, key: Any, count: int) -> None:
    for row in range(count):
        table[_place(table, key, key[row])] = row


@numba.njit(cache=True, nogil=True)
def _append(
    start: Any,
    edge: Any,
    sign: Any,
    high: Any,
    key: Any,
    table: Any,
    count: int,
    edges: Any,
    inside: Any,
    ends: Any,
) -> int:
    """Write what is new behind the rows; how many there are then. Rows of one key are taken for the same."""
    begin = 0
    for k in range(ends.size):
        mixed, odd, size = np.uint64(0), 0, ends[k] - begin
        for a in range(begin, ends[k]):
            one = np.uint64(2 * edges[a] + inside[a] + 1) * np.uint64(0x9E3779B97F4A7C15)
            one = (one ^ (one >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed += one ^ (one >> np.uint64(27))
            odd += inside[a]
        at = _place(table, key, mixed)
        if table[at] < 0:
            table[at], key[count], high[count] = count, mixed, odd - 1.0
            for a in range(size):
                edge[start[count] + a] = edges[begin + a]
                sign[start[count] + a] = 2.0 * inside[begin + a] - 1.0
            start[count + 1] = start[count] + size
            count += 1
        begin = ends[k]
    return count


@numba.njit(cache=True, nogil=True)
def _drop(
    start: Any, edge: Any, sign: Any, high: Any, key: Any, multiplier: Any, age: Any, count: int, old: int
) -> int:
    """Move the younger rows together; how many there are then."""
    left, end = 0, 0
    for row in range(count):
        if age[row] >= old:
            continue
        for k in range(start[row], start[row + 1]):
            edge[end], sign[end] = edge[k], sign[k]
            end += 1
        high[left], key[left], multiplier[left], age[left] = high[row], key[row], multiplier[row], age[row]
        left += 1
        start[left] = end
    for row in range(left, count):
        multiplier[row], age[row] = 0.0, 0
    return left


@numba.njit(cache=True, nogil=True)
def _priced(start: Any, edge: Any, sign: Any, multiplier: Any, count: int, price: Any) -> int:
    longest = 1
    for row in range(count):
        longest = max(longest, start[row + 1] - start[row])
        for k in range(start[row], start[row + 1]):
            price[edge[k]] += multiplier[row] * sign[k]
    return longest


@numba.njit(cache=True, nogil=True)
def _ascend(
    start: Any, edge: Any, sign: Any, high: Any, multiplier: Any, count: int,
    price: Any, least: Any, most: Any, y: Any, stiffness: float, sweeps: int, enough: float,
) -> None:  # fmt: skip
    free = y - price / stiffness
    inside = np.minimum(np.maximum(free, least), most)
    for sweep in range(sweeps):
        for row in range(count):
            a, b = start[row], start[row + 1]
            over = -high[row]
            for k in range(a, b):
                over += sign[k] * inside[edge[k]]
            if over > 0.0 or multiplier[row] > 0.0:
                step = max(stiffness * over / (b - a), -multiplier[row])
                multiplier[row] += step
                move = step / stiffness
                for k in range(a, b):
                    e = edge[k]
                    free[e] -= sign[k] * move
                    inside[e] = min(max(free[e], least[e]), most[e])
        if (sweep + 1) % FOLLOWS == 0:
            for e in range(y.size):
                price[e] = (y[e] - free[e]) * stiffness
                y[e] = inside[e]
                free[e] = y[e] - price[e] / stiffness
                inside[e] = min(max(free[e], least[e]), most[e])
        if (sweep + 1) % LOOKS == 0 and _bound(high, multiplier, count, price, least, most) >= enough:
            return


@numba.njit(cache=True, nogil=True)
def _bound(high: Any, multiplier: Any, count: int, price: Any, least: Any, most: Any) -> float:
    """What multipliers prove, but for what rounding adds."""
    bound = 0.0
    for row in range(count):
        bound -= multiplier[row] * high[row]
    for e in range(price.size):
        bound += min(price[e] * least[e], price[e] * most[e])
    return bound


@functools.cache
def compiled() -> None:
    """Have every kernel compiled, on a triangle that is violated and dropped."""
    pool, one = Pool(), np.ones(3)
    pool.add(np.arange(3), np.array([1, 0, 0], dtype=np.int8), np.array([3]))
    pool.ascend(np.array([-1.0, 0.5, 0.5]), 0 * one, one, one / 2, 1.0, FOLLOWS)
    pool.priced(one)
    pool.drop(0)
