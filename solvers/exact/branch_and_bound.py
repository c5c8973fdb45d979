"""branch-and-bound: depth first; a node's bound is the minimum of a convex quadratic made for its depth.

The order of the variables is fixed, so all nodes of a depth share one matrix, which is shifted convex (see
`convex_shifts`) and inverted once, when the search first comes there; a node then costs O(n), as in Buchheim,
Caprara & Lodi 2012 ("An effective branch-and-bound algorithm for convex quadratic integer programming"). A
shift of each depth's own, the multipliers of the box and of a capacity, and the lattice of the losses are
ours. So are the order and the first incumbent: the root's convex form is a closest-vector problem, whose
columns a sorted QR factorisation (Wübben et al. 2001) orders and a beam searches.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, NamedTuple, Protocol

import numba
import numpy as np

from ...problems import Capacity, Qubo, Rounding
from ...problems.arrays import Bits, Floats
from ..capacity.finishing import finish
from ..compiled import copy, per_look
from ..convex_shifts import root_shift
from ..qubo.flips import descend, matrix_of, noise, slopes
from ..registry import Range, solver
from ..rounding.factors import Columns, sorted_factor
from ..rounding.prefixes import cheapest
from ..run import Run
from .bounds import Relaxations, blank, dense_couplings, lattice, posiform, relaxations
from .starts import annealed

__all__ = ["branch_and_bound"]

TRUST = 0.9
"""How far the expected prefix of a node leans from ½ towards the incumbent; nodes near it live longest."""

STARTS, DESCENTS = 2, 100
"""Annealings for a first incumbent, or descents under a capacity; the better it is, the fewer nodes live."""

NARROW, WIDTH = 512, 16_384
"""Prefixes of the beams that look for it too: before the tree, and once that has proven not to be easy."""

HASTY, EASY = 3_000, 20_000
"""Nodes before every depth gets a shift of its own, and before the wide beam: about as long as those take."""

LIFTS = 24
"""Most multipliers that one bound is lifted by."""

PULL = 1.0
"""Weight of (Σx − K)² under an exact capacity, in mean sizes of the coefficients."""

PAUSED, LEAF, DONE, SHALLOW = range(4)
"""Why the search came back: its nodes are used, a better solution is found, no node is open, or the next one
needs a depth that is not prepared."""


@solver(
    "branch-and-bound",
    accepts=(Qubo, Capacity),
    reference="Buchheim, Caprara & Lodi 2012",
    exact=True,
    max_variables=300,
    counts="nodes",
)
def branch_and_bound(
    instance: Qubo | Capacity, run: Run, *, nodes: Annotated[int, Range(1, 10**10, log=True)] = 1_000_000
) -> None:
    """Fix variables one by one, both ways; drop what a convex relaxation proves no better. A node costs O(n).

    Parameters:
        nodes: nodes of a restart; the next one continues the same tree.
    """
    tree = shifted = None
    while run.open():
        left = nodes
        if tree is None or shifted is None:
            run.offer(instance.baseline())
            run.prove(posiform(instance.qubo))  # should the budget end before the first node
            _begin(instance, run)
            shifted = _shifted(instance.qubo, run)
            tree = None if shifted is None else _plant(instance, run, shifted)
            if tree is None or shifted is None:
                return
            if not tree.grow(run, min(left, HASTY)):
                return
            tree.refine()
            left -= HASTY
            if left > 0 and not tree.grow(run, min(left, EASY)):
                return
            left -= EASY
            if left > 0:
                _beam(instance, run, shifted, WIDTH)
        if left > 0 and not tree.grow(run, left):
            return


def _begin(instance: Qubo | Capacity, run: Run) -> None:
    """Offer local minima: annealed ones, or under a capacity those of descents."""
    if isinstance(instance, Qubo):
        for x in annealed(instance, run, STARTS):
            run.offer(x)
    else:
        _descents(instance, run)


def _descents(instance: Capacity, run: Run) -> None:
    """Descents, most of them from the best point so far, partly drawn anew."""
    qubo = instance.qubo
    matrix, flips = matrix_of(qubo), per_look(2 * qubo.n)
    for _ in range(DESCENTS):
        if run.stopped():
            return
        x = run.rng.integers(0, 2, qubo.n, dtype=np.int8)
        if run.rng.random() < 0.8 and run.best is not None:
            x = np.where(run.rng.random(qubo.n) < 0.2, x, run.best)
        descend(matrix, slopes(qubo, x), x, noise(qubo), flips)
        run.offer(finish(instance, x))


def _shifted(qubo: Qubo, run: Run) -> _Shifted | None:
    """The root's convex form as a closest-vector problem; None if the budget ran out on the way."""
    A = dense_couplings(qubo)
    found = root_shift(A, qubo.linear, run.stopped)
    if found is None:
        return None
    u, inverse = found
    form = Rounding(A - np.diag(u), -0.5 * (inverse @ (qubo.linear + u))[None])
    return _Shifted(form, u, *sorted_factor(form.gram, np.zeros(qubo.n, dtype=np.bool_)))


