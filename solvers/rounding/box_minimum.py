"""The minimum of a layer's form inside its box, real levels allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from ...problems import Rounding
from ...problems.arrays import Floats
from .factors import Columns

__all__ = ["NEAR", "RELAXATION", "ROUNDS", "STEPS", "STIFFNESS", "aims", "boxed", "centres"]

STIFFNESS, RELAXATION = 0.15, 1.6
"""Of alternating directions: weight of the step before as a share of the diagonal, and over-relaxation."""


ROUNDS, STEPS = 20, 10
"""At most so many rounds of so many steps, with a look at the gap after each."""


NEAR = 1e-2
"""Gap of a box's minimum as a share of Σ T_ii², twelve times what nearest plane's errors cost on average."""


def aims(rounding: Rounding, columns: Columns, lower: Floats) -> Floats:
    """What the damped form is to be near to, (n, f) in the order `columns`, so that damping costs nothing.

    A pull λ(x − ½)² towards the middle of two levels is the same at both, where λ(x − shift)² is not: with it
    the damped form differs from the loss by a constant alone, and a prefix is charged for what would lead
    later coordinates outside their box. More levels have no such point and are pulled to their shift.
    """
    middle = np.where(rounding.levels == 2, 0.5, rounding.shift)[:, columns]
    slopes = (rounding.gram @ (rounding.shift - np.where(rounding.levels == 2, 0.5, rounding.shift)).T)[
        columns
    ]
    half = solve_triangular(lower, slopes, lower=True, trans="T", check_finite=False)
    return np.asarray(middle + solve_triangular(lower, half, lower=True, check_finite=False).T)


def centres(rounding: Rounding, columns: Columns, lower: Floats) -> tuple[Floats, Floats]:
    """Where in its box the damped form is least and its slope there, both (n, f) in the order `columns`.

    Fixed coordinates stand at their values, so that the free ones know what errors they have to make up for.
    """
    fixed = rounding.fixed[:, columns]
    low = np.where(fixed >= 0, fixed, 0.0)
    high = np.where(fixed >= 0, fixed, rounding.levels[columns] - 1.0)
    centre, slope = boxed(aims(rounding, columns, lower), low, high, lower, np)
    return np.asarray(centre), np.asarray(slope)


def boxed(aim: Any, low: Any, high: Any, lower: Any, library: Any) -> tuple[Any, Any]:
    """Minimum c of |T(x − aim)|² over low ≤ x ≤ high, and the slope 2 TᵀT(c − aim) there, both (n, f).

    |T(x − aim)|² = |T(x − c)|² + slope·(x − c) + a constant, at any c. At the minimum no coordinate in the
    box makes the second term negative, so a prefix that pays for its own share is charged no more than what
    the relaxed rest cannot win back: a bound that knows of the box, from one factor for all neurons. Rows
    whose minimum is nearly their aim keep it, with slope 0.

    Alternating directions (Boyd et al. 2011), one product with one inverse for all neurons a step; a row
    ends once its gap, max over the box of −slope·(x − c), is small beside what rounding costs anyway.

    Parameters:
        aim, low, high: (n, f).
        lower: T, (f, f).
        library: numpy or torch, whichever the arrays are of.
    """
    enough = NEAR * float((lower.diagonal() ** 2).sum())
    z, u = aim.clip(low, high), aim * 0.0
    centre, slope = aim * 1.0, aim * 0.0
    away = left = library.where((((z - aim) @ lower.T) ** 2).sum(1) > enough)[0]
    if not len(away):
        return centre, slope
    form = lower.T @ lower
    firm = STIFFNESS * form.diagonal()
    back = firm[:, None] * library.linalg.inv(form + library.diag(firm))
    for _ in range(ROUNDS):
        goal, floor, top, now, dual = aim[left], low[left], high[left], z[left], u[left]
        for _ in range(STEPS):
            free = goal + (now - dual - goal) @ back
            dual = dual + RELAXATION * free + (1.0 - RELAXATION) * now
            now = dual.clip(floor, top)
            dual = dual - now
        z[left], u[left] = now, dual
        pull = (now - goal) @ form
        left = left[library.maximum(pull * (now - floor), pull * (now - top)).sum(1) > enough]
        if not len(left):
            break
    centre[away] = z[away]
    slope[away] = 2.0 * (z[away] - aim[away]) @ form
    return centre, slope
