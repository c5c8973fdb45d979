"""level-tabu: from a nearest plane and its sweeps, the best move of one level, none undone soon.

Tabu search (Glover 1989) over all levels of a layer's weights. Where sweeps end, no weight alone can improve;
a weight that moves all the same, and may not move back for some moves, lets others follow that improve
together. A move costs one row of the Gram matrix.
"""

from __future__ import annotations

from typing import Annotated, Any

import numba
import numpy as np

from ...problems import Rounding
from ...problems.quantization.planes import Singles
from ..registry import Range, solver
from ..run import Run
from .descent import spans
from .levels.units import WeightUnits, factored, units_of

__all__ = ["level_tabu"]


LOOKS = 16
"""Groups of neurons between two offers under a budget: of each the whole layer's loss is computed."""


@solver("level-tabu", accepts=Rounding, reference="Glover 1989", groups=True, counts="moves")
def level_tabu(
    rounding: Rounding,
    run: Run,
    *,
    moves: Annotated[int, Range(1, 1_000_000, log=True)] = 384,
    tenure: Annotated[int, Range(1, 1_000, log=True)] = 10,
    damping: Annotated[float, Range(1e-8, 1.0, log=True)] = 0.01,
) -> None:
    """Search from the instance's start, or a nearest plane; a round costs O(f) a move.

    Parameters:
        moves: of each neuron in a round.
        tenure: moves for which a weight that moved stays, at least; at most twice as many.
        damping: added to the Gram matrix's diagonal, as a share of its mean, for the nearest plane and for
            the search, which then fits the samples at hand a little less and others better.
    """
    units = units_of(rounding).damped(damping)
    levels, field = _begin(rounding, units, damping)
    run.offer(rounding.settle(levels))
    looks = LOOKS if run.restarts is None else rounding.n
    rounds = 0
    while run.open():
        if rounds:
            field = units.field(levels)
        for number, rows in enumerate(spans(rounding, run, 2 * moves * max(1, rounding.f))):
            chosen, seed = slice(rows[0], rows[-1] + 1), int(run.rng.integers(2**31))
            made = _searched(units.rows(rows), levels[chosen], field[chosen], moves, tenure + rounds, seed)
            run.tally("moves", made)
            if number % looks == looks - 1:
                run.offer(rounding.settle(levels))
        run.offer(rounding.settle(levels))
        rounds += 1


def _begin(rounding: Rounding, units: WeightUnits, damping: float) -> tuple[Singles, Singles]:
    """Levels (n, f) of the start that the instance has, or of a nearest plane, swept, and their field."""
    if rounding.start is None:
        levels = units.nearest(factored(rounding.gram, "act", damping))
        _keep_nearest(rounding, levels)
    else:
        levels = rounding.start.astype(np.float32)
    return levels, units.sweep(levels)


def _keep_nearest(rounding: Rounding, levels: Singles) -> None:
    """Put the nearest values of neurons for which they are better in the place of their levels."""
    nearest = rounding.nearest()
    worse = rounding.row_losses(nearest) < rounding.row_losses(levels)
    levels[worse] = nearest[worse]


def _searched(units: WeightUnits, levels: Any, field: Any, count: int, tenure: int, seed: int) -> int:
    """Search from levels (k, f), which end where each row was best; the number of moves comes back.

    The field (k, f) is that of the levels; it ends elsewhere.
    """
    slopes = np.multiply(field, 2.0 * units.steps[:, units.group], out=field)
    fixed = np.zeros((len(levels), 0), dtype=np.int8) if units.fixed is None else units.fixed
    spread = (units.steps, units.group, units.top)
    return int(_search(units.gram, levels, slopes, *spread, fixed, count, tenure, np.uint32(seed)))


HUGE = np.float32(1e30)
"""More than any move costs, and unlike infinity safe to compute with."""

SIGN = np.int32(0x7FFFFFFF)
"""What turns a negative float's bits around, so that as integers they have the order of the floats."""


