"""Terms: the linear and quadratic terms of a file, and the instance that they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ..arrays import Floats
from ..errors import InputError
from ..instances.capacity import Capacity
from ..instances.qubo import Qubo

__all__ = ["Indices", "Row", "Terms", "sums"]

Indices = npt.NDArray[np.int64]

SMALL = 500
"""Up to this many variables a dense matrix costs nothing worth saving."""

SPARSE = 0.1
"""Share of the matrix below which a larger one is kept sparse."""


@dataclass(frozen=True)
class Row:
    """One linear constraint: low ≤ costs·x ≤ high, either of which may be infinite."""

    costs: Floats
    low: float
    high: float


@dataclass(frozen=True)
class Terms:
    """Σ linear_i·x_i + Σ_k value_k·x_i(k)·x_j(k) + offset: every pair counts once, repeated ones add up.

    Parameters:
        linear: (n,) coefficients.
        i: (m,) first variable of each product.
        j: (m,) second variable; equal to the first where the file has a square.
        value: (m,) coefficients.
        offset: constant term.
    """

    linear: Floats
    i: Indices
    j: Indices
    value: Floats
    offset: float = 0.0

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self.linear)

    @classmethod
    def of(cls, instance: Qubo | Capacity) -> Terms:
        """The terms of an instance's objective, each pair once with i < j."""
        qubo = instance.qubo
        upper = sp.triu(qubo.couplings, k=1, format="coo")
        i, j = upper.row.astype(np.int64), upper.col.astype(np.int64)
        return cls(qubo.linear, i, j, 2 * upper.data, qubo.offset)

    @classmethod
    def of_spins(cls, linear: Floats, i: Indices, j: Indices, value: Floats, *, offset: float) -> Terms:
        """The same terms over spins s = 2x − 1 ∈ {−1, 1}, told over x ∈ {0, 1}."""
        square = i == j  # s² = 1
        pairs = np.where(square, 0.0, value)
        lost = sums(i, pairs, len(linear)) + sums(j, pairs, len(linear))
        constant = offset - float(linear.sum()) + float(value.sum())
        return cls(2 * linear - 2 * lost, i[~square], j[~square], 4 * value[~square], constant)

    def over_bits(self, spins: Any) -> Terms:
        """The same function where the variables marked in (n,) are spins s = 2x − 1, told over bits."""
        if not spins.any():
            return self
        # Each variable is a·x + b; a square is that of a bit, and 1 of a spin.
        a, b = np.where(spins, 2.0, 1.0), np.where(spins, -1.0, 0.0)
        i, j, value, square = self.i, self.j, self.value, self.i == self.j
        apart, n = np.where(square, 0.0, value), self.n
        own = sums(i, np.where(square & ~spins[i], value, 0.0), n)
        lost = sums(i, apart * a[i] * b[j], n) + sums(j, apart * a[j] * b[i], n)
        constant = float((self.linear * b).sum() + (apart * b[i] * b[j]).sum())
        constant += float(np.where(square & spins[i], value, 0.0).sum())
        pairs = (i[~square], j[~square], (value * a[i] * a[j])[~square])
        return Terms(self.linear * a + own + lost, *pairs, self.offset + constant)

    def scaled(self, factor: float) -> Terms:
        """All terms times `factor`; −1 turns a maximum into a minimum."""
        # Adding 0 makes −0 a plain 0.
        linear, value = factor * self.linear + 0.0, factor * self.value + 0.0
        return Terms(linear, self.i, self.j, value, factor * self.offset + 0.0)

    def qubo(self) -> Qubo:
        """The instance: CSR where n > 500 and less than a tenth of the matrix is there, else dense."""
        return Qubo(self._matrix(), self.offset)

    def under(self, row: Row) -> Capacity:
        """The instance with the row as its capacity.

        Raises:
            InputError: the row is neither a Σ x_i = K nor a Σ c_i·x_i ≤ K with positive c over all variables.
        """
        costs, K = _capacity(row)
        return Capacity(self._matrix(), costs, K, self.offset)

    def _matrix(self) -> Any:
        n, diagonal = self.n, np.arange(self.n)
        i, j = np.concatenate([self.i, diagonal]), np.concatenate([self.j, diagonal])
        values = np.concatenate([self.value, self.linear])
        matrix = sp.coo_array((values, (i, j)), shape=(n, n)).tocsr()
        matrix.eliminate_zeros()
        return matrix if n > SMALL and 2 * matrix.nnz < SPARSE * n * n else matrix.toarray()


def sums(indices: Indices, values: Floats, n: int) -> Floats:
    """The sum of the values at each index, (n,)."""
    return np.asarray(np.bincount(indices, values, n), dtype=np.float64)


def _capacity(row: Row) -> tuple[Floats, float]:
    """Costs and K of a row.

    Equal coefficients of an equation are divided out. An inequality over equal coefficients is doubled if
    these are 1, as unit costs would make it an equation.
    """
    costs, low, high = row.costs, row.low, row.high
    if low == high and costs.size and np.all(costs == costs[0]) and costs[0] != 0:
        return np.ones(len(costs)), low / float(costs[0])
    if (costs < 0).all():
        costs, low, high = -costs, -high, -low
    if not (costs > 0).all():
        raise InputError(
            "every variable must have a positive coefficient in the constraint, no other is a capacity"
        )
    if low > 0 or not np.isfinite(high):
        raise InputError(
            "the constraint must be x1 + ... + xn = K or c1 x1 + ... + cn xn <= K with positive c"
        )
    return (2 * costs, 2 * high) if np.all(costs == 1) else (costs, high)
