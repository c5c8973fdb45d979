"""Lower bounds that exact solvers share: the sum of what each variable may save, and convex shifts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ...problems import Qubo
from ...problems.arrays import Floats
from ..convex_shifts import ROOT_BARRIERS, best_shift, first_shift, reach_of
from .linearised import products

__all__ = ["Relaxations", "blank", "dense_couplings", "lattice", "posiform", "relaxations", "step_of"]

BARRIER = 1e-9
"""Variance, in units of each variable's largest slope squared, that keeps shifts off the singular."""


def dense_couplings(qubo: Qubo) -> Floats:
    """Couplings (n, n) as a dense array."""
    return np.asarray(qubo.couplings.toarray() if qubo.sparse else qubo.couplings)


def posiform(qubo: Qubo) -> float:
    """Offset + Σ_i min(0, Q_ii + Σ_j min(0, Q_ij)): what the variables save at most, one by one."""
    falls = np.asarray((abs(qubo.couplings) - qubo.couplings).sum(axis=1)).ravel() / -2.0
    return float(qubo.offset + np.minimum(qubo.linear + falls, 0.0).sum() - qubo.resolution)


def lattice(qubo: Qubo) -> float:
    """The largest step that all losses are whole multiples of apart, by their coefficients; 0 without one."""
    return step_of(np.concatenate([qubo.linear, products(qubo)[2]]), qubo.resolution)


def step_of(values: Floats, resolution: float) -> float:
    """The largest step that all sums of these values are whole multiples of apart; 0 without one."""
    for unit in 2.0 ** np.arange(0, 11):
        whole = values * unit
        if np.abs(whole).max(initial=0.0) < 2**50 and np.array_equal(whole, np.round(whole)):
            step = float(np.gcd.reduce(whole.astype(np.int64), initial=0)) / unit
            # Far above what float64 sums lose, or it is no step that a search could rely on.
            return step if step > 1e3 * resolution else 0.0
    return 0.0


class Relaxations(NamedTuple):
    """A convex quadratic yᵀMy + (c + u)ᵀy for each depth k, over variables k …; those before are fixed.

    Arrays are indexed by depth first; entries of fixed variables are 0.

    Attributes:
        shift: (n + 1, n) u.
        centre: (n + 1, n) its minimiser where all fixed variables are 0.
        pull: (n + 1, n, n) what x_j = 1 adds to the minimiser, by fixed variable j and free variable.
        inverse: (n + 1, n, n) M⁻¹.
        width, stiffness: (n + 1, n) diag M⁻¹, and 1 over it.
        reserve: (n + 1,) what rounding may have added to a minimum computed with these.
        costs: (n,) of a capacity, 0 without one.
        toward: (n + 1, n) M⁻¹ @ costs of the free variables.
        size: (n + 1,) costs @ M⁻¹ @ costs.
        ready: (1,) depths below this have been prepared; depth n needs nothing.
    """

    shift: Floats
    centre: Floats
    pull: Floats
    inverse: Floats
    width: Floats
    stiffness: Floats
    reserve: Floats
    costs: Floats
    toward: Floats
    size: Floats
    ready: Any


def blank(n: int, costs: Floats) -> Relaxations:
    """Relaxations of n variables of which no depth is prepared."""
    return Relaxations(
        np.zeros((n + 1, n)), np.zeros((n + 1, n)), np.zeros((n + 1, n, n)), np.zeros((n + 1, n, n)),
        np.zeros((n + 1, n)), np.zeros((n + 1, n)), np.zeros(n + 1), costs.copy(),
        np.zeros((n + 1, n)), np.zeros(n + 1), np.zeros(1, dtype=np.int64),
    )  # fmt: skip


def relaxations(
    r: Relaxations,
    A: Floats,
    linear: Floats,
    likely: Floats,
    root: Floats | None = None,
    *,
    hasty: bool = False,
) -> Iterator[int]:
    """Prepare another depth of r, from the first, each time one is asked for, in O(n³); which one comes back.

    Each depth has the shift that is best in expectation over its nodes, whose fixed variables are 1 with
    chance `likely` (n,), independently.

    Parameters:
        A: (n, n) couplings in the order in which variables are fixed.
        linear: (n,) linear part.
        likely: (n,) in [0, 1].
        root: (n,) a shift as of `root_shift`; looked for where None.
        hasty: leave every depth the root's shift, in O(n²) but for what checks the rounding.
    """
    n, reach = linear.size, reach_of(A, linear)
    u, W = (first_shift(A, 1e-6 * reach) if root is None else root), A
    for k in range(n):
        free, fixed = slice(k, n), slice(0, k)
        between = 2.0 * A[free, fixed]
        u = u[-(n - k) :]
        if hasty and k:
            # What is left of an inverse where a variable goes (Schur).
            W = W[1:, 1:] - np.outer(W[1:, 0], W[1:, 0]) / W[0, 0]
        else:
            c = linear[free] + between @ likely[fixed]
            spread = (between * (likely * (1.0 - likely))[fixed]) @ between.T
            for barrier in (BARRIER,) if k or root is not None else ROOT_BARRIERS:
                u, W = best_shift(A[free, free], c, spread + barrier * np.diag(reach[free] ** 2), u)
        _write(r, k, u, W, between, linear)
        r.reserve[k] = _reserve(r, k, A, reach)
        r.ready[0] = k + 1 if k < n - 1 else n + 1
        yield k


def _write(r: Relaxations, k: int, u: Floats, W: Floats, between: Floats, linear: Floats) -> None:
    """What nodes of depth k are bounded with, from its shift and inverse."""
    free, costs = slice(k, len(linear)), r.costs[k:]
    r.shift[k, free], r.inverse[k, free, free] = u, W
    r.width[k, free] = np.diag(W)
    r.stiffness[k, free] = 1.0 / np.diag(W)
    r.centre[k, free] = -0.5 * W @ (linear[free] + u)
    r.pull[k, :k, free] = -0.5 * (W @ between).T
    r.toward[k, free], r.size[k] = W @ costs, costs @ W @ costs


def _reserve(r: Relaxations, k: int, A: Floats, reach: Floats) -> float:
    """What rounding may add to ½ (c + u)ᵀy at depth k, with a factor in reserve.

    The computed inverse W errs by W·R, R = I − MW; a sum of n terms errs by n ε of the sum of their sizes.
    """
    n = len(A)
    error = 4 * n * float(np.finfo(np.float64).eps)
    u, W = r.shift[k, k:], r.inverse[k, k:, k:]
    M = A[k:, k:] - np.diag(u)
    slope = reach[k:] + np.abs(u)
    place = np.abs(r.centre[k, k:]) + np.abs(r.pull[k, :, k:]).sum(axis=0)
    residual = np.abs(np.eye(n - k) - M @ W) + error * np.abs(M) @ np.abs(W)
    return float(4 * (error * slope @ place + place @ residual @ slope) + error * reach.sum())
