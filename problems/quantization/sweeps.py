"""Coordinate descent over levels: each coordinate to its best level given all others, in turn.

Cyclic as in QuantEase (Behdin et al. 2023, arXiv:2309.01885). A nearest plane never looks back at what it has
decided; a few sweeps behind it cost a fraction of its time and leave a tenth less of its loss.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from .planes import Indices, Singles

__all__ = ["sweep_levels"]

LEAST = np.float32(1e-5)
"""Share of a coordinate's pull that a move must take off, or float32 may move it to and fro."""


def sweep_levels(
    gram: Singles,
    levels: Singles,
    field: Singles,
    steps: Singles,
    group: Indices,
    top: Singles,
    *,
    fixed: Any = None,
    passes: int = 8,
) -> int:
    """Move the levels (n, f) until a pass moves none, `passes` times at most; the number of moves comes back.

    Parameters:
        gram: (f, f).
        levels: (n, f), moved in place.
        field: (n, f) errors @ gram, errors in units of the weights; kept in step.
        steps: (n, groups) step of each group of coordinates.
        group: (f,) group of each coordinate.
        top: (f,) highest level.
        fixed: (n, f) level that a coordinate has, −1 where it is free; None where all are.
    """
    diagonal = np.diag(gram)
    inverse = np.divide(1.0, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0.0)
    held = np.zeros((0, 0), np.int8) if fixed is None else fixed
    return int(_sweep(gram, inverse, levels, field, steps, group, top, held, passes))


@numba.njit(cache=True, nogil=True, fastmath={"contract", "arcp", "nsz", "reassoc"})
def _sweep(
    gram: Any,
    inverse: Any,
    levels: Any,
    field: Any,
    steps: Any,
    group: Any,
    top: Any,
    fixed: Any,
    passes: int,
) -> int:
    n, f = levels.shape
    moves = 0
    for row in range(n):
        for _ in range(passes):
            before = moves
            for i in range(f):
                step, pull = steps[row, group[i]], field[row, i] * inverse[i]
                move = np.rint(-pull / step)
                if move == np.float32(0.0) or (fixed.size and fixed[row, i] >= 0):
                    continue
                level = min(max(levels[row, i] + move, np.float32(0.0)), top[i])
                change = step * (level - levels[row, i])
                # Clipped to the box, what is left of a move may be none.
                if np.abs(pull + change) < np.abs(pull) * (np.float32(1.0) - LEAST):
                    levels[row, i] = level
                    moves += 1
                    for j in range(f):
                        field[row, j] += gram[i, j] * change
            if moves == before:
                break
    return moves