def _beam(instance: Qubo | Capacity, run: Run, shifted: _Shifted, width: int) -> None:
    """Offer the cheapest of `width` prefixes of the root's convex form, after a descent."""
    qubo, columns = instance.qubo, shifted.columns
    found = cheapest(shifted.form, np.arange(1), columns, shifted.lower, width, stopped=run.stopped)
    if found is None:
        return
    x = np.zeros(qubo.n, dtype=np.int8)
    x[columns] = found[0]
    descend(matrix_of(qubo), slopes(qubo, x), x, noise(qubo), per_look(2 * qubo.n))
    run.offer(finish(instance, x))


class _Shifted(NamedTuple):
    """A convex quadratic that is the loss at bits, but for a constant.

    Attributes:
        form: a neuron, whose unconstrained minimum is the root's bound.
        shift: (n,) what was taken off the diagonal.
        columns: (n,) its variables in the order of branching; the last are those that the others span best.
        lower: (n, n) factor of its gram in that order.
    """

    form: Rounding
    shift: Floats
    columns: Columns
    lower: Floats


class _Tables(NamedTuple):
    """What does not change in the search. Variables stand in the order of branching; depth k has fixed k.

    Attributes:
        linear: (n,) slope of each variable where all are 0.
        rise: (n, n) what keeping j adds to the slope of i.
        least, most: (n,) ends of what later variables may add to the slope; ∓inf where a capacity might
            forbid what the slope's sign advises.
        relaxations: of each depth.
        room: (2,) least and most that the costs may add up to; ∓inf without a capacity.
    """

    linear: Floats
    rise: Floats
    least: Floats
    most: Floats
    relaxations: Relaxations
    room: Floats


class _State(NamedTuple):
    """Where the search stands.

    Attributes:
        depth: (1,) of the node to look at next, −1 when none is open.
        x, found: (n,) bits of the path, and of the last better solution.
        pending: (n,) 1 where the other value of a variable of the path is still open.
        promise: (n,) bound of that other node.
        floor: (n + 1,) bound of the path's node at each depth.
        value: (n + 1,) loss of the path's node with the free variables at 0.
        slope: (n + 1, n) slopes there.
        spent: (n + 1,) costs there.
        minimiser: (n + 1, n + 1, n) of each depth, with j variables of the path put in.
        stale: (n + 2,) the first j that changed since a depth's minimisers were computed.
        child: (2,) bounds of the node's children.
        multiplier: (n,) of the free variables' boxes.
        point: (n,) minimiser under these multipliers.
        gain: (n,) what a change of each may add.
    """

    depth: Any
    x: Bits
    found: Bits
    pending: Bits
    promise: Floats
    floor: Floats
    value: Floats
    slope: Floats
    spent: Floats
    minimiser: Floats
    stale: Any
    child: Floats
    multiplier: Floats
    point: Floats
    gain: Floats


class _Deeper(Protocol):
    """What prepares the relaxations of a tree, depth by depth."""

    def __call__(self, *, hasty: bool) -> Iterator[int]: ...


