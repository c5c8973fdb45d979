"""The search over a neuron's free bits: rows of whole vectors, targets from the middle of both levels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from ....problems.arrays import Floats
from ...compiled import copy

__all__ = ["Rows", "dig_bits", "form_of", "rows_of"]

BLOCK = 16
"""Numbers that a loop over a row takes at once: whole vectors leave nothing over for a slower loop."""


class Rows(NamedTuple):
    """A branch's rows for its k bits, the last bit first, in `wide` numbers, a whole count of blocks.

    What is still free at a depth so stands at the start of a row; the rest of it is 0.

    Attributes:
        target: (wide,) the unconstrained optimum less ½, so that the levels are ±½.
        spread: (k, wide) what a unit step at a bit adds to the targets of those after it.
        curb: (k + 1, wide) u of each depth.
    """

    target: Floats
    spread: Floats
    curb: Floats


def rows_of(target: Floats, spread: Floats, curb: Floats) -> Rows:
    """Rows of a target (k,), the upper triangle of a spread (k, k) and curbs (k + 1, k)."""
    pad = (0, -target.size % BLOCK)
    return Rows(
        np.pad(target[::-1] - 0.5, pad),
        np.pad(np.triu(spread, 1)[:, ::-1], ((0, 0), pad)),
        np.pad(np.triu(curb)[:, ::-1], ((0, 0), pad)),
    )


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def dig_bits(
    tree: Any,
    rows: Any,
    point: Any,
    path: Any,
    tried: Any,
    best: Any,
    depth: int,
    radius: float,
    margin: float,
    nodes: int,
) -> tuple[int, float, int]:
    """Visit up to `nodes` nodes; the depth, the radius and the nodes visited come back.

    A leaf nearer than the radius becomes the best and the radius. `tried` (k,) counts the levels of each bit
    of the path that were begun with, the nearer one first. Reassociation may change what is counted by
    rounding errors, which `margin` covers.
    """
    k, wide = path.size, rows.target.size
    target, cost = np.zeros((k + 1, wide)), np.zeros(k + 1)
    for j in range(wide):
        target[0, j] = rows.target[j]
    for i in range(depth):
        move = path[i] - 0.5 - target[i, k - 1 - i]
        cost[i + 1] = cost[i] + tree.pivot[i] * move * move
        _pass(rows, target, i, k - 1 - i, move)
    visited, most = 0, radius + margin
    while depth >= 0 and visited < nodes:
        visited += 1
        i, at = depth, target[depth, k - 1 - depth]
        # ±½, the level on the target's own side first; after one that costs too much the other does as well.
        up = (at > 0.0) == (tried[i] == 0)
        move = (0.5 if up else -0.5) - at
        now = cost[i] + tree.pivot[i] * move * move
        if tried[i] == 2 or now >= most:
            depth -= 1
            continue
        tried[i] += 1
        path[i] = 1 if up else 0
        if now + _pass(rows, target, i, k - 1 - i, move) >= most:
            continue
        if i + 1 < k:
            depth += 1
            cost[depth], tried[depth] = now, 0
            continue
        form = form_of(tree, point, path)
        if form < radius:
            radius, most = form, form + margin
            copy(path, best)
    return depth, radius, visited


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _pass(rows: Any, target: Any, i: int, free: int, move: float) -> float:
    """Move bit i: the targets of the `free` ones after it, and the least that these will cost."""
    now, after, spread, curb = target[i], target[i + 1], rows.spread[i], rows.curb[i + 1]
    rest = 0.0
    for j in range(((free + 15) >> 4) << 4):
        at = now[j] + move * spread[j]
        after[j] = at
        away = abs(at) - 0.5
        rest += curb[j] * away * away
    return rest


@numba.njit(cache=True, nogil=True)
def form_of(tree: Any, point: Any, levels: Any) -> float:
    """The form of a leaf from the gram itself, free of the errors of the steps that led there."""
    form = point.offset
    for i in range(levels.size):
        field = 2.0 * point.pull[i]
        for j in range(levels.size):
            field += tree.gram[i, j] * (levels[j] - point.shift[j])
        form += field * (levels[i] - point.shift[i])
    return float(form)
