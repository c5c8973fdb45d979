"""A neuron's form over its free bits, shifted for the smallest tree, and for the best bound at its root."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....problems.arrays import Floats
from ...convex_shifts import first_shift
from ..factors import UNIT, Columns, sorted_factor

__all__ = ["BITS", "Shifted", "shifted"]

BITS = 160
"""Most free bits whose shift is searched for, in some hundred inversions."""

TREE = 0.02
"""Weight of log det in the tree's shift, as a share of the best form known.

Depth d has about ((form − constant)^d / det)^½ nodes, an ellipsoid's volume, det of the first d bits. That is
least where constant + (form − constant) / d · log det is most. The best bound of the root is another matter:
its matrix is all but singular, so that what follows the root is hardly bounded.
"""

BOUND = 1e-4
"""Weight of log det where the bound at the root is what counts."""

NEWTON_STEPS = 50

NEAR = 1e-3
"""Newton's method ends where a step promises less than this share of the barrier's weight a bit."""

SHORTEST = 2.0**-27
"""Least part of a step that is tried."""


class Shifted(NamedTuple):
    """‖lower (y − target)‖² + constant, which is the form of the bits y in `order`, up to `doubt`.

    Attributes:
        order: (k,) of the bits.
        lower: (k, k) triangular, its diagonal positive.
        target: (k,) in that order.
        constant: the minimum over all real y, below 0 perhaps.
        doubt: most by which rounding may have moved any bits' form.
        least: a lower bound on every form, the semidefinite one or near to it.
    """

    order: Columns
    lower: Floats
    target: Floats
    constant: float
    doubt: float
    least: float


def shifted(gram: Floats, place: Floats, pull: Floats, offset: float, form: float) -> Shifted | None:
    """The shift of (y − place)ᵀ gram (y − place) + 2 pull·(y − place) + offset; None where float64 has none.

    y² = y lets one take any diagonal off the gram and add it to the slope. That lifts a gram of low rank off
    the singular, and tells of the box that y lies in.

    Parameters:
        gram: (k, k) positive semidefinite, no column of it 0.
        place: (k,).
        pull: (k,).
        offset: a number.
        form: the least of it that is known.
    """
    field = gram @ place
    slope, first = 2.0 * (pull - field), float(place @ field - 2.0 * pull @ place + offset)
    own = np.diag(gram)
    A, c = gram - np.diag(own), slope + own
    size = float(own.mean())
    u: Floats | None = first_shift(A, 1e-6 * (np.abs(c) + 2.0 * np.abs(A).sum(axis=1) + size))
    goal = max(form, 1e-6 * size)
    for weight in _path(max(size, goal), TREE * goal):
        u = None if u is None else _roomiest(A, c, weight, u)
    found = None if u is None else _factored(gram, place, pull, offset, first, u)
    if u is None or found is None:
        return None
    bound: Floats | None = u
    for weight in _path(TREE * goal, BOUND * goal):
        bound = None if bound is None else _roomiest(A, c, weight, bound)
    best = None if bound is None else _factored(gram, place, pull, offset, first, bound)
    ends = [one.constant - one.doubt for one in (found, best) if one is not None]
    return found._replace(least=max(ends))


def _path(start: float, end: float) -> Floats:
    """Weights of a barrier from `start` to `end`, a third of each other or more."""
    return np.geomspace(start, end, 2 + int(np.log(start / end) / np.log(4.0)))


def _roomiest(A: Floats, c: Floats, weight: float, u: Floats) -> Floats | None:
    """The shift (k,) of the largest −¼ (c + u)ᵀM⁻¹(c + u) + weight · log det M, M = A − diag u, from u.

    Newton's method on a concave function: with W = M⁻¹ and y = −½W(c + u) its gradient is
    y − y² − weight · diag W, its Hessian −½ W ∘ (1 − 2y)(1 − 2y)ᵀ − weight · W ∘ W. None where rounding
    leaves M no inverse.
    """
    value, W = _value(A, c, weight, u)
    for _ in range(NEWTON_STEPS):
        if W is None:
            return None
        y = -0.5 * W @ (c + u)
        gradient, turn = y - y * y - weight * np.diag(W), 1.0 - 2.0 * y
        try:
            step = np.linalg.solve(0.5 * W * np.outer(turn, turn) + weight * W * W, gradient)
        except np.linalg.LinAlgError:
            return None
        promise, length = float(gradient @ step), 1.0
        if not promise > NEAR * weight * len(u):
            break
        ahead, inverse = _value(A, c, weight, u + step)
        while ahead < value + 0.1 * length * promise and length > SHORTEST:
            length /= 2.0
            ahead, inverse = _value(A, c, weight, u + length * step)
        if ahead <= value:
            break
        u, value, W = u + length * step, ahead, inverse
    return u


def _value(A: Floats, c: Floats, weight: float, u: Floats) -> tuple[float, Floats | None]:
    """What `_roomiest` makes large, and M⁻¹; −inf where M is not positive definite."""
    try:
        lower = np.linalg.cholesky(A - np.diag(u))
    except np.linalg.LinAlgError:
        return -np.inf, None
    pivot = np.diag(lower)
    if not pivot.min() > 1e-7 * pivot.max():
        return -np.inf, None
    half = np.linalg.inv(lower)
    terms = half @ (c + u)
    return float(2.0 * weight * np.log(pivot).sum() - 0.25 * terms @ terms), np.asarray(half.T @ half)


def _factored(
    gram: Floats, place: Floats, pull: Floats, offset: float, first: float, u: Floats
) -> Shifted | None:
    """The form under the shift u, and what rounding may have done to it; `first` is what no bit costs."""
    own = np.diag(gram)
    field = gram @ place
    slope = 2.0 * (pull - field)
    order, lower = sorted_factor(gram - np.diag(own + u), np.zeros(len(gram), dtype=np.bool_))
    if not np.diag(lower).all():
        return None
    half = -0.5 * (slope + own + u)[order]
    target = np.linalg.solve(lower, np.linalg.solve(lower.T, half))
    base, linear = (gram - np.diag(own))[np.ix_(order, order)], (slope + own)[order]
    terms = lower @ target
    constant = first - float(terms @ terms)
    # What is compared is exact but for sums of at most 4k terms, whose sizes are added up beside them.
    size, error = np.abs(lower), 4 * (len(gram) + 2) * UNIT
    left = np.abs(base - np.diag(u[order]) - lower.T @ lower).sum()
    left += np.abs(linear + u[order] + 2.0 * lower.T @ terms).sum()
    reach, near = np.abs(gram) @ np.abs(place), size @ np.abs(target)
    sums = np.abs(gram).sum() + 2.0 * np.abs(u).sum() + (size.T @ size).sum() + own.sum()
    sums += 2.0 * (np.abs(pull) + reach).sum() + 2.0 * (size.T @ near).sum() + near @ near
    sums += np.abs(place) @ (reach + 2.0 * np.abs(pull)) + abs(offset)
    return Shifted(order, lower, target, constant, float(left + error * sums), -np.inf)
