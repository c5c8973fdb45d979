"""Capacity: a Qubo whose kept variables (x = 1) must fill, or fit into, a capacity."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import dimod
import numpy as np

from ..arrays import Bits, Floats, number, real
from ..errors import InputError
from .npz import matrix_arrays, matrix_from, read_instance, write_arrays
from .qubo import Qubo

__all__ = ["Capacity", "of_removed"]


@dataclass(frozen=True, eq=False)
class Capacity:
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
        return int(self.Q.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a solution."""
        return (self.n,)

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
    def resolution(self) -> float:
        """Loss difference below which float64 sums in another order may disagree."""
        return self.qubo.resolution

    def bits(self, x: Any) -> Bits:
        """`x` checked: shape (n,), values 0 and 1."""
        return self.qubo.bits(x)

    def losses(self, x: Any) -> Floats:
        """Losses (k,) of k solutions (k, n), whether they keep to the capacity or not."""
        return self.qubo.losses(x)

    def loss(self, x: Any) -> float:
        """xᵀQx + offset in float64, whether x keeps to the capacity or not."""
        return self.qubo.loss(x)

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
        arrays = matrix_arrays(self.Q) | {"costs": self.costs, "K": self.K, "offset": self.offset}
        write_arrays(path, "capacity", arrays)

    @classmethod
    def load(cls, path: str | Path) -> Capacity:
        """Read what `save` wrote."""
        return read_instance(
            path,
            "capacity",
            lambda arrays: cls(matrix_from(arrays), arrays["costs"], arrays["K"], arrays["offset"]),
        )


def of_removed(linear: Floats, quadratic: Floats) -> tuple[Floats, float]:
    """Q (n, n) and offset of lᵀr + rᵀAr in what is kept, x = 1 − r.

    rᵀAr = 1ᵀA1 − 2(A1)ᵀx + xᵀAx for symmetric A, and lᵀr = lᵀ1 − lᵀx.
    """
    sums = quadratic.sum(axis=1)
    return quadratic - np.diag(linear + 2 * sums), float(linear.sum() + sums.sum())
