"""A walk over levels: the weights furthest from their best places move a level, and stay for a while.

Tabu search (Glover 1989). Where sweeps end, no weight alone can improve; one that moves all the same, and may
not move back for some moves, lets others follow that improve together. Which one is told by how far off it is
in steps and a little by how strong its input is, not by what its move costs: else the weights of faint
inputs, which cost nothing, would move to and fro. A move costs one row of the Gram matrix. Two weights, one
of each half of a row, move at a time: one loop over the row takes in what both do to the others and finds the
next two, which is what it costs to reach them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from ..arrays import Floats
from .lanes import furthest, lanes
from .planes import Indices, Singles

__all__ = ["Walks", "moves_by_loss", "walks_of"]

FAR = np.float32(1e15)
"""Beyond what any weight lies off its best place."""

GAP = 16
"""Moves between two refits of a row's step, each of which costs about as much as a move."""


PAIRED = 128
"""Inputs from which on two weights move at a time, and the stronger's first: of fewer, the second is seldom
worth its move, and steps alone tell as well which goes first."""

LEAN = 0.25
"""Power of its input's mean square that a weight's distance counts with. At 0 it takes three times the moves
to end as low on layers of a language model."""

NEXT = np.float32(0.7)
"""Share of the first's distance that the second of two weights must be off, or it waits for the next look."""

SPREAD = 4
"""Times the usual moves that a row of great loss gets, and shares of them that one of little loss keeps."""


