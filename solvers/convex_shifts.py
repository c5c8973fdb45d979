"""Convex shifts: a diagonal taken off a binary quadratic, so that its real minimum is a lower bound.

For binary x every u gives xᵀAx + cᵀx = xᵀ(A − diag u)x + (c + u)ᵀx. Where M = A − diag u is positive
definite, the right side's minimum over all real x, −¼ (c + u)ᵀM⁻¹(c + u), is a lower bound; the best u for
one c is the semidefinite (Shor) bound.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..problems.arrays import Floats

__all__ = ["ROOT_BARRIERS", "best_shift", "first_shift", "reach_of", "root_shift"]

ROOT_BARRIERS = tuple(10.0**-power for power in range(2, 10))
"""The root's shift is followed down this path; a deeper one begins where its parent's ended."""

NEWTON_STEPS = 30

ENOUGH = 1e-3
"""Newton's method ends where a step promises less than this share of the bound's size."""

MARGIN = 1e-10
"""Share of its diagonal that a matrix keeps from singular: far more than a Cholesky factor's rounding."""


def reach_of(A: Floats, c: Floats) -> Floats:
    """Largest slope (n,) that each variable of xᵀAx + cᵀx can have; none below a millionth of the largest."""
    reach = np.abs(c) + 2.0 * np.abs(A).sum(axis=1)
    return np.asarray(np.maximum(reach, 1e-6 * (reach.max(initial=0.0) or 1.0)))


def never() -> bool:
    """For searches that nothing stops."""
    return False


def root_shift(A: Floats, c: Floats, stopped: Callable[[], bool] = never) -> tuple[Floats, Floats] | None:
    """The shift (n,) of nearly the best bound on xᵀAx + cᵀx, and (A − diag u)⁻¹, which it keeps moderate.

    Parameters:
        A: (n, n) symmetric, its diagonal 0.
        c: (n,).
        stopped: asked now and then; None comes back where it says so.
    """
    reach = reach_of(A, c)
    u = first_shift(A, 1e-6 * reach)
    W = A
    for barrier in ROOT_BARRIERS[:-1]:
        if stopped():
            return None
        u, W = best_shift(A, c, barrier * np.diag(reach**2), u)
    return u, W


def _inverse(M: Floats) -> Floats | None:
    """M⁻¹ (n, n), None unless M is positive definite beyond the doubt of rounding."""
    try:
        np.linalg.cholesky(M - MARGIN * np.diag(np.diag(M)))
    except np.linalg.LinAlgError:
        return None
    inverse = np.linalg.inv(M)
    return np.asarray((inverse + inverse.T) / 2)


def first_shift(A: Floats, least: Floats) -> Floats:
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