class _Tree:
    """The open nodes of a search, in the original order of the variables.

    Relaxations are prepared depth by depth as the search comes there: an easy one never comes to most.
    """

    def __init__(
        self, order: Any, tables: _Tables, first: float, deeper: _Deeper, step: float, noise: float
    ) -> None:
        self.order, self.tables, self.deeper, self.step, self.noise = order, tables, deeper, step, noise
        self.next = deeper(hasty=True)
        next(self.next)
        self.state = _root(tables, first)

    def refine(self) -> None:
        """Prepare every depth anew and better; what is open and what is proven stays."""
        self.tables.relaxations.ready[0] = self.state.stale[:] = 0
        self.next = self.deeper(hasty=False)

    def deepen(self) -> None:
        """Prepare one more depth."""
        k = next(self.next)
        self.state.minimiser[k, 0] = self.tables.relaxations.centre[k]

    def grow(self, run: Run, nodes: int) -> bool:
        """Look at `nodes` more nodes; whether some are open afterwards and the budget is not used."""
        block = per_look(self.order.size**2)
        while nodes > 0 and not run.stopped():
            best = run.loss if run.violation == 0 else np.inf
            why, used = _search(self.tables, self.state, best, self._cutoff(run, best), min(nodes, block))
            run.tally("nodes", used)
            nodes -= max(used, 1) if why != SHALLOW else used
            if why == SHALLOW:
                self.deepen()
            if why == LEAF:
                run.offer(self.state.found[np.argsort(self.order)])
            run.prove(min(run.loss, self._open()) - self.noise)
            if why == DONE:
                return False
        return not run.stopped()

    def _cutoff(self, run: Run, best: float) -> float:
        """Bound from which on a node holds nothing better; on a lattice, nothing a step better."""
        return best - max(self.step * (1 - 1e-6), self.noise / 2)

    def _open(self) -> float:
        """Lowest bound of an open node; infinite if none is."""
        depth = int(self.state.depth[0])
        waiting = self.state.promise[self.state.pending == 1]
        return float(min(waiting.min(initial=np.inf), self.state.floor[depth] if depth >= 0 else np.inf))


def _plant(instance: Qubo | Capacity, run: Run, shifted: _Shifted) -> _Tree | None:
    """The tree with nothing but its root, after a narrow beam; None if the budget ran out on the way."""
    _beam(instance, run, shifted, NARROW)
    if run.stopped():
        return None
    qubo, order = instance.qubo, shifted.columns
    root: Floats | None = shifted.shift[order]
    A, linear, first = dense_couplings(qubo)[np.ix_(order, order)], qubo.linear[order], qubo.offset
    costs, room, noise = instance.costs[order], np.array(instance.window), instance.resolution
    # Wider than its slack, as sums here run in another order; `offer` judges feasibility.
    room[1] += 4 * instance.slack
    if instance.K is not None and instance.exact:
        # λ(Σx − K)² is 0 wherever it counts, and bends the relaxations towards the slice.
        weight = PULL * float(np.abs(A).mean() + np.abs(linear).mean())
        A, linear = A + weight * (1 - np.eye(qubo.n)), linear + weight * (1 - 2 * instance.K)
        first += weight * instance.K**2
        root = None
        # Sums of n terms err by n ε of the sum of their sizes, those that cancel included.
        noise += 2 * qubo.n * float(np.finfo(np.float64).eps) * weight * (qubo.n + instance.K) ** 2
    assert run.best is not None
    likely = np.asarray(0.5 + TRUST * (run.best[order] - 0.5), dtype=np.float64)
    found = blank(qubo.n, costs)
    deeper = partial(relaxations, found, A, linear, likely, root)
    tables = _Tables(linear.copy(), 2 * A, *_ranges(A, room), found, room)
    tree = _Tree(order, tables, first, deeper, lattice(qubo), noise)
    tree.state.floor[0] = max(tree.state.floor[0], posiform(qubo))
    return tree


def _ranges(A: Floats, room: Floats) -> tuple[Floats, Floats]:
    """Least and most (n,) that later variables add to each slope. A slope ≥ 0 at least lets one take 0."""
    least, most = (2 * np.triu(part, 1).sum(axis=1) for part in (np.minimum(A, 0), np.maximum(A, 0)))
    never = np.full(len(A), np.inf)
    return (-never if room[0] > -np.inf else least), (never if room[1] < np.inf else most)


def _root(tables: _Tables, first: float) -> _State:
    """The search before its first node; `first` is the loss where all variables are 0."""
    n, relaxed = tables.linear.size, tables.relaxations
    state = _State(
        depth=np.zeros(1, dtype=np.int64),
        x=np.zeros(n, dtype=np.int8),
        found=np.zeros(n, dtype=np.int8),
        pending=np.zeros(n, dtype=np.int8),
        promise=np.zeros(n),
        floor=np.zeros(n + 1),
        value=np.zeros(n + 1),
        slope=np.zeros((n + 1, n)),
        spent=np.zeros(n + 1),
        minimiser=np.zeros((n + 1, n + 1, n)),
        stale=np.zeros(n + 2, dtype=np.int64),
        child=np.zeros(2),
        multiplier=np.zeros(n),
        point=np.zeros(n),
        gain=np.zeros(n),
    )
    state.value[0], state.slope[0], state.minimiser[0, 0] = first, tables.linear, relaxed.centre[0]
    minimum = 0.5 * (tables.linear + relaxed.shift[0]) @ relaxed.centre[0]
    state.floor[0] = first + minimum - relaxed.reserve[0]
    return state


