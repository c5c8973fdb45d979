"""layer-dp: a curve E_l(k) for each connected component of the couplings, then an exact DP over components.

Pruning couples filters inside a layer only, so the energy is a sum over layers, and Σx = K is met by choosing
how many each layer keeps (min-plus convolution; Bellman 1957). Curves of up to 18 variables come from
enumeration, longer ones from exchanges along k, each point from where its neighbour ended. Where the DP lands
they are searched again, until that changes nothing. Under Σc·x ≤ K a curve is over whole units of cost.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse import csgraph

from ...problems import Capacity
from ...problems.arrays import Bits, Floats
from ..compiled import readonly
from ..qubo.flips import flip, slopes
from ..registry import Range, solver
from ..run import Declined, Run
from .exchanges import Ints, Slice, between, filled

__all__ = ["layer_dp"]

WIDTH = 18
"""Variables of a component up to which its curve is enumerated."""

WHOLE, SHARE = 256, 0.9
"""A component of more variables, and of more than that share of all, leaves the DP nothing to do."""

PARTS = 1000
"""Costs that are no halves of whole numbers may be multiples of a fraction of the least, down to this one."""

CELLS, STEPS = 1_000_000, 30_000_000
"""Most units of cost in K, and most (unit, component) pairs, that the DP has memory for."""

BLOCK = 1 << 12
"""Solutions after which the slopes of an enumeration start anew, so that no rounding error builds up."""

NEAR = 1
"""How far on either side of where the DP lands a curve is searched again."""

TRACED = 0.1
"""Share of a curve's width that is traced on either side of where the DP first lands."""


@dataclass(frozen=True, eq=False)
class _Curve:
    """The lowest loss known of a component at each cost.

    Attributes:
        piece: the component as an instance of its own.
        members: its variables, (w,).
        cells: their costs in whole units, (w,).
        proven: whether the losses are the lowest there are.
        points: cost in units -> (loss, bits).
    """

    piece: Slice
    members: Ints
    cells: Ints
    proven: bool
    points: dict[int, tuple[float, Bits]] = field(default_factory=dict)

    def add(self, points: Bits) -> bool:
        """Keep a point (w,), or of several (k, w) those, that are the best of their cost; whether one was."""
        several, better = np.atleast_2d(points), False
        losses = self.piece.qubo.losses(several)
        for x, cost, loss in zip(several, (several @ self.cells).tolist(), losses.tolist(), strict=True):
            if cost not in self.points or loss < self.points[cost][0] - self.piece.least:
                self.points[cost] = loss, x.copy()
                better = True
        return better

    def front(self) -> tuple[Ints, Floats]:
        """Costs and losses of the points worth their cost, ascending; all of them where Σx = K."""
        costs = np.array(sorted(self.points), dtype=np.int64)
        losses = np.array([self.points[int(cost)][0] for cost in costs])
        if self.piece.exact:
            return costs, losses
        before = np.minimum.accumulate(np.concatenate([[np.inf], losses[:-1]]))
        return costs[losses < before], losses[losses < before]

    def at(self, cost: int) -> Slice:
        """The component with a capacity of so many units."""
        unit = float(self.piece.costs[0]) / int(self.cells[0])
        return replace(self.piece, K=cost * unit * (1.0 + 1e-12))


@solver("layer-dp", accepts=Capacity, reference="Bellman 1957", exact=False)
def layer_dp(
    capacity: Capacity, run: Run, *, moves: Annotated[int, Range(1, 1_000_000, log=True)] = 500
) -> None:
    """Join the components' curves of energy over capacity by an exact DP; proven where they are enumerated.

    The first restart makes the curves, later ones search them again where the DP lands. Declines costs that
    are no whole multiples of a unit, and a large component that is nearly all there is.

    Parameters:
        moves: length of each tabu search of a curve that is too wide to be enumerated.
    """
    # The first answer waits for nothing; a run that declines drops it.
    run.offer(capacity.baseline())
    cells, K = _units(capacity)
    groups = _components(capacity)
    if len(groups) * (K + 1) > STEPS:
        raise Declined(
            f"layer-dp joins at most {STEPS} units of cost times components, got {len(groups)} × {K}"
        )
    curves = list[_Curve]()
    while run.open():
        if run.opened == 1:
            starts = list(_first(capacity, run, moves))
            if run.stopped():
                break
            curves = [_begun(capacity, members, cells[members], K, run) for members in groups]
            for curve in curves:
                for x in starts:
                    curve.add(x[curve.members])
            landing = _land(capacity, curves, K, run, moves)
            for curve, cost in zip(curves, landing, strict=True):
                _trace(curve, run, cost)
        _land(capacity, curves, K, run, moves)


