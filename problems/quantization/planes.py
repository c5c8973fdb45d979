"""Nearest planes over every level of a grid, for all neurons of a layer at once.

With gram = TᵀT, T lower triangular, the loss of a neuron is Σ_i (Σ_{j≤i} T_ij e_j)²: one term a coordinate,
given the coordinates before it, of which Babai 1986 takes the least. On the Gram matrix of a layer's inputs
that is GPTQ (Frantar et al. 2022, arXiv:2210.17323). In float32, as nothing but ties hangs on the rest; what
a choice is worth is always computed in float64 from its integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numba
import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky
from scipy.linalg.lapack import dpotrf

from ..arrays import Floats

__all__ = [
    "Indices",
    "Planes",
    "Singles",
    "act_order",
    "damped_factor",
    "light_planes",
    "planes_of",
    "ridge_of",
    "triangle_planes",
]

Singles: TypeAlias = npt.NDArray[np.float32]
Indices: TypeAlias = npt.NDArray[np.int64]

BLOCK = 48
"""Coordinates between two matrix products."""


LARGEST = 1e15
"""Of a row's shares of its diagonal, so that what they add to a coordinate and its square stay in float32."""


@dataclass(frozen=True, eq=False)
class Planes:
    """A Gram matrix factored for nearest planes.

    Attributes:
        columns: (f,) coordinates in the order of rounding.
        unit: (f, f) lower triangle in that order, each row divided by its diagonal.
        weights: (f,) squares of that diagonal, as shares of the largest: what an error of a coordinate costs.
    """

    columns: Indices
    unit: Singles
    weights: Singles

    def nearest(
        self, target: Singles, steps: Singles, group: Indices, top: Singles, fixed: Any = None
    ) -> Singles:
        """Levels (n, f) chosen column after column given those before. See `priced`."""
        return self.priced(target, steps, group, top, fixed)[0]

    def priced(
        self, target: Singles, steps: Singles, group: Indices, top: Singles, fixed: Any = None
    ) -> tuple[Singles, Singles]:
        """The same, and what they lose (n,) with the damping, in units of the largest weight.

        Parameters:
            target: (n, f) what level·step is to be near to, both in units of the weights.
            steps: (n, groups) step of each group of coordinates.
            group: (f,) group of each coordinate.
            top: (f,) highest level.
            fixed: (n, f) level that a coordinate has, −1 where it is free; None where all are.
        """
        wanted = self.turned(target)
        held = None if fixed is None else self.turned(fixed)
        levels, costs = self.chosen(wanted, steps, group, top, held)
        found = np.empty_like(target)
        found[:, self.columns] = levels.T
        return found, costs

    def turned(self, values: Any) -> Any:
        """What belongs to neurons and coordinates, (n, f), as planes take it: (f, n), in their order."""
        return np.ascontiguousarray(values.T[self.columns])

    def chosen(
        self, wanted: Singles, steps: Singles, group: Indices, top: Singles, held: Any = None
    ) -> tuple[Singles, Singles]:
        """As `priced`, but targets, fixed levels and the levels found are `turned`."""
        f, n = wanted.shape
        by_group, groups, highest = np.ascontiguousarray(steps.T), group[self.columns], top[self.columns]
        held = np.zeros((0, 0), np.int8) if held is None else held
        levels, errors = np.empty_like(wanted), np.empty_like(wanted)
        costs = np.zeros(n, dtype=np.float32)
        for start in range(0, f, BLOCK):
            some = slice(start, start + BLOCK)
            pull = self.unit[some, :start] @ errors[:start]
            _choose(
                pull,
                self.unit[some, some],
                self.weights[some],
                wanted[some],
                by_group,
                groups[some],
                highest[some],
                held[some],
                levels[some],
                errors[some],
                costs,
            )
        return levels, costs


def planes_of(gram: Floats, *, order: str = "act", damping: float = 0.01) -> Planes:
    """The factor of a Gram matrix with damping·mean(diag) on its diagonal, columns by falling mean square.

    Parameters:
        gram: (f, f), positive semidefinite.
        order: "act", or "given" for the columns as they stand.
        damping: GPTQ's usual is 1 %.
    """
    columns = np.arange(len(gram)) if order == "given" else act_order(gram)
    return triangle_planes(columns, damped_factor(gram, damping, columns))