@numba.njit(cache=True, nogil=True)
def _search(t: Any, s: Any, best: float, cutoff: float, nodes: int) -> tuple[int, int]:
    """Look at up to `nodes` nodes; why it came back, and how many they were."""
    n = s.x.size
    for used in range(nodes):
        d = s.depth[0]
        if d < 0:
            return DONE, used
        if d == n:
            better = s.value[n] < best
            copy(s.x, s.found)
            _retreat(t, s, cutoff)
            if better:
                return LEAF, used
            continue
        if d + 1 >= t.relaxations.ready[0]:
            return SHALLOW, used
        _bound_children(t, s, d, cutoff)
        bit = 1 if s.child[1] < s.child[0] else 0
        if s.child[bit] >= cutoff:
            _retreat(t, s, cutoff)
            continue
        s.pending[d] = 1 if s.child[1 - bit] < cutoff else 0
        s.promise[d] = s.child[1 - bit]
        s.floor[d + 1] = s.child[bit]
        _enter(t, s, d, bit)
    return (PAUSED if s.depth[0] >= 0 else DONE), nodes


@numba.njit(cache=True, nogil=True)
def _retreat(t: Any, s: Any, cutoff: float) -> None:
    """Go to the deepest node that is still open; depth −1 if none is."""
    d = s.depth[0] - 1
    while d >= 0:
        if s.pending[d] == 1:
            s.pending[d] = 0
            if s.promise[d] < cutoff:
                s.floor[d + 1] = s.promise[d]
                _enter(t, s, d, 1 - s.x[d])
                return
        d -= 1
    s.depth[0] = -1


@numba.njit(cache=True, nogil=True)
def _enter(t: Any, s: Any, d: int, bit: int) -> None:
    """Fix variable d: the path's node at depth d + 1."""
    k = d + 1
    s.x[d] = bit
    s.depth[0] = k
    s.value[k] = s.value[d] + bit * s.slope[d, d]
    s.spent[k] = s.spent[d] + bit * t.relaxations.costs[d]
    before, after, rise, x = s.slope[d, k:], s.slope[k, k:], t.rise[d, k:], float(bit)
    for i in range(before.size):
        after[i] = before[i] + x * rise[i]
    if s.stale[k + 1] > d:
        s.stale[k + 1] = d


@numba.njit(cache=True, nogil=True)
def _bound_children(t: Any, s: Any, d: int, cutoff: float) -> None:
    """Bounds of the two nodes below the path's node at depth d; infinite for one that nobody would miss."""
    n, k = s.x.size, d + 1
    _refresh(t, s, k)
    for bit in range(2):
        s.child[bit] = np.inf
        spent = s.spent[d] + bit * t.relaxations.costs[d]
        # Under an exact capacity every cost is 1.
        if spent > t.room[1] or spent + (n - k) < t.room[0]:
            continue
        if bit == 1 and s.slope[d, d] + t.least[d] >= 0.0:
            continue
        if bit == 0 and s.slope[d, d] + t.most[d] < 0.0:
            continue
        bound = s.value[d] + bit * s.slope[d, d] - t.relaxations.reserve[k]
        bound, hope = _relaxed(t, s, k, bit, bound)
        if bound < cutoff and bound + hope >= cutoff:
            bound = _lifted(t, s, k, bit, bound, cutoff)
        s.child[bit] = bound if bound > s.floor[d] else s.floor[d]


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _refresh(t: Any, s: Any, k: int) -> None:
    """Put the path's changed variables into the minimisers of depth k; depth k + 1 then knows of them too."""
    first, d = s.stale[k], k - 1
    for j in range(first, d):
        # Loops from 0 over views have no index that might be negative, which is what lets them use SIMD.
        before, after, pull = s.minimiser[k, j, k:], s.minimiser[k, j + 1, k:], t.relaxations.pull[k, j, k:]
        x = float(s.x[j])
        for i in range(before.size):
            after[i] = before[i] + x * pull[i]
    s.stale[k] = d
    if first < s.stale[k + 1]:
        s.stale[k + 1] = first


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _relaxed(t: Any, s: Any, k: int, bit: int, bound: float) -> tuple[float, float]:
    """The bound with the convex minimum, and a guess at what multipliers of box and capacity may add."""
    r, d = t.relaxations, k - 1
    base, pull, slope = s.minimiser[k, d, k:], r.pull[k, d, k:], s.slope[d, k:]
    rise, shift, stiff, costs = t.rise[d, k:], r.shift[k, k:], r.stiffness[k, k:], r.costs[k:]
    total, hope, used, x = 0.0, 0.0, 0.0, float(bit)
    for i in range(base.size):
        y = base[i] + x * pull[i]
        total += (slope[i] + x * rise[i] + shift[i]) * y
        used += costs[i] * y
        excess = max(y - 1.0, 0.0) + min(y, 0.0)
        hope += excess * excess * stiff[i]
    spent = s.spent[d] + bit * r.costs[d] + used
    excess = spent - t.room[1] if spent > t.room[1] else (spent - t.room[0] if spent < t.room[0] else 0.0)
    if r.size[k] > 0.0:
        hope += excess * excess / r.size[k]
    return bound + 0.5 * total, 2.0 * hope


