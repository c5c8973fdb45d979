"""Tensor trains as distributions over masks: exact sampling and gradients, in kernels of O(n K rank²).

p(x) ∝ 1ᵀ G_1[x_1] … G_n[x_n] 1 where x has exactly K ones (any number for K = None), else 0: the train
times tntorch's `weight_mask(n, [K])`. The product, of rank (K + 1)·rank, is never formed: the indicator is an
automaton that counts ones, so a message along the train carries one vector of `rank` numbers for each count.
"""

from __future__ import annotations

import numba
import numpy as np

from ...problems.arrays import Bits, Floats

__all__ = ["Masks"]


LARGEST = 2.5
"""Of any logarithm of a core, so that no bit is ever certain."""


class Masks:
    """Positive cores exp(θ) of a tensor train over masks of n bits.

    Parameters:
        chances: (n,) probability of each bit to begin with, inside (0, 1).
        rank: rank of the train.
        K: number of ones of every mask, None where any number will do.
        rng: draws the small differences between the ways through a core, without which it stays of rank 1.

    Attributes:
        theta: (n, 2, rank, rank) logarithms of the cores.
    """

    def __init__(self, chances: Floats, rank: int, *, K: int | None, rng: np.random.Generator) -> None:
        logarithms = np.log(np.stack([1.0 - chances, chances], axis=1))[:, :, None, None]
        self.theta = logarithms + 0.1 * rng.standard_normal((len(chances), 2, rank, rank))
        self.rank = rank
        self.ones, self.counted = (0, 0) if K is None else (K, 1)
        self.rng = rng

    def draw(self, count: int) -> Bits:
        """`count` samples (count, n)."""
        return self.drawn(self.rng.random((count, len(self.theta))))

    def drawn(self, luck: Floats) -> Bits:
        """The samples (m, n) that uniform numbers (m, n) mean."""
        cores = np.exp(self.theta)
        return _draw(cores, _right(cores, self.ones, self.counted), self.counted, luck)

    def gradient(self, points: Bits, weights: Floats) -> Floats:
        """Of Σ w log p(x) over points (m, n) and weights (m,) by θ: (n, 2, rank, rank)."""
        cores = np.exp(self.theta)
        seen = _seen(cores, points, weights)
        expected = _expected(cores, _right(cores, self.ones, self.counted), self.counted)
        return np.asarray(seen - weights.sum() * expected)

    def climb(self, step: Floats) -> None:
        """Add a step to θ, as large for every rank, and keep each core's logarithms near 0."""
        # A way through a core is one of rank², and has as small a part of the gradient.
        theta = self.theta + self.rank**2 * step
        self.theta = np.clip(theta - theta.mean(axis=(1, 2, 3), keepdims=True), -LARGEST, LARGEST)


@numba.njit(cache=True, nogil=True)
def _right(cores: Floats, ones: int, counted: int) -> Floats:
    """Messages (n + 1, counts, rank): weight of all that may follow each bit after so many ones."""
    n, rank = cores.shape[0], cores.shape[2]
    right = np.zeros((n + 1, ones + 1, rank))
    for p in range(rank):
        right[n, ones, p] = 1.0
    for k in range(n - 1, -1, -1):
        largest = 0.0
        for s in range(ones + 1):
            for p in range(rank):
                total = 0.0
                for bit in range(2):
                    after = s + bit * counted
                    if after <= ones:
                        for q in range(rank):
                            total += cores[k, bit, p, q] * right[k + 1, after, q]
                right[k, s, p] = total
                largest = max(largest, total)
        for s in range(ones + 1):
            for p in range(rank):
                right[k, s, p] /= largest
    return right


@numba.njit(cache=True, nogil=True)
def _draw(cores: Floats, right: Floats, counted: int, luck: Floats) -> Bits:
    """A sample (m, n) for each row of uniform numbers (m, n), bit after bit."""
    m, n = luck.shape
    rank = cores.shape[2]
    x = np.zeros((m, n), dtype=np.int8)
    left, paths = np.empty(rank), np.empty((2, rank))
    for i in range(m):
        left[:] = 1.0
        state = 0
        for k in range(n):
            chance = np.zeros(2)
            for bit in range(2):
                after = state + bit * counted
                for q in range(rank):
                    way = 0.0
                    for p in range(rank):
                        way += left[p] * cores[k, bit, p, q]
                    paths[bit, q] = way
                    if after < right.shape[1]:
                        chance[bit] += way * right[k + 1, after, q]
            bit = 1 if luck[i, k] * (chance[0] + chance[1]) >= chance[0] else 0
            x[i, k] = bit
            state += bit * counted
            total = 0.0
            for q in range(rank):
                total += paths[bit, q]
            for q in range(rank):
                left[q] = paths[bit, q] / total
    return x


@numba.njit(cache=True, nogil=True)
def _seen(cores: Floats, points: Bits, weights: Floats) -> Floats:
    """How much the given points use each way through each core: (n, 2, rank, rank), weighted."""
    m, n = points.shape
    rank = cores.shape[2]
    uses, ahead = np.zeros(cores.shape), np.ones((n + 1, rank))
    for i in range(m):
        _behind(cores, points[i], ahead)
        left = np.ones(rank)
        for k in range(n):
            bit, whole, mass, after = points[i, k], 0.0, 0.0, np.zeros(rank)
            for p, q in np.ndindex(rank, rank):
                flow = left[p] * cores[k, bit, p, q]
                after[q] += flow
                mass += flow
                whole += flow * ahead[k + 1, q]
            for p, q in np.ndindex(rank, rank):
                uses[k, bit, p, q] += weights[i] * left[p] * cores[k, bit, p, q] * ahead[k + 1, q] / whole
            left = after / mass
    return uses


@numba.njit(cache=True, nogil=True)
def _behind(cores: Floats, point: Bits, ahead: Floats) -> None:
    """Messages from the right end (n + 1, rank) when all bits are given."""
    rank = cores.shape[2]
    for k in range(point.size - 1, -1, -1):
        total = 0.0
        for p in range(rank):
            ahead[k, p] = 0.0
            for q in range(rank):
                ahead[k, p] += cores[k, point[k], p, q] * ahead[k + 1, q]
            total += ahead[k, p]
        for p in range(rank):
            ahead[k, p] /= total


@numba.njit(cache=True, nogil=True)
def _expected(cores: Floats, right: Floats, counted: int) -> Floats:
    """How much a sample uses each way through each core on average: (n, 2, rank, rank)."""
    n, rank, counts = cores.shape[0], cores.shape[2], right.shape[1]
    uses = np.zeros(cores.shape)
    left = np.zeros((counts, rank))
    left[0] = 1.0
    for k in range(n):
        after = np.zeros((counts, rank))
        for bit in range(2):
            for s in range(counts - bit * counted):
                to = s + bit * counted
                for p, q in np.ndindex(rank, rank):
                    flow = left[s, p] * cores[k, bit, p, q]
                    after[to, q] += flow
                    uses[k, bit, p, q] += flow * right[k + 1, to, q]
        left = after / after.max()
        uses[k] /= uses[k].sum()
    return uses