def _land(capacity: Capacity, curves: list[_Curve], K: int, run: Run, moves: int) -> list[int]:
    """Join the curves and search them again where that lands, until it changes nothing; where it landed."""
    changed, landing = True, list[int]()
    while changed:
        landing = _joined(curves, K, capacity.exact)
        run.offer(_assembled(capacity, curves, landing))
        if run.opened == 1 and all(curve.proven for curve in curves) and run.violation == 0:
            # Two solutions that float64 cannot tell apart may have been taken for each other.
            run.prove(run.loss - capacity.resolution)
        left = K - sum(landing)
        changed = False
        for curve, cost in zip(curves, landing, strict=True):
            if run.stopped():
                return landing
            if not curve.proven:
                changed |= _searched(curve, cost, left, run, moves)
    return landing


def _first(capacity: Capacity, run: Run, moves: int) -> Iterator[Bits]:
    """Two points to offer and to begin the curves with, searched over all components at once."""
    whole = Slice.of(capacity)
    x = _moved(whole, np.zeros(capacity.n, dtype=np.int8), run)
    run.offer(x)
    for fresh in (False, True):
        x = whole.tabu(whole.fresh(run, x) if fresh else x, run, moves)
        whole.settle(x, run)
        run.offer(x)
        yield x
        if run.stopped():
            break


# ---- the parts


