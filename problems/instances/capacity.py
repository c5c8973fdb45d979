"""Capacity: a Qubo whose kept variables (x = 1) must fill, or fit into, a capacity."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import dimod
import numpy as np
import scipy.sparse as sp

from ..arrays import Bits, Floats, number, real
from ..errors import InputError
from .npz import matrix_arrays, matrix_from, read_instance, write_arrays
from .over_bits import OverBits, first_ones, permutations, within
from .qubo import Qubo

__all__ = ["Capacity", "of_removed"]


@dataclass(frozen=True, eq=False)
class Capacity(OverBits):
    """Minimise xᵀQx + offset over binary x under a capacity; x = 1 keeps.

    Unit costs: Σ x = K exactly. Other costs: Σ c·x ≤ K. The constraint is part of the instance, so no
    penalty distorts the loss; `to_bqm(penalty=...)` adds one for solvers that know nothing else.

    Parameters:
        Q: (n, n) real array or SciPy sparse matrix, in units of the loss.
        costs: (n,) positive costs, in filters, parameters or multiply–accumulates.
        K: capacity in the same unit; an integer in [0, n] for unit costs.
        offset: added to every loss.

    Attributes:
        qubo: the objective without the capacity.

    Raises:
        InputError: wrong shapes, costs that are not positive, or a K that no solution can meet.
    """

    Q: Any
    costs: Any
    K: float
    offset: float = 0.0
    qubo: Qubo = field(init=False, repr=False)

    def __post_init__(self) -> None:
        qubo = Qubo(self.Q, self.offset)
        object.__setattr__(self, "qubo", qubo)
        object.__setattr__(self, "Q", qubo.Q)
        object.__setattr__(self, "offset", qubo.offset)
        object.__setattr__(self, "costs", real(self.costs, name="costs", ndim=1))
        object.__setattr__(self, "K", number(self.K, name="K"))
        self._check()

    def _check(self) -> None:
        if self.costs.shape != (self.n,):
            raise InputError(f"costs must have shape ({self.n},) like Q, got {self.costs.shape}")
        if not (self.costs > 0).all():
            raise InputError(f"costs must be positive, got {self.costs.min():g}; leave free variables out")
        if self.exact and not (self.K.is_integer() and 0 <= self.K <= self.n):
            raise InputError(f"K must be an integer in [0, {self.n}] for unit costs, got {self.K:g}")
        if self.K < 0:
            raise InputError(f"K must not be negative, got {self.K:g}")

    @property
    def n(self) -> int:
        """Number of variables."""
        return self.qubo.n

    @property
    def coupled_pairs(self) -> int:
        """Pairs of variables with a coefficient other than 0."""
        return self.qubo.coupled_pairs

    @property
    def sparse(self) -> bool:
        """Whether Q is a SciPy sparse array."""
        return self.qubo.sparse

    @cached_property
    def exact(self) -> bool:
        """Whether the capacity must be met exactly (unit costs) rather than kept to."""
        return bool(np.all(self.costs == 1.0))

    @cached_property
    def slack(self) -> float:
        """What Σc·x may pass K by without a violation: 0 for whole costs, whose sums are exact.

        Other costs are rounded to float64 and so are their sums, each by half an ε at most.
        """
        total = float(self.costs.sum())
        whole = total < 2**53 and bool(np.all(self.costs == np.floor(self.costs)))
        return 0.0 if whole else self.n * float(np.finfo(np.float64).eps) * self.K

    @property
    def window(self) -> tuple[float, float]:
        """Ends of what Σc·x may be, but for the slack."""
        return (self.K if self.exact else -np.inf), self.K

    @property
    def settled(self) -> bool:
        """Whether all or none are kept, or nothing fits."""
        if self.exact:
            return self.K in (0, self.n)
        return bool(self.costs.min() * (1 - 1e-9) > self.K)

    @property
    def solutions(self) -> int:
        """Choices of K for unit costs, else all 2ⁿ, as those that fit are not easily counted."""
        return math.comb(self.n, int(self.K)) if self.exact else 1 << self.n

    @property
    def resolution(self) -> float:
        """Loss difference below which float64 sums in another order may disagree."""
        return self.qubo.resolution

    def losses(self, x: Any) -> Floats:
        """Losses (k,) of k solutions (k, n), whether they keep to the capacity or not."""
        return self.qubo.losses(x)

    def violation(self, x: Any) -> float:
        """|Σx − K| for unit costs, else what Σc·x exceeds K by; 0 is feasible."""
        excess = float(self.costs @ self.bits(x)) - self.K
        if self.exact:
            return abs(excess)
        return excess if excess > self.slack else 0.0

    def baseline(self) -> Bits:
        """Greedy by the linear part: keep what lowers the loss most per cost, blind to interactions."""
        x = np.zeros(self.n, dtype=np.int8)
        left = self.K
        for i in np.argsort(self.qubo.linear / self.costs, kind="stable"):
            wanted = self.exact or self.qubo.linear[i] < 0
            if wanted and self.costs[i] <= left:
                x[i] = 1
                left -= self.costs[i]
        return x

    def random(self, rng: np.random.Generator, count: int) -> Bits:
        """Variables in random order while they fit, (count, n)."""
        return self.repair(np.ones((count, self.n), dtype=np.int8), permutations(rng, count, self.n))

    def repair(self, x: Any, order: Any = None) -> Bits:
        """Points (k, n) whose ones stay in `order` while they fit; for Σx = K others follow."""
        points = self.points(x)
        order = np.broadcast_to(np.arange(self.n) if order is None else order, points.shape)
        fitted, wrong = points.copy(), np.flatnonzero(~self._feasible(points))
        # What adds up to K within the slack in one order may pass it in another.
        for limit in (self.K + self.slack, self.K):
            fitted[wrong] = self._fitted(points[wrong], order[wrong], limit)
            wrong = wrong[~self._feasible(fitted[wrong])]
        return fitted

    def _fitted(self, points: Bits, order: Any, limit: float) -> Bits:
        return (
            first_ones(points, order, int(self.K)) if self.exact else within(points, order, self.costs, limit)
        )

    def _feasible(self, points: Bits) -> Any:
        """Whether each point (k, n) has no violation; only sums near K depend on the order of summation."""
        excess = points @ self.costs - self.K
        if self.exact:
            return excess == 0.0
        near = np.flatnonzero((excess > 0.0) & (excess <= 4.0 * self.slack))
        feasible = excess <= 0.0
        feasible[near] = [self.violation(points[i]) == 0.0 for i in near]
        return feasible

    def content(self) -> dict[str, Any]:
        """Matrix, costs, K and offset."""
        return matrix_arrays(self.Q) | {"costs": self.costs, "K": self.K, "offset": self.offset}

    def to_bqm(self, *, penalty: float = 0.0) -> dimod.BinaryQuadraticModel:
        """The objective as a dimod model, plus penalty·(Σx − K)² where the capacity is exact."""
        if number(penalty, name="penalty") < 0:
            raise InputError(f"penalty must not be negative, got {penalty:g}")
        if penalty and not self.exact:
            raise InputError("a penalty needs unit costs (Σx = K); use a capacity-aware solver for Σc·x ≤ K")
        bqm = self.qubo.to_bqm()
        if penalty:
            bqm.add_linear_equality_constraint([(i, 1.0) for i in range(self.n)], penalty, -self.K)
        return bqm

    def save(self, path: str | Path) -> None:
        """Write the instance as .npz."""
        write_arrays(path, "capacity", self.content())

    @classmethod
    def load(cls, path: str | Path) -> Capacity:
        """Read what `save` wrote."""
        return read_instance(
            path,
            "capacity",
            lambda arrays: cls(matrix_from(arrays), arrays["costs"], arrays["K"], arrays["offset"]),
        )


def of_removed(linear: Floats, quadratic: Any) -> tuple[Any, float]:
    """Q (n, n) and offset of lᵀr + rᵀAr in what is kept, x = 1 − r; Q is sparse where A is.

    rᵀAr = 1ᵀA1 − 2(A1)ᵀx + xᵀAx for symmetric A, and lᵀr = lᵀ1 − lᵀx.
    """
    sums = np.asarray(quadratic.sum(axis=1)).ravel()
    own = linear + 2 * sums
    diagonal = sp.diags_array(own, format="csr") if sp.issparse(quadratic) else np.diag(own)
    return quadratic - diagonal, float(linear.sum() + sums.sum())