@numba.njit(cache=True, nogil=True)
def _lifted(t: Any, s: Any, k: int, bit: int, bound: float, cutoff: float) -> float:
    """The bound raised by multipliers of 0 ≤ y ≤ 1 and of the capacity, always by the best one next."""
    n, r, d = s.x.size, t.relaxations, k - 1
    y, w, gains, costs = s.point[k:], s.multiplier[k:n], s.gain[k:], r.costs[k:]
    base, pull, stiff, widths = s.minimiser[k, d, k:], r.pull[k, d, k:], r.stiffness[k, k:], r.width[k, k:]
    for i in range(y.size):
        y[i] = base[i] + bit * pull[i]
        w[i] = 0.0
    held, first = 0.0, s.spent[d] + bit * r.costs[d]
    for left in range(LIFTS, 0, -1):
        pick = _best(gains, _gains(y, w, stiff, widths, gains))
        step, most = _multiplier(y[pick], 0.0, 1.0, w[pick], widths[pick])
        if r.size[k] > 0.0:
            change, gain = _multiplier(first + _dot(costs, y), t.room[0], t.room[1], held, r.size[k])
            if gain > most:
                pick, step, most = y.size, change, gain
        if most <= 0.0:
            break
        # Less than its all, so that its rounding cannot make it too much.
        bound += (1.0 - 1e-6) * most
        # Gains fall, so that what cannot reach the cutoff at this pace never will.
        if bound >= cutoff or bound + left * most < cutoff:
            break
        if pick < y.size:
            w[pick] += step
        else:
            held += step
        row = r.inverse[k, k + pick, k:] if pick < y.size else r.toward[k, k:]
        for i in range(y.size):
            y[i] -= 0.5 * step * row[i]
    return bound


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nnan", "nsz"})
def _gains(y: Any, w: Any, stiff: Any, widths: Any, gains: Any) -> float:
    """What the best change of each box's multiplier adds to the bound, as `_multiplier` has it; the most."""
    most = 0.0
    for i in range(y.size):
        at, now = y[i], w[i]
        free = max(at - 1.0, 0.0) + min(at, 0.0)
        away = at - 1.0 if now > 0.0 else (at if now < 0.0 else free)
        change = 2.0 * away * stiff[i]
        change = max(change, -now) if now > 0.0 else (min(change, -now) if now < 0.0 else change)
        gains[i] = change * (away - 0.25 * widths[i] * change)
        most = max(most, gains[i])
    return most


@numba.njit(cache=True, nogil=True)
def _best(gains: Any, most: float) -> int:
    """The first of the gains that is as large as that."""
    pick = 0
    while pick < gains.size - 1 and gains[pick] < most:
        pick += 1
    return pick


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _dot(a: Any, b: Any) -> float:
    """Sum of products."""
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@numba.njit(cache=True, nogil=True)
def _multiplier(value: float, low: float, high: float, now: float, size: float) -> tuple[float, float]:
    """Best change of the multiplier of low ≤ value ≤ high, and what it adds to the bound; 0, 0 for none.

    A multiplier w > 0 holds the value below `high`, one below 0 holds it above `low`; a change by δ moves the
    value by −½ δ·size. It does not pass 0.
    """
    if now > 0.0 or (now == 0.0 and value > high):
        edge = high
    elif now < 0.0 or value < low:
        edge = low
    else:
        return 0.0, 0.0
    change = 2.0 * (value - edge) / size
    if now * (now + change) < 0.0:
        change = -now
    return change, change * (value - edge) - 0.25 * size * change * change