def _units(capacity: Capacity) -> tuple[Ints, int]:
    """Costs and K in whole units.

    Raises:
        Declined: there is no unit, or K holds too many of it.
    """
    least = float(capacity.costs.min())
    for scale in (1.0, 2.0, *(part / least for part in range(1, PARTS + 1))):
        ratio = capacity.costs * scale
        if np.all(np.abs(ratio - np.rint(ratio)) <= np.minimum(1e-9 * ratio, 1e-6)):
            whole = np.rint(ratio).astype(np.int64)
            common = int(np.gcd.reduce(whole))
            room = (capacity.K + capacity.slack) * (scale / common) * (1.0 + 4e-16)
            K = min(math.floor(room), int(whole.sum()) // common)
            if K > CELLS:
                raise Declined(f"layer-dp takes capacities of at most {CELLS} units of cost, got {K}")
            return whole // common, K
    raise Declined("layer-dp needs costs that are whole multiples of a unit; use swap")


def _components(capacity: Capacity) -> list[Ints]:
    """Variables of each connected component of the couplings, the largest last.

    Raises:
        Declined: a large one covers nearly all variables.
    """
    _, label = csgraph.connected_components(sp.csr_array(capacity.qubo.couplings), directed=False)
    groups = [np.flatnonzero(label == one) for one in range(label.max() + 1)]
    groups.sort(key=len)
    if len(groups[-1]) > max(WHOLE, SHARE * capacity.n):
        widest = len(groups[-1])
        raise Declined(
            f"layer-dp needs separate parts, but {widest} of {capacity.n} variables couple; use swap"
        )
    return groups


def _begun(capacity: Capacity, members: Ints, cells: Ints, K: int, run: Run) -> _Curve:
    """The curve of a component: enumerated where it is short and time is left, else by greedy steps."""
    Q = capacity.Q[members][:, members]
    costs = capacity.costs[members]
    most = float(len(members)) if capacity.exact else float(costs.sum())
    whole = Capacity(Q.toarray() if capacity.sparse else Q, costs, most)
    piece = replace(Slice.of(whole), exact=capacity.exact)
    proven = len(members) <= WIDTH and not run.stopped()
    curve = _Curve(piece, members, cells, proven)
    for points in [_enumerated(curve, K)] if proven else _greedy(curve):
        curve.add(points)
    return curve


def _enumerated(curve: _Curve, K: int) -> Bits:
    """The best choice at each cost up to K that there is, a row each."""
    width, limit = curve.members.size, min(K, int(curve.cells.sum()))
    lowest, words = np.full(limit + 1, np.inf), np.zeros(limit + 1, dtype=np.int64)
    linear, x = curve.piece.qubo.linear, np.zeros(width, dtype=np.int8)
    for start in range(0, 1 << width, BLOCK):
        slope = slopes(curve.piece.qubo, x)
        loss = float(0.5 * (x @ (linear + slope)))
        stop = min(start + BLOCK, 1 << width)
        _visit(curve.piece.matrix, slope, x, readonly(curve.cells), loss, start, stop, lowest, words)
    return ((words[np.isfinite(lowest), None] >> np.arange(width)) & 1).astype(np.int8)


def _greedy(curve: _Curve) -> Iterator[Bits]:
    """The way (w + 1, w) from nothing to everything and back, each step the least harmful per cost."""
    piece, width = curve.piece, curve.members.size
    for side, room in ((0, np.inf), (1, -np.inf)):
        x = np.full(width, side, dtype=np.int8)
        order = _steps(piece.matrix, slopes(piece.qubo, x), x, piece.costs, room)
        yield (np.argsort(order) < np.arange(width + 1)[:, None]).astype(np.int8) ^ side


def _trace(curve: _Curve, run: Run, middle: int) -> None:
    """Settle the points of a curve around `middle`, each from its neighbour's, upwards and then downwards."""
    if curve.proven:
        return
    costs, reach = sorted(curve.points), max(NEAR, round(TRACED * curve.members.size))
    place = bisect.bisect_left(costs, middle)
    costs = costs[max(0, place - reach) : place + reach + 1]
    for side in (0, 1):
        last = None
        for cost in costs[:: 1 - 2 * side]:
            if run.stopped():
                return
            piece = curve.at(cost)
            if last is not None:
                curve.add(_moved(piece, last, run))
            last = curve.points[cost][1].copy()
            piece.settle(last, run)
            curve.add(last)


def _moved(piece: Slice, x: Bits, run: Run) -> Bits:
    """A point brought to the capacity of this piece by greedy steps; x itself stays."""
    y = x.copy()
    _steps(piece.matrix, slopes(piece.qubo, y), y, piece.costs, piece.K - float(piece.costs @ y))
    return y if piece.costs @ y <= piece.K else filled(piece, np.zeros_like(y), run)


def _searched(curve: _Curve, cost: int, left: int, run: Run, moves: int) -> bool:
    """Tabu at a point of a curve and beside it, later from elsewhere; whether a point got better."""
    costs = curve.front()[0]
    place = int(np.searchsorted(costs, cost))
    near = costs[max(0, place - NEAR) : place + NEAR + 1]
    better = False
    for goal in dict.fromkeys([cost, cost + left, *(int(one) for one in near)]):
        if run.stopped():
            break
        piece = curve.at(goal)
        known = [curve.points[int(one)][1] for one in near]
        if goal in curve.points and run.opened == 1:
            x = curve.points[goal][1].copy()
        else:
            x = piece.fresh(run, known[0]) if run.rng.random() < 0.5 else between(piece, run, known)
        found = piece.tabu(x, run, moves)
        piece.settle(found, run)
        better |= curve.add(found)
    return better


# ---- the join


def _joined(curves: list[_Curve], K: int, exact: bool) -> list[int]:
    """Cost of each curve's point in the best choice of one each, at Σ = K where exact, else at Σ ≤ K."""
    total = np.full(K + 1, np.inf if exact else 0.0)
    total[0] = 0.0
    fronts, chosen = [curve.front() for curve in curves], list[npt.NDArray[np.int32]]()
    for costs, losses in fronts:
        after, choice = np.full(K + 1, np.inf), np.zeros(K + 1, dtype=np.int32)
        for point, (cost, loss) in enumerate(zip(costs.tolist(), losses.tolist(), strict=True)):
            if cost > K:
                break
            there = total[: K + 1 - cost] + loss
            lower = there < after[cost:]
            after[cost:][lower] = there[lower]
            choice[cost:][lower] = point
        total = after
        chosen.append(choice)
    landing, room = list[int](), K
    for (costs, _), point_at in zip(reversed(fronts), reversed(chosen), strict=True):
        landing.append(int(costs[point_at[room]]))
        room -= landing[-1]
    return landing[::-1]


def _assembled(capacity: Capacity, curves: list[_Curve], landing: list[int]) -> Bits:
    x = np.zeros(capacity.n, dtype=np.int8)
    for curve, cost in zip(curves, landing, strict=True):
        x[curve.members] = curve.points[cost][1]
    return x


@numba.njit(cache=True, nogil=True)
def _steps(matrix: Any, slope: Floats, x: Bits, costs: Floats, room: float) -> Ints:
    """Drop until x fits where room < 0, else add what fits, the least harmful per cost first; their order."""
    order, side, infinite = np.zeros(x.size, dtype=np.int64), int(room < 0.0), np.inf
    sign = 1.0 - 2.0 * side
    for step in range(x.size):
        best, lowest = x.size, infinite
        for i in range(x.size):
            if x[i] == side and (side == 1 or costs[i] <= room):
                change = sign * slope[i] / costs[i]
                if change < lowest:
                    best, lowest = i, change
        if best == x.size or (side == 1 and room >= 0.0):
            return order[:step]
        room -= sign * costs[best]
        flip(matrix, slope, x, best)
        order[step] = best
    return order


@numba.njit(cache=True, nogil=True)
def _visit(
    matrix: Any,
    slope: Floats,
    x: Bits,
    cells: Ints,
    loss: float,
    start: int,
    stop: int,
    lowest: Floats,
    words: Ints,
) -> None:
    """Visit solutions start … stop−1 in Gray order, each a flip from the last; keep the lowest at each cost.

    x is the solution before the first.
    """
    word = used = cells[0] * 0
    for i in range(x.size):
        word += (1 << i) * x[i]
        used += cells[i] * x[i]
    for code in range(start, stop):
        after = code ^ (code >> 1)
        for i in range(x.size):
            if ((word ^ after) >> i) & 1:
                loss += flip(matrix, slope, x, i)
                used += cells[i] if x[i] else -cells[i]
                break
        word = after
        if used < lowest.size and loss < lowest[used]:
            lowest[used], words[used] = loss, word
