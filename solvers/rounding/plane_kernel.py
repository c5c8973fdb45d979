"""Nearest planes, and draws of planes, column after column."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from ...problems import Rounding
from ...problems.arrays import Bits, Floats
from ..compiled import readonly
from .factors import Columns

__all__ = ["BLOCK", "planes"]

BLOCK = 32
"""Coordinates between two matrix products."""


def planes(
    rounding: Rounding,
    rows: Columns,
    columns: Columns,
    lower: Floats,
    *,
    warmth: Floats | None = None,
    draws: Floats | None = None,
) -> Bits:
    """Levels (k, f) of the neurons `rows` (k,), chosen column after column given those before.

    Parameters:
        lower: factor of the gram whose columns stand in the order `columns`.
        warmth: (k,) temperature T of each row, which draws a level with probability ∝ exp(−cost/T); without
            it, and at 0, the cheapest level is taken: Babai's nearest plane.
        draws: (k, f) uniform random numbers in [0, 1), one a coordinate.
    """
    k, f = len(rows), rounding.f
    shift, fixed = rounding.shift[rows[:, None], columns], rounding.fixed[rows[:, None], columns]
    error, found = np.zeros((k, f)), np.empty((k, f), dtype=np.int8)
    heat = np.zeros(k) if warmth is None else warmth
    luck = np.zeros((k, 0)) if draws is None else draws
    for start in range(0, f, BLOCK):
        stop = min(start + BLOCK, f)
        pull = error[:, :start] @ lower[start:stop, :start].T
        block = readonly(lower[start:stop, start:stop])
        _choose(pull, block, shift, fixed, rounding.levels[columns], heat, luck, error, found, start)
    x = np.empty_like(found)
    x[:, columns] = found
    return x


@numba.njit(cache=True, nogil=True)
def _choose(
    pull: Any,
    lower: Any,
    shift: Any,
    fixed: Any,
    levels: Any,
    heat: Any,
    luck: Any,
    error: Any,
    found: Any,
    start: int,
) -> None:
    """Choose the levels of a block; `pull` (k, B) is what the errors before it add to its coordinates."""
    for row in range(pull.shape[0]):
        for b in range(pull.shape[1]):
            i = start + b
            level = int(fixed[row, i])
            if level < 0:
                for c in range(b):
                    pull[row, b] += lower[b, c] * error[row, start + c]
                centre = shift[row, i] - pull[row, b] / lower[b, b]
                if heat[row] > 0.0:
                    level = _draw(centre, lower[b, b] ** 2 / heat[row], levels[i], luck[row, i])
                else:
                    level = int(min(max(np.floor(centre + 0.5), 0.0), levels[i] - 1.0))
            found[row, i] = level
            error[row, i] = level - shift[row, i]


@numba.njit(cache=True, nogil=True)
def _draw(centre: float, sharpness: float, levels: int, luck: float) -> int:
    """A level with probability ∝ exp(−sharpness·(level − centre)²), from a uniform number in [0, 1)."""
    nearest = min(max(np.floor(centre + 0.5), 0.0), levels - 1.0)
    # Costs are counted from the cheapest level, so that not every weight underflows.
    least = (nearest - centre) ** 2
    total = 0.0
    for level in range(levels):
        total += np.exp(-sharpness * ((level - centre) ** 2 - least))
    left = luck * total
    for level in range(levels):
        left -= np.exp(-sharpness * ((level - centre) ** 2 - least))
        if left < 0.0:
            return int(level)
    return int(nearest)
