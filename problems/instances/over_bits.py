"""OverBits: what the shapes over n bits share, and how bits are fitted into a capacity."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import Bits, Floats, bits

__all__ = ["OverBits", "first_ones", "permutations", "within"]


class OverBits(ABC):
    """A shape whose solutions are n bits; nothing constrains them unless a subclass says so."""

    levels = 2
    start: Bits | None = None
    counted = False
    evaluations = 0

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of variables."""

    @abstractmethod
    def losses(self, x: Any) -> Floats:
        """Losses (k,) of k points (k, n)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a solution."""
        return (self.n,)

    @property
    def free(self) -> int:
        """Number of variables, none of which is fixed."""
        return self.n

    @property
    def largest_part(self) -> int:
        """The whole is the one part."""
        return self.n

    @property
    def coupled_pairs(self) -> int:
        """Every pair, unless a subclass knows better."""
        return self.n * (self.n - 1) // 2

    def bits(self, x: Any) -> Bits:
        """`x` checked: shape (n,), values 0 and 1."""
        return bits(x, shape=self.shape)

    def points(self, x: Any) -> Bits:
        """`x` checked: k points (k, n), values 0 and 1."""
        return bits(x, shape=(len(x), self.n))

    def loss(self, x: Any) -> float:
        """Loss of one point in float64, feasible or not."""
        return float(self.losses(self.bits(x)[None])[0])


def permutations(rng: np.random.Generator, count: int, n: int) -> npt.NDArray[np.int64]:
    """`count` random orders (count, n) of n variables."""
    return rng.permuted(np.tile(np.arange(n), (count, 1)), axis=1)


def first_ones(x: Bits, order: Any, K: int) -> Bits:
    """Points (k, n) with exactly K ones: those of x in order while they fit, then others in order."""
    ones = np.take_along_axis(x, order, axis=1)
    missing = K - ones.sum(axis=1, keepdims=True, dtype=np.int64)
    kept = np.where(ones == 1, ones.cumsum(axis=1, dtype=np.int64) <= K, False)
    added = np.where(ones == 0, (1 - ones).cumsum(axis=1, dtype=np.int64) <= missing, False)
    return _in_place(kept | added, order)


def within(x: Bits, order: Any, costs: Floats, limit: float) -> Bits:
    """Points (k, n) with the ones of x in order for as long as their costs add up to no more than `limit`."""
    used = np.cumsum(np.take_along_axis(x * costs, order, axis=1), axis=1)
    return x & _in_place(used <= limit, order)


def _in_place(chosen: Any, order: Any) -> Bits:
    """What is chosen in an order, as bits of the variables."""
    x = np.zeros(chosen.shape, dtype=np.int8)
    np.put_along_axis(x, order, chosen.astype(np.int8), axis=1)
    return x