def light_planes(damped: Singles) -> Planes | None:
    """The planes of a damped Gram matrix by act-order, factored in float32; None where that is too coarse."""
    columns = act_order(damped)
    back = columns[::-1]
    # Symmetric, so that its transpose is the same in LAPACK's order.
    turned = damped.take(back, 0).take(back, 1).T
    try:
        lower = cholesky(turned, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        return None
    return triangle_planes(columns, lower[::-1, ::-1].T)


def triangle_planes(columns: Indices, lower: Any) -> Planes:
    """The planes of a factor that is known."""
    diagonal = np.diag(lower)
    unit = np.empty(lower.shape, dtype=np.float32)
    for start in range(0, len(lower), BLOCK):  # a block at a time is wider than it stays
        rows = slice(start, start + BLOCK)
        # Rows that lie further apart than float32 reaches lose their order, not their finiteness.
        unit[rows] = np.clip(lower[rows] / diagonal[rows, None], -LARGEST, LARGEST)
    weights = (diagonal / diagonal.max(initial=1e-300)) ** 2
    return Planes(columns, unit, weights.astype(np.float32))


def act_order(gram: Any) -> Indices:
    """Columns by falling mean square, GPTQ's act-order."""
    return np.asarray(np.argsort(-np.diag(gram), kind="stable"))


def damped_factor(gram: Floats, damping: float, columns: Indices | None = None) -> Floats:
    """Lower triangular T with gram + damping·mean(diag)·I = TᵀT, its columns in an order if one is given.

    Where the sum is not positive definite in float64, which a rank-deficient gram may cause, the damping
    grows tenfold. Beside the factor nothing of its size is made.
    """
    order = np.arange(len(gram)) if columns is None else columns
    back, ridge = order[::-1], damping * (float(np.mean(np.diag(gram)[order])) or 1.0)
    if not len(gram):
        return np.zeros((0, 0))
    while True:
        turned = gram[back[:, None], back]
        turned.flat[:: len(gram) + 1] += ridge
        # Symmetric, so that its transpose is the same in LAPACK's order, which is factored in place.
        lower, failed = dpotrf(turned.T, lower=1, clean=1, overwrite_a=1)
        if failed == 0:
            return np.asarray(lower[::-1, ::-1].T)
        ridge *= 10.0


def ridge_of(gram: Floats | Singles, damping: float) -> float:
    """What damping adds to the diagonal, as a share of its mean."""
    return damping * (float(np.mean(np.diag(gram))) or 1.0)


@numba.njit(cache=True, nogil=True, fastmath={"contract", "arcp", "nsz"})
def _choose(
    pull: Any,
    unit: Any,
    weights: Any,
    wanted: Any,
    steps: Any,
    groups: Any,
    top: Any,
    fixed: Any,
    levels: Any,
    errors: Any,
    costs: Any,
) -> None:
    """Choose the levels of a block of coordinates; neurons lie along the rows, for the sake of their loops.

    `pull` (B, n) is what the errors before the block add to each of its coordinates; to `costs` (n,) is added
    what the choices cost.
    """
    size, n = pull.shape
    for i in range(size):
        step, highest = steps[groups[i]], top[i]
        for r in range(n):
            level = np.rint((wanted[i, r] - pull[i, r]) / step[r])
            levels[i, r] = min(max(level, np.float32(0.0)), highest)
        if fixed.size:
            for r in range(n):
                levels[i, r] = fixed[i, r] if fixed[i, r] >= 0 else levels[i, r]
        for r in range(n):
            errors[i, r] = step[r] * levels[i, r] - wanted[i, r]
        for r in range(n):
            left = errors[i, r] + pull[i, r]
            costs[r] += weights[i] * left * left
        for j in range(i + 1, size):
            share = unit[j, i]
            for r in range(n):
                pull[j, r] += share * errors[i, r]
