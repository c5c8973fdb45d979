"""Lower bounds that exact solvers share: the sum of what each variable may save, and convex shifts.

For binary x every u gives xᵀAx + cᵀx = xᵀ(A − diag u)x + (c + u)ᵀx. Where M = A − diag u is positive
definite, the right side's minimum over all real x, −¼ (c + u)ᵀM⁻¹(c + u), is a lower bound; the best u for
one c is the semidefinite (Shor) bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...problems import Qubo
from ...problems.arrays import Floats

__all__ = ["Relaxations", "best_shift", "dense_couplings", "lattice", "posiform", "relaxations"]

BARRIER = 1e-9
"""Variance, in units of each variable's largest slope squared, that keeps shifts off the singular."""

ROOT_BARRIERS = tuple(10.0**-power for power in range(2, 10))
"""The root's shift is followed down this path; a deeper one begins where its parent's ended."""

NEWTON_STEPS = 30

ENOUGH = 1e-3
"""Newton's method ends where a step promises less than this share of the bound's size."""

MARGIN = 1e-10
"""Share of its diagonal that a matrix keeps from singular: far more than a Cholesky factor's rounding."""


def dense_couplings(qubo: Qubo) -> Floats:
    """Couplings (n, n) as a dense array."""
    return np.asarray(qubo.couplings.toarray() if qubo.sparse else qubo.couplings)


def posiform(qubo: Qubo) -> float:
    """Offset + Σ_i min(0, Q_ii + Σ_j min(0, Q_ij)): what the variables save at most, one by one. O(n²)."""
    falls = np.minimum(dense_couplings(qubo), 0.0).sum(axis=1)
    return float(qubo.offset + np.minimum(qubo.linear + falls, 0.0).sum() - qubo.resolution)


def lattice(qubo: Qubo) -> float:
    """The largest step that all losses are whole multiples of apart, by their coefficients; 0 without one."""
    values = np.concatenate([qubo.linear, 2.0 * dense_couplings(qubo)[np.triu_indices(qubo.n, 1)]])
    for unit in 2.0 ** np.arange(0, 11):
        whole = values * unit
        if np.abs(whole).max(initial=0.0) < 2**50 and np.array_equal(whole, np.round(whole)):
            step = float(np.gcd.reduce(whole.astype(np.int64), initial=0)) / unit
            # Far above what float64 sums lose, or it is no step that a search could rely on.
            return step if step > 1e3 * qubo.resolution else 0.0
    return 0.0


def _inverse(M: Floats) -> Floats | None:
    """M⁻¹ (n, n), None unless M is positive definite beyond the doubt of rounding."""
    try:
        np.linalg.cholesky(M - MARGIN * np.diag(np.diag(M)))
    except np.linalg.LinAlgError:
        return None
    inverse = np.linalg.inv(M)
    return np.asarray((inverse + inverse.T) / 2)


def _first_shift(A: Floats, least: Floats) -> Floats:
    """A shift (n,) that makes A − diag u diagonally dominant, each entry below −`least`."""
    return np.asarray(-1.1 * np.abs(A).sum(axis=1) - least)


def best_shift(A: Floats, c: Floats, spread: Floats, u: Floats) -> tuple[Floats, Floats]:
    """The shift (n,) of the best expected bound, and (A − diag u)⁻¹, by Newton's method from u.

    Maximises −¼ E[(c + z + u)ᵀM⁻¹(c + z + u)] over u, M = A − diag u, z of mean 0 and covariance `spread`.
    This is concave, and spread > 0 keeps M off the singular. With W = M⁻¹, y = −½W(c + u), V = W·spread·W
    the gradient is y − y² − ¼ diag V and the Hessian −½ W ∘ ((1 − 2y)(1 − 2y)ᵀ + V).

    Parameters:
        A: (n, n) symmetric couplings.
        c: (n,) linear part.
        spread: (n, n) positive definite.
        u: (n,) where to begin; A − diag u must be positive definite.
    """
    value, W = _expected(A, c, spread, u)
    for _ in range(NEWTON_STEPS):
        assert W is not None
        y, V = -0.5 * W @ (c + u), W @ spread @ W
        gradient = y - y * y - 0.25 * np.diag(V)
        curvature = 0.5 * W * (np.outer(1.0 - 2.0 * y, 1.0 - 2.0 * y) + V)
        step = np.asarray(np.linalg.solve(curvature, gradient), dtype=np.float64)
        if not gradient @ step > ENOUGH * abs(value):
            break
        length, better, inverse = _along(A, c, spread, u, step, value)
        if inverse is None:
            break
        u, value, W = u + length * step, better, inverse
    assert W is not None
    return u, W