@numba.njit(cache=True, nogil=True)
def _search(
    gram: Any,
    levels: Any,
    slopes: Any,
    steps: Any,
    group: Any,
    top: Any,
    fixed: Any,
    count: int,
    tenure: int,
    seed: Any,
) -> int:
    """Walk each row; `slopes` (k, f) are 2·step·field, what a step up adds beside its curvature."""
    n, f = levels.shape
    step, curve, costs = np.empty(f, np.float32), np.empty(f, np.float32), np.empty(f, np.float32)
    up, down, until = np.empty(f, np.float32), np.empty(f, np.float32), np.zeros(f, np.int64)
    keys = costs.view(np.int32)
    moved, signs = np.zeros(count, np.int64), np.zeros(count, np.float32)
    luck, total = np.uint32(seed | np.uint32(1)), 0
    for row in range(n):
        own, slope = levels[row], slopes[row]
        for i in range(f):
            step[i] = steps[row, group[i]]
            curve[i] = step[i] * step[i] * gram[i, i]
            until[i] = -1
            if fixed.shape[1] > 0 and fixed[row, i] >= 0:
                up[i] = down[i] = HUGE
            else:
                _open(i, own, top, curve, up, down)
        now, best, last, made = np.float32(0.0), np.float32(0.0), 0, 0
        pick, change = 0, np.float32(0.0)
        for t in range(count):
            _follow(slope, gram[pick], step, change)
            lowest = _cheapest(slope, up, down, costs, keys)
            pick = _place(keys, lowest)
            if costs[pick] >= HUGE:
                break
            sign = np.float32(1.0) if slope[pick] + up[pick] <= down[pick] - slope[pick] else np.float32(-1.0)
            now += costs[pick]
            own[pick] += sign
            change = np.float32(2.0) * sign * step[pick]
            moved[t], signs[t], made = pick, sign, t + 1
            up[pick] = down[pick] = HUGE
            luck ^= luck << np.uint32(13)
            luck ^= luck >> np.uint32(17)
            luck ^= luck << np.uint32(5)
            until[pick] = t + tenure + luck % np.uint32(tenure)
            # Those whose time is over are looked at twice, after the shortest and after the longest.
            for back in (tenure, 2 * tenure):
                if t >= back and until[moved[t - back]] <= t:
                    _open(moved[t - back], own, top, curve, up, down)
            if now < best - np.float32(1e-6) * curve[pick]:
                best, last = now, t + 1
        for t in range(made - 1, last - 1, -1):
            own[moved[t]] -= signs[t]
        total += made
    return total


@numba.njit(cache=True, nogil=True)
def _open(i: int, levels: Any, top: Any, curve: Any, up: Any, down: Any) -> None:
    """Let a coordinate move, as far as its box does."""
    up[i] = curve[i] if levels[i] < top[i] else HUGE
    down[i] = curve[i] if levels[i] > np.float32(0.0) else HUGE


@numba.njit(cache=True, nogil=True, fastmath=True)
def _follow(slope: Any, gram: Any, step: Any, change: Any) -> None:
    """Bring the slopes up to date after a move. Few arrays to a loop, or it is not vectorised."""
    for j in range(slope.size):
        slope[j] += gram[j] * step[j] * change


@numba.njit(cache=True, nogil=True, fastmath=True)
def _cheapest(slope: Any, up: Any, down: Any, costs: Any, keys: Any) -> Any:
    """Costs of each coordinate's better step, and the least as a key: of floats it is not vectorised."""
    for j in range(slope.size):
        costs[j] = min(slope[j] + up[j], down[j] - slope[j])
    lowest = SIGN
    for j in range(slope.size):
        lowest = min(lowest, keys[j] ^ ((keys[j] >> np.int32(31)) & SIGN))
    return lowest


@numba.njit(cache=True, nogil=True)
def _place(keys: Any, lowest: Any) -> int:
    """The first place of a key, looked for in pieces that are compared at once."""
    wanted = lowest ^ ((lowest >> np.int32(31)) & SIGN)
    for start in range(0, keys.size, 64):
        stop, found = min(start + 64, keys.size), np.int32(0)
        for j in range(start, stop):
            found |= np.int32(1) if keys[j] == wanted else np.int32(0)
        if found:
            for j in range(start, stop):
                if keys[j] == wanted:
                    return j
    return 0
