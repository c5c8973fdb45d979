"""A neuron's form over its free bits, shifted so that its unconstrained minimum is already a bound."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...problems.arrays import Floats
from ..convex_shifts import root_shift
from .factors import UNIT, Columns, sorted_factor

__all__ = ["BITS", "Shifted", "shifted"]

BITS = 160
"""Most free bits whose shift is searched for, in some hundred inversions."""


class Shifted(NamedTuple):
    """‖lower (y − target)‖² + constant, which is the form of the bits y in `order`, up to `doubt`.

    Attributes:
        order: (k,) of the bits.
        lower: (k, k) triangular, its diagonal positive.
        target: (k,) in that order.
        constant: the semidefinite bound, or near to it.
        doubt: most by which rounding may have moved any bits' form.
    """

    order: Columns
    lower: Floats
    target: Floats
    constant: float
    doubt: float


def shifted(gram: Floats, place: Floats, pull: Floats, offset: float) -> Shifted | None:
    """The shift of (y − place)ᵀ gram (y − place) + 2 pull·(y − place) + offset; None where float64 has none.

    y² = y lets one take any diagonal off the gram and add it to the slope. The best one lifts a gram of low
    rank off the singular, and knows of the box that y lies in.

    Parameters:
        gram: (k, k) positive semidefinite, no column of it 0.
        place: (k,).
        pull: (k,).
    """
    field = gram @ place
    slope, first = 2.0 * (pull - field), float(place @ field - 2.0 * pull @ place + offset)
    own = np.diag(gram)
    try:
        found = root_shift(gram - np.diag(own), slope + own)
    except np.linalg.LinAlgError:
        return None
    assert found is not None
    u, inverse = found
    order, lower = sorted_factor(gram - np.diag(own + u), np.zeros(len(gram), dtype=np.bool_))
    if not np.diag(lower).all():
        return None
    target = (-0.5 * inverse @ (slope + own + u))[order]
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
    return Shifted(order, lower, target, constant, float(left + error * sums))
