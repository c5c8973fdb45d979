"""Qubo: minimise xᵀQx + offset over binary x."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import dimod
import numpy as np
import scipy.sparse as sp

from ..arrays import Bits, Floats, frozen, number, real
from ..errors import InputError
from .npz import matrix_arrays, matrix_from, read_instance, write_arrays
from .over_bits import OverBits

__all__ = ["Qubo"]


@dataclass(frozen=True, eq=False)
class Qubo(OverBits):
    """A quadratic unconstrained binary optimisation instance: loss(x) = xᵀQx + offset.

    Q is kept symmetric, (Q + Qᵀ)/2, which leaves every loss as it was; its diagonal is the linear part.

    Parameters:
        Q: (n, n) real array or SciPy sparse matrix, in units of the loss.
        offset: added to every loss.

    Raises:
        InputError: Q is not square, not real, not finite, or so large that losses pass float64.
    """

    Q: Any
    offset: float = 0.0

    K = None
    exact = settled = False
    slack = 0.0
    window = (-np.inf, np.inf)

    def __post_init__(self) -> None:
        object.__setattr__(self, "Q", _symmetric(self.Q))
        object.__setattr__(self, "offset", number(self.offset, name="offset"))
        if not np.isfinite(self.resolution):
            raise InputError(f"Q must keep losses within float64, got entries up to {abs(self.Q).max():g}")

    @property
    def n(self) -> int:
        """Number of variables."""
        return int(self.Q.shape[0])

    @property
    def qubo(self) -> Qubo:
        """Itself: an objective that nothing constrains."""
        return self

    @cached_property
    def costs(self) -> Floats:
        """Zeros (n,): there is no capacity to take from."""
        return frozen(np.zeros(self.n))

    @property
    def solutions(self) -> int:
        """All 2ⁿ."""
        return 1 << self.n

    @property
    def coupled_pairs(self) -> int:
        """Pairs of variables with a coefficient other than 0."""
        entries = self.Q.count_nonzero() if self.sparse else np.count_nonzero(self.Q)
        return int(entries - np.count_nonzero(self.linear)) // 2

    @property
    def sparse(self) -> bool:
        """Whether Q is a SciPy sparse array."""
        return bool(sp.issparse(self.Q))

    @cached_property
    def linear(self) -> Floats:
        """Diagonal of Q, (n,)."""
        return frozen(np.asarray(self.Q.diagonal(), dtype=np.float64))

    @cached_property
    def couplings(self) -> Any:
        """Q without its diagonal: dense (n, n), or CSR where Q is sparse. A pair counts twice in the loss."""
        if self.sparse:
            return _frozen_csr(self.Q - sp.diags_array(self.linear, format="csr"))
        off = np.array(self.Q)
        np.fill_diagonal(off, 0.0)
        return frozen(off)

    @property
    def _quarters(self) -> bool:
        """Whether four times every coefficient is an integer, as of a symmetric Q of integers or halves."""
        values = np.append(self.Q.data if self.sparse else self.Q.ravel(), self.offset)
        return bool((4 * values == np.rint(4 * values)).all())

    @cached_property
    def resolution(self) -> float:
        """Loss difference below which float64 sums in another order may disagree."""
        with np.errstate(over="ignore"):
            size = float(abs(self.Q).sum())
            # A constant takes digits from the sum, unless all are quarters of integers that float64 holds.
            if not (self._quarters and 4 * (size + abs(self.offset)) < 2**53):
                size += abs(self.offset)
        # Halving the least number there is loses it, once an entry.
        return 1e-13 * size + self.n**2 * float(np.finfo(np.float64).smallest_subnormal)

    def losses(self, x: Any) -> Floats:
        """Losses (k,) of k solutions (k, n)."""
        y = np.asarray(x, dtype=np.float64)
        product = (self.Q @ y.T).T if self.sparse else y @ self.Q
        return np.asarray(np.einsum("ki,ki->k", product, y) + self.offset)

    def violation(self, x: Any) -> float:
        """0: nothing constrains a Qubo."""
        self.bits(x)
        return 0.0

    def baseline(self) -> Bits:
        """All zeros, the solution that asks nothing."""
        return np.zeros(self.n, dtype=np.int8)

    def random(self, rng: np.random.Generator, count: int) -> Bits:
        """Fair coins (count, n)."""
        return rng.integers(0, 2, (count, self.n), dtype=np.int8)

    def repair(self, x: Any, order: Any = None) -> Bits:
        """The points (k, n) as they are: nothing constrains them."""
        return self.points(x)

    def content(self) -> dict[str, Any]:
        """Matrix and offset."""
        return matrix_arrays(self.Q) | {"offset": self.offset}

    def to_bqm(self, *, labels: Sequence[Any] | None = None) -> dimod.BinaryQuadraticModel:
        """The same function as a dimod model over variables 0 … n−1, or `labels`; energies equal losses."""
        upper = sp.triu(self.couplings, k=1, format="coo")
        quadratic = (upper.row, upper.col, 2 * upper.data)
        names = range(self.n) if labels is None else labels
        return dimod.BinaryQuadraticModel.from_numpy_vectors(
            self.linear, quadratic, self.offset, dimod.BINARY, variable_order=names
        )

    def save(self, path: str | Path) -> None:
        """Write the instance as .npz; `Qubo.load` or `problems.load_instance` reads it."""
        write_arrays(path, "qubo", self.content())

    @classmethod
    def load(cls, path: str | Path) -> Qubo:
        """Read what `save` wrote."""
        return read_instance(path, "qubo", lambda arrays: cls(matrix_from(arrays), arrays["offset"]))


def _symmetric(Q: Any) -> Any:
    """(Q + Qᵀ)/2 as a frozen float64 array, or as CSR for a sparse Q; a symmetric Q keeps its values."""
    if not sp.issparse(Q):
        dense = real(Q, name="Q", ndim=2)
        _check_square(dense.shape)
        return dense if np.array_equal(dense, dense.T) else frozen(dense / 2 + dense.T / 2)
    _check_square(Q.shape)
    _check_indices(Q)
    matrix = sp.csr_array(Q)
    values = real(matrix.data, name="Q", ndim=1)
    parts = (np.array(values), matrix.indices.copy(), matrix.indptr.copy())
    whole = _frozen_csr(sp.csr_array(parts, shape=matrix.shape))
    # The halves of the least numbers are rounded, and would add up to others.
    if (whole != whole.T).nnz == 0:
        return whole
    half = sp.csr_array((values / 2, matrix.indices, matrix.indptr), shape=matrix.shape)
    return _frozen_csr(half + half.T)


def _check_square(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InputError(f"Q must be square, got shape {shape}")


def _check_indices(Q: Any) -> None:
    """InputError for indices outside the matrix, which SciPy would follow into foreign memory."""
    try:
        if hasattr(Q, "check_format"):
            Q.check_format(full_check=True)
        for axis, indices in enumerate(getattr(Q, "coords", ())):
            if indices.size and not 0 <= indices.min() <= indices.max() < Q.shape[axis]:
                raise ValueError(f"indices must lie in [0, {Q.shape[axis] - 1}]")
    except (ValueError, TypeError, AttributeError) as error:
        kind = type(Q).__name__
        raise InputError(f"Q must be a sound {kind}, got: {error}; build it from its triples") from None


def _frozen_csr(matrix: Any) -> Any:
    """A CSR array without stored zeros, in order, whose arrays nobody can write to."""
    matrix = sp.csr_array(matrix)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    parts = (frozen(matrix.data), frozen(matrix.indices), frozen(matrix.indptr))
    return sp.csr_array(parts, shape=matrix.shape)