@dataclass(frozen=True, eq=False)
class Walks:
    """A Gram matrix as walks take it.

    Attributes:
        shares: (f, width) 2·gram_ij / gram_jj · weight_j: how far an error of i takes j off, twice, as it
            counts; zeros behind, see `lanes`.
        diagonal: (f,) of the Gram matrix.
        weight: (f,) what a distance of each coordinate counts.
    """

    shares: Singles
    diagonal: Singles
    weight: Singles

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
    ) -> tuple[int, Floats]:
        """Walk each row and end where it was best; the number of moves and what they take off (n,) come back.

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
        stay, gains = min(tenure, max(2, levels.shape[1] // 10)), np.zeros(len(levels))
        made = _walk(
            self.shares,
            self.diagonal,
            self.weight,
            levels,
            field,
            steps,
            group,
            top,
            held,
            zeros,
            slope,
            steps.shape[1] > 1,
            moves,
            stay,
            np.uint32(seed | 1),
            lanes(4, levels.shape[1]),
            gains,
        )
        return int(made), gains


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
    weight = diagonal ** np.float32(LEAN if len(diagonal) >= PAIRED else 0.0)
    inverse = np.divide(2.0 * weight, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0.0)
    shares = lanes(*gram.shape)
    np.multiply(gram, inverse, out=shares[:, : len(gram)])
    return Walks(shares, diagonal, weight)


@numba.njit(cache=True, nogil=True)
def _walk(  # noqa: C901 - one pass over rows and moves
    shares: Any,
    diagonal: Any,
    weight: Any,
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
    looks: Any,
    gains: Any,
) -> int:
    """`off` (width,) is how far each weight lies from its best place, twice, as it counts.

    `low` and `high` bound what is looked at: 0 to the side to which a weight may not go, on both while it
    stays, and behind the last.
    """
    n, f = levels.shape
    off, low, high, scales = looks[0], looks[1], looks[2], looks[3]
    inverse, until = np.zeros(f, np.float32), np.zeros(f, np.int64)
    pulls = np.zeros(f, np.float32)
    longest = counts.max() if n else 0
    moved, signs = np.zeros(longest, np.int64), np.zeros(longest, np.float32)
    places, total, sides = np.int32((1 << _places(off.size)) - 1), 0, 2 if f >= PAIRED else 1
    for i in range(f):
        if diagonal[i] > 0.0:
            inverse[i] = np.float32(2.0) * weight[i] / diagonal[i]
            pulls[i] = np.float32(1.0) / inverse[i]
    for row in range(n):
        own = levels[row]
        off[f:] = np.float32(0.0)
        for i in range(f):
            off[i], until[i] = field[row, i] * inverse[i], -1
            low[i] = high[i] = np.float32(0.0)
            if grouped:
                scales[i] = np.float32(1.0) / steps[row, group[i]]
            if diagonal[i] > 0.0 and (fixed.shape[1] == 0 or fixed[row, i] < 0):
                _open(i, own, top, low, high)
        now, best, last, fitted, t, far = 0.0, 0.0, 0, -GAP, 0, np.float32(0.0)
        kept = steps[row, 0]
        lead, trail, ahead, behind = 0, 0, np.float32(0.0), np.float32(0.0)
        while t < counts[row]:
            one, other = shares[lead], shares[trail]
            if grouped:
                left, right = furthest(off, one, other, ahead, behind, low, high, scales, places)
            else:
                left, right = furthest(off, one, other, ahead, behind, low, high, None, places)
            lead, trail, ahead, behind = 0, 0, np.float32(0.0), np.float32(0.0)
            begun, far = t, np.float32(0.0)
            for side in range(sides):
                key = min(left, right) if side else max(left, right)
                if key <= places or t == counts[row]:
                    break
                pick = int(key & places)
                # What the first of them has done to the second.
                away = off[pick] + (shares[lead, pick] * ahead if side else np.float32(0.0))
                sign = np.float32(1.0) if off[pick] < 0.0 else np.float32(-1.0)
                reach = abs(away) * (scales[pick] if grouped else np.float32(1.0))
                # The first is never too near, and what it does to itself is no question.
                if reach < far or sign * away > 0.0:
                    break
                far = NEXT * reach
                step = steps[row, group[pick]]
                now += step * diagonal[pick] * (step - abs(away) / weight[pick])
                own[pick] += sign
                moved[t], signs[t] = pick, sign
                if side:
                    trail, behind = pick, step * sign
                else:
                    lead, ahead = pick, step * sign
                low[pick] = high[pick] = np.float32(0.0)
                luck ^= luck << np.uint32(13)
                luck ^= luck >> np.uint32(17)
                luck ^= luck << np.uint32(5)
                until[pick] = t + tenure + luck % np.uint32(tenure)
                # Those whose time is over are looked at twice, after the shortest and after the longest.
                for back in (tenure, 2 * tenure):
                    if t >= back and until[moved[t - back]] <= t:
                        _open(moved[t - back], own, top, low, high)
                t += 1
                if now < best - 1e-6 * diagonal[pick] * step * step:
                    best, last, kept = now, t, steps[row, 0]
            if t == begun:
                break
            if last > begun and slope.shape[1] > 0 and t >= fitted + GAP:
                _add(off, shares[lead], ahead)
                _add(off, shares[trail], behind)
                ahead, behind = np.float32(0.0), np.float32(0.0)
                fitted, step = t, steps[row, 0]
                gain, steps[row, 0] = _refit(off, own, zeros[row, 0], slope[row], pulls, inverse, step)
                now -= gain
                if now < best:
                    best, last, kept = now, t, steps[row, 0]
        for back in range(t - 1, last - 1, -1):
            own[moved[back]] -= signs[back]
        steps[row, 0], gains[row] = kept, -best
        total += t
    return total


@numba.njit(cache=True, nogil=True)
def _places(f: int) -> int:
    """Bits that number f coordinates."""
    places = 0
    while (1 << places) < f:
        places += 1
    return places


@numba.njit(cache=True, nogil=True)
def _open(i: int, levels: Any, top: Any, low: Any, high: Any) -> None:
    """Let a coordinate move, as far as its box does."""
    low[i] = -FAR if levels[i] < top[i] else np.float32(0.0)
    high[i] = FAR if levels[i] > np.float32(0.0) else np.float32(0.0)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _add(off: Any, share: Any, change: Any) -> None:
    for j in range(off.size):
        off[j] += share[j] * change


@numba.njit(cache=True, nogil=True, fastmath=True)
def _refit(off: Any, levels: Any, zero: Any, slope: Any, pulls: Any, inverse: Any, step: Any) -> Any:
    """What the best step for the levels gains, and that step; `off` becomes what it is there."""
    over, under = 0.0, 0.0
    for j in range(levels.size):
        code = levels[j] - zero
        over += code * slope[j]
        under += code * (pulls[j] * off[j] + slope[j])
    under /= step
    if over <= 0.0 or under <= 0.0:
        return 0.0, step
    better = np.float32(over / under)
    ratio = better / step
    for j in range(levels.size):
        goal = slope[j] * inverse[j]
        off[j] = ratio * (off[j] + goal) - goal
    return under * (step - better) * (step - better), better