def _expected(A: Floats, c: Floats, spread: Floats, u: Floats) -> tuple[float, Floats | None]:
    """The expected bound at a shift and its inverse; −inf where that is not convex."""
    W = _inverse(A - np.diag(u))
    return (-np.inf, None) if W is None else (-0.25 * float((c + u) @ W @ (c + u) + (W * spread).sum()), W)


def _along(
    A: Floats, c: Floats, spread: Floats, u: Floats, step: Floats, value: float
) -> tuple[float, float, Floats | None]:
    """Length along a step, doubled while that helps or halved until it does; its value and inverse."""
    length, (found, W) = 1.0, _expected(A, c, spread, u + step)
    while found <= value and length > 1e-6:
        length /= 2.0
        found, W = _expected(A, c, spread, u + length * step)
    if found <= value:
        return 0.0, value, None
    while length >= 1.0:
        further, wider = _expected(A, c, spread, u + 2.0 * length * step)
        if further <= found:
            break
        length, found, W = 2.0 * length, further, wider
    return length, found, W


class Relaxations(NamedTuple):
    """A convex quadratic yᵀMy + (c + u)ᵀy for each depth k, over variables k …; those before are fixed.

    Arrays are indexed by depth first; entries of fixed variables are 0.

    Attributes:
        shift: (n + 1, n) u.
        centre: (n + 1, n) its minimiser where all fixed variables are 0.
        pull: (n + 1, n, n) what x_j = 1 adds to the minimiser, by fixed variable j and free variable.
        inverse: (n + 1, n, n) M⁻¹.
        reserve: (n + 1,) what rounding may have added to a minimum computed with these.
        costs: (n,) of a capacity, 0 without one.
        toward: (n + 1, n) M⁻¹ @ costs of the free variables.
        size: (n + 1,) costs @ M⁻¹ @ costs.
    """

    shift: Floats
    centre: Floats
    pull: Floats
    inverse: Floats
    reserve: Floats
    costs: Floats
    toward: Floats
    size: Floats


def relaxations(
    A: Floats, linear: Floats, costs: Floats, likely: Floats, stopped: Callable[[], bool]
) -> Relaxations | None:
    """The convex relaxation of every depth, in O(n⁴) all told; None if `stopped` said so on the way.

    Each depth has the shift that is best in expectation over its nodes, whose fixed variables are 1 with
    chance `likely` (n,), independently.

    Parameters:
        A: (n, n) couplings in the order in which variables are fixed.
        linear: (n,) linear part.
        costs: (n,) of a capacity, 0 without one.
        likely: (n,) in [0, 1].
        stopped: asked once a depth.
    """
    n = linear.size
    r = Relaxations(
        np.zeros((n + 1, n)), np.zeros((n + 1, n)), np.zeros((n + 1, n, n)), np.zeros((n + 1, n, n)),
        np.zeros(n + 1), costs.copy(), np.zeros((n + 1, n)), np.zeros(n + 1),
    )  # fmt: skip
    reach = np.abs(linear) + 2.0 * np.abs(A).sum(axis=1)
    reach = np.maximum(reach, 1e-6 * (reach.max() or 1.0))
    u = _first_shift(A, 1e-6 * reach)
    for k in range(n):
        if stopped():
            return None
        free, fixed = slice(k, n), slice(0, k)
        between = 2.0 * A[free, fixed]
        c = linear[free] + between @ likely[fixed]
        spread = (between * (likely * (1.0 - likely))[fixed]) @ between.T
        u = u[-(n - k) :]
        for barrier in (BARRIER,) if k else ROOT_BARRIERS:
            u, W = best_shift(A[free, free], c, spread + barrier * np.diag(reach[free] ** 2), u)
        r.shift[k, free], r.inverse[k, free, free] = u, W
        r.centre[k, free] = -0.5 * W @ (linear[free] + u)
        r.pull[k, fixed, free] = -0.5 * (W @ between).T
        r.toward[k, free], r.size[k] = W @ costs[free], costs[free] @ W @ costs[free]
        r.reserve[k] = _reserve(r, k, A, reach)
    return r


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
