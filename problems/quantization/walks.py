"""A walk over levels: the weight that lies furthest from its best place moves a level, and stays for a while.

Tabu search (Glover 1989). Where sweeps end, no weight alone can improve; one that moves all the same, and may
not move back for some moves, lets others follow that improve together. Which one is told by how far off it is
in steps, not by what its move costs: else the weights of faint inputs, which cost nothing, would move to and
fro. A move costs one row of the Gram matrix, in a loop that also finds the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from .planes import Indices, Singles

__all__ = ["Walks", "moves_by_loss", "walks_of"]

REACH = 64.0
"""Steps off its best place beyond which a weight is as good a choice as any other so far off."""

GAP = 16
"""Moves between two refits of a row's step, each of which costs about as much as a move."""


SPREAD = 4
"""Times the usual moves that a row of great loss gets, and shares of them that one of little loss keeps."""


@dataclass(frozen=True, eq=False)
class Walks:
    """A Gram matrix as walks take it.

    Attributes:
        shares: (f, f) 2·gram_ij / gram_jj: how far an error of i takes j off, twice.
        diagonal: (f,) of the Gram matrix.
    """

    shares: Singles
    diagonal: Singles

    def walk(
        self,
        levels: Singles,
        field: Singles,
        steps: Singles,
        group: Indices,
        top: Singles,
        *,
        moves: Indices,
        tenure: int,
        seed: int,
        fixed: Any = None,
        refits: tuple[Singles, Singles] | None = None,
    ) -> int:
        """Walk each row and end where it was best; the number of moves comes back.

        Parameters:
            levels: (n, f), moved in place.
            field: (n, f) errors @ gram, errors in units of the weights; stays that of the beginning.
            steps: (n, groups) step of each group of coordinates; changed in place by refits.
            group: (f,) group of each coordinate.
            top: (f,) highest level.
            moves: (n,) of each row.
            tenure: moves for which a weight that moved stays, at least; at most twice as many. Of few
                coordinates a tenth, but two.
            seed: of how long it stays.
            fixed: (n, f) level that a coordinate has, −1 where it is free; None where all are.
            refits: zero points (n, 1) and weights @ gram (n, f), where steps, one to a row, may change to
                what is best for the levels.
        """
        held = np.zeros((len(levels), 0), dtype=np.int8) if fixed is None else fixed
        zeros, slope = refits or (
            np.zeros((len(levels), 1), np.float32),
            np.zeros((len(levels), 0), np.float32),
        )
        luck, grouped = np.uint32(seed | 1), steps.shape[1] > 1
        spread = (steps, group, top, held, zeros, slope, grouped)
        stay = min(tenure, max(2, levels.shape[1] // 10))
        return int(_walk(self.shares, self.diagonal, levels, field, *spread, moves, stay, luck))


def moves_by_loss(losses: Any, moves: int) -> Indices:
    """Moves (n,) of each row, `moves` on average or hardly fewer, by its share of the losses (n,).

    A walk takes about as large a share off a row's loss with every doubling of its moves, so that they gain
    most where they go by the loss.
    """
    mean = float(np.mean(losses)) or 1.0
    wished = np.clip(np.rint(moves * (losses / mean)), moves // SPREAD, moves * SPREAD)
    return np.asarray(wished, dtype=np.int64)


def walks_of(gram: Singles) -> Walks:
    """The shares of a Gram matrix; what no input reaches is nothing's."""
    diagonal = np.diag(gram).copy()
    inverse = np.divide(2.0, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0.0)
    return Walks(np.ascontiguousarray(gram * inverse), diagonal)


@numba.njit(cache=True, nogil=True)
def _walk(  # noqa: C901 - one pass over rows and moves
    shares: Any,
    diagonal: Any,
    levels: Any,
    field: Any,
    steps: Any,
    group: Any,
    top: Any,
    fixed: Any,
    zeros: Any,
    slope: Any,
    grouped: bool,
    counts: Any,
    tenure: int,
    luck: Any,
) -> int:
    """`off` (f,) is how far each weight lies from its best place, twice; `low` and `high` bound what counts.

    They are 0 to the side to which a weight may not go, on both sides while it stays.
    """
    n, f = levels.shape
    off, low, high = np.empty(f, np.float32), np.empty(f, np.float32), np.empty(f, np.float32)
    scales, inverse, until = np.empty(f, np.float32), np.zeros(f, np.float32), np.zeros(f, np.int64)
    longest = counts.max() if n else 0
    moved, signs = np.zeros(longest, np.int64), np.zeros(longest, np.float32)
    places, total = _places(f), 0
    scale = np.float32((1 << (30 - places)) / REACH)
    for i in range(f):
        inverse[i] = np.float32(2.0) / diagonal[i] if diagonal[i] > 0.0 else np.float32(0.0)
    for row in range(n):
        own = levels[row]
        for i in range(f):
            off[i], until[i], scales[i] = field[row, i] * inverse[i], -1, scale / steps[row, group[i]]
            low[i] = high[i] = np.float32(0.0)
            if diagonal[i] > 0.0 and (fixed.shape[1] == 0 or fixed[row, i] < 0):
                _open(i, own, top, steps[row, group[i]], low, high)
        now, best, last, fitted, made = 0.0, 0.0, 0, 0, 0
        pick, change, kept = 0, np.float32(0.0), steps[row, 0]
        for t in range(counts[row]):
            if grouped:
                key = _furthest_of_groups(off, shares[pick], change, low, high, scales, places)
            else:
                key = _furthest(off, shares[pick], change, low, high, scales[0], places)
            pick = int(key & np.int32((1 << places) - 1))
            step = steps[row, group[pick]]
            sign = np.float32(1.0) if off[pick] < 0.0 else np.float32(-1.0)
            if (low[pick] if sign > 0.0 else high[pick]) == 0.0:
                break
            now += step * diagonal[pick] * (step - abs(off[pick]))
            own[pick] += sign
            moved[t], signs[t], made, change = pick, sign, t + 1, step * sign
            low[pick] = high[pick] = np.float32(0.0)
            luck ^= luck << np.uint32(13)
            luck ^= luck >> np.uint32(17)
            luck ^= luck << np.uint32(5)
            until[pick] = t + tenure + luck % np.uint32(tenure)
            # Those whose time is over are looked at twice, after the shortest and after the longest.
            for back in (tenure, 2 * tenure):
                if t >= back and until[moved[t - back]] <= t:
                    i = moved[t - back]
                    _open(i, own, top, steps[row, group[i]], low, high)
            if now < best - 1e-6 * diagonal[pick] * step * step:
                best, last, kept = now, t + 1, steps[row, 0]
                if slope.shape[1] > 0 and t >= fitted + GAP:
                    _add(off, shares[pick], change)
                    change, fitted = np.float32(0.0), t
                    gain, kept = _refit(off, own, zeros[row, 0], slope[row], diagonal, inverse, step)
                    now -= gain
                    best, steps[row, 0], scales[0] = now, kept, scale / kept
        for t in range(made - 1, last - 1, -1):
            own[moved[t]] -= signs[t]
        steps[row, 0] = kept
        total += made
    return total


@numba.njit(cache=True, nogil=True)
def _places(f: int) -> int:
    """Bits that number f coordinates."""
    places = 0
    while (1 << places) < f:
        places += 1
    return places


@numba.njit(cache=True, nogil=True)
def _open(i: int, levels: Any, top: Any, step: Any, low: Any, high: Any) -> None:
    """Let a coordinate move, as far as its box does."""
    reach = np.float32(REACH) * step
    low[i] = -reach if levels[i] < top[i] else np.float32(0.0)
    high[i] = reach if levels[i] > np.float32(0.0) else np.float32(0.0)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _furthest(off: Any, share: Any, change: Any, low: Any, high: Any, scale: Any, places: int) -> Any:
    """Bring `off` up to date after a move; a key of the coordinate that is furthest off and may move.

    The key holds its place in the lowest bits, so that finding it needs no second loop.
    """
    highest = np.int32(0)
    for j in range(off.size):
        value = off[j] + share[j] * change
        off[j] = value
        key = np.int32(abs(min(max(value, low[j]), high[j])) * scale) << np.int32(places)
        highest = max(highest, np.int32(key | np.int32(j)))
    return highest


@numba.njit(cache=True, nogil=True, fastmath=True)
def _furthest_of_groups(
    off: Any, share: Any, change: Any, low: Any, high: Any, scales: Any, places: int
) -> Any:
    """The same where each coordinate has a scale of its own."""
    highest = np.int32(0)
    for j in range(off.size):
        value = off[j] + share[j] * change
        off[j] = value
        key = np.int32(abs(min(max(value, low[j]), high[j])) * scales[j]) << np.int32(places)
        highest = max(highest, np.int32(key | np.int32(j)))
    return highest


@numba.njit(cache=True, nogil=True, fastmath=True)
def _add(off: Any, share: Any, change: Any) -> None:
    for j in range(off.size):
        off[j] += share[j] * change


@numba.njit(cache=True, nogil=True, fastmath=True)
def _refit(off: Any, levels: Any, zero: Any, slope: Any, diagonal: Any, inverse: Any, step: Any) -> Any:
    """What the best step for the levels gains, and that step; `off` becomes what it is there."""
    over, under = 0.0, 0.0
    for j in range(off.size):
        code = levels[j] - zero
        over += code * slope[j]
        under += code * (np.float32(0.5) * diagonal[j] * off[j] + slope[j])
    under /= step
    if over <= 0.0 or under <= 0.0:
        return 0.0, step
    better = np.float32(over / under)
    ratio = better / step
    for j in range(off.size):
        goal = slope[j] * inverse[j]
        off[j] = ratio * (off[j] + goal) - goal
    return under * (step - better) * (step - better), better
