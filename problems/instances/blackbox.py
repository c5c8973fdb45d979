"""BlackBox: minimise a counted, cached function of bits, such as a masked network's error."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import Bits, Floats, bits, count, frozen, plain_array
from ..errors import InputError
from .over_bits import OverBits, first_ones, permutations

__all__ = ["BlackBox"]


class BlackBox(OverBits):
    """Minimise evaluate(bits) over n binary variables, optionally with exactly K ones.

    Only a new point calls `evaluate`; `evaluations` counts those calls, the budget that refiners share.

    Parameters:
        evaluate: bits (k, n) int8 → losses (k,), lower is better.
        n: number of variables.
        start: (n,) a solution to begin with; it must keep to K.
        K: number of ones, or None where any number will do.

    Attributes:
        evaluations: points that `evaluate` was asked for.
        resolution: 0, since every loss is a stored number.

    Raises:
        InputError: a start of the wrong shape or with another number of ones, or a K outside [0, n].
    """

    counted = True
    sparse = False
    offset = 0.0
    start: Bits

    def __init__(self, evaluate: Callable[[Bits], Any], n: int, *, start: Any, K: int | None = None) -> None:
        if not callable(evaluate):
            raise InputError(f"evaluate must be a function of points (k, n), got a {type(evaluate).__name__}")
        self._n = count(n, name="n", low=0)
        self.K = None if K is None else count(K, name="K", low=0, high=self.n)
        self.start = frozen(bits(start, shape=self.shape))
        self.evaluations = 0
        self.resolution = 0.0
        self._evaluate = evaluate
        self._cache: dict[bytes, float] = {}
        if self.violation(self.start):
            raise InputError(f"start must have K = {self.K} ones, got {int(self.start.sum())}")

    @property
    def n(self) -> int:
        """Number of variables."""
        return self._n

    @property
    def exact(self) -> bool:
        """Whether there is a K."""
        return self.K is not None

    @property
    def settled(self) -> bool:
        """Whether K asks for all ones or for none."""
        return self.K in (0, self.n)

    @property
    def solutions(self) -> int:
        """All 2ⁿ, or the choices of K."""
        return 1 << self.n if self.K is None else math.comb(self.n, self.K)

    def losses(self, x: Any) -> Floats:
        """Losses (k,) of k solutions (k, n); points seen before cost nothing."""
        points = self.points(x)
        keys = [point.tobytes() for point in points]
        fresh = {key: i for i, key in enumerate(keys) if key not in self._cache}
        if fresh:
            self._cache.update(zip(fresh, self._measure(points[list(fresh.values())]), strict=True))
        return np.array([self._cache[key] for key in keys])

    def _measure(self, points: Bits) -> list[float]:
        values = plain_array(self._evaluate(points), name="the losses of evaluate")
        if values.dtype.kind not in "biuf":
            raise InputError(f"evaluate must return real numbers, got dtype {values.dtype}")
        values = values.astype(np.float64)
        if values.shape != (len(points),):
            raise InputError(
                f"evaluate must return shape ({len(points)},), a loss a point, got {values.shape}"
            )
        if np.isnan(values).any():
            raise InputError("evaluate must return numbers, got NaN; return infinity where there is no loss")
        self.evaluations += len(points)
        return [float(value) for value in values]

    def violation(self, x: Any) -> float:
        """|Σx − K|; 0 where there is no K."""
        ones = int(self.bits(x).sum())
        return 0.0 if self.K is None else float(abs(ones - self.K))

    def baseline(self) -> Bits:
        """The starting point."""
        return np.array(self.start)

    def random(self, rng: np.random.Generator, count: int) -> Bits:
        """Fair coins (count, n), or K ones of each in random places."""
        if self.K is None:
            return rng.integers(0, 2, (count, self.n), dtype=np.int8)
        return self.repair(np.ones((count, self.n), dtype=np.int8), permutations(rng, count, self.n))

    def repair(self, x: Any, order: Any = None) -> Bits:
        """Points (k, n) whose ones stay in `order` while there are at most K; others follow."""
        points = self.points(x)
        if self.K is None:
            return points
        order = np.broadcast_to(np.arange(self.n) if order is None else order, points.shape)
        return first_ones(points, order, self.K)

    def content(self) -> dict[str, Any]:
        """All but the function."""
        return {"n": self.n, "K": self.K, "start": self.start}
