"""sphere: depth-first search inside a shrinking sphere, neuron by neuron, until nothing is left inside.

Schnorr & Euchner 1994 on the layer's closest-vector problem: coordinates are fixed one after another, each at
its cheapest level first, and a prefix is left once it costs more than the best point known. To that cost
we add a least cost of the coordinates still free: with G − diag(u) ⪰ 0 on them and u ≥ 0, they cost at least
Σ u_j d_j², d_j the way from their unconstrained optimum to the nearest level. Columns stand in the order of a
sorted QR factorisation (Wübben et al. 2001), which leaves the short directions for last.

Neurons share one tree. One that it does not finish soon gets a tree of its own: bits satisfy y² = y, so a
diagonal may be moved from the gram to the slope, which makes a gram of low rank definite and counts that bits
end at 0 and 1. Not the diagonal of the semidefinite bound, which Buchheim et al. 2012 branch on: one whose
bound is lower and whose determinant is larger has a third of the nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Annotated, Any, NamedTuple

import numba
import numpy as np
import scipy.linalg

from ...problems import Rounding
from ...problems.arrays import Bits, Floats
from ..compiled import copy, per_look
from ..registry import Range, solver
from ..run import Run
from .box_minimum import centres
from .descent import SCANS, descend, descend_pairs, keep
from .factors import UNIT, Columns, sorted_factor, triangle
from .prefixes import cheapest
from .spheres.bits import Rows, dig_bits, form_of, rows_of
from .spheres.bounds import curbs
from .spheres.shifts import BITS, Shifted, shifted

__all__ = ["sphere"]

LADDER = 16
"""Of so many nodes one goes into raising the bound of a neuron that is not proven yet."""


WORK = 2e9
"""Operations that the beam for the first radius may take, about a second."""


WIDEST = 1_024
"""Prefixes of that beam at most."""


PATIENCE = 1_000_000
"""Nodes of the shared tree before a neuron gets its own, which takes about as long to make."""


ROOTED, ROOTED_MOST = 4_096, 16_384
"""Prefixes of the first beam in a neuron's own tree, and of the last."""


PER_PREFIX = 1_000
"""Nodes for each prefix of the last beam before one of four times as many, which then takes no longer."""


STATIONS = 16
"""Depths of a neuron's own tree whose least costs are prepared."""


@solver("sphere", accepts=Rounding, reference="Schnorr & Euchner 1994", exact=True, counts="nodes")
def sphere(
    rounding: Rounding, run: Run, *, nodes: Annotated[int, Range(1_000, 10**12, log=True)] = 10**8
) -> None:
    """Search each neuron's tree to its end, all in turns; a node costs O(f). Proof to about 65 bits a neuron.

    A second, smaller search climbs from sphere to sphere: one that proves to be empty is a lower bound.

    Parameters:
        nodes: after which a run of fixed work gives a neuron up.
    """
    run.open()
    x = _begin(rounding, run)
    if run.stopped():
        return
    tree = _Tree(rounding, run)
    searches = [_Search(rounding, tree, row, x[row]) for row in range(rounding.n)]
    _prove(rounding, run, searches)
    losses = rounding.row_losses(x)
    with ThreadPoolExecutor(run.threads) as pool:
        for quantum in _quanta(run, nodes, per_look(rounding.f)):
            for batch in _batches(searches, run):
                run.tally("nodes", sum(pool.map(_Search.dig, batch, repeat(quantum))))
                for one in batch:
                    x[one.row] = one.levels(rounding, tree)
                rows = np.array([one.row for one in batch])
                losses[rows] = rounding.row_losses(x[rows], rows)
                run.offer(x, float(losses.sum()))
            _prove(rounding, run, searches)
            run.share = sum(one.done for one in searches) / rounding.n
            if all(one.done for one in searches):
                return


def _begin(rounding: Rounding, run: Run) -> Bits:
    """A first point: nearest planes and descent, then beams as wide as WORK allows."""
    x = rounding.nearest()
    run.offer(x)
    columns, lower = triangle(rounding.gram, "sorted", 3e-3)
    target = centres(rounding, columns, lower)
    every = np.arange(rounding.n)
    width = int(np.clip(WORK / (rounding.n * rounding.f**2), 1, WIDEST))
    losses = rounding.row_losses(x)
    for kept in (1, width):
        size = rounding.n if kept == 1 else 1
        for rows in np.split(every, range(size, rounding.n, size)):
            if run.stopped():
                return x
            found = x.copy()
            chosen = cheapest(rounding, rows, columns, lower, kept, target=target)
            assert chosen is not None
            found[np.ix_(rows, columns)] = chosen
            descend(rounding, found, rows)
            descend_pairs(rounding, found, rows, kept // SCANS)
            keep(rounding, x, losses, rows, found[rows])
        run.offer(x, float(losses.sum()))
    return x


def _quanta(run: Run, nodes: int, most: int) -> Iterator[int]:
    """Nodes of each turn, rising to `most`; fixed work ends after `nodes`, else the budget ends it."""
    done, quantum = 0, min(4_096, most)
    while not run.stopped() and (run.restarts is None or done < nodes):
        yield quantum
        done += quantum
        quantum = min(2 * quantum, most)


def _batches(searches: list[_Search], run: Run) -> Iterator[list[_Search]]:
    """Unproven neurons, as many at once as there are threads; the run is polled before each batch."""
    left = [one for one in searches if not one.done]
    for start in range(0, len(left), run.threads):
        if run.stopped():
            return
        yield left[start : start + run.threads]


def _prove(rounding: Rounding, run: Run, searches: list[_Search]) -> None:
    """The layer's bound, the sum of its neurons'."""
    forms = np.array([max(0.0, one.given + one.least) for one in searches])
    run.prove(float(rounding.scale**2 @ forms))


class _Branch(NamedTuple):
    """The tree of the k coordinates that not every neuron fixes, as kernels read it.

    Attributes:
        gram: (k, k), which is TᵀT, or was before a shift.
        pivot: (k,) squared diagonal of T.
        spread: (k, k) what a unit step at a coordinate adds to the targets of those after it.
        curb: (k + 1, k) u of each depth.
        leaf: depth from which on nothing costs anything.
    """

    gram: Floats
    pivot: Floats
    spread: Floats
    curb: Floats
    leaf: int


class _Grown(NamedTuple):
    """A branch, and what its making leaves behind.

    Attributes:
        branch: what kernels read.
        inverse: (k, k) of the factor, its rows of zeros given a one on the diagonal.
        drift: (k, k) rounding error that a unit step at a coordinate (column) may leave in a term (row).
    """

    branch: _Branch
    inverse: Floats
    drift: Floats

    def drifted(self, root: float, steps: Floats) -> float:
        """Most by which rounding on the way may raise a cost below root²; no step is above `steps` (k,)."""
        pivot = np.sqrt(self.branch.pivot)
        steps = np.where(pivot > 0, root / np.where(pivot > 0, pivot, 1.0), steps)
        drift = self.drift @ steps
        return float(2 * root * np.linalg.norm(drift) + drift @ drift)


def _grow(gram: Floats, lower: Floats, curb: Floats, terms: int) -> _Grown:
    """The branch of a gram (k, k) and its factor; `terms` is how many numbers its sums add up at most."""
    pivot = np.diag(lower)
    unit = np.where(pivot > 0, pivot, 1.0)
    inverse = scipy.linalg.solve_triangular(lower + np.diag(unit - pivot), np.eye(len(lower)), lower=True)
    spread = np.ascontiguousarray((inverse * unit).T)
    drift = 4 * terms * UNIT * (np.abs(lower) @ np.abs(spread).T)
    leaf = int(np.flatnonzero(pivot).max(initial=-1)) + 1
    return _Grown(_Branch(np.ascontiguousarray(gram), pivot**2, spread, curb, leaf), inverse, drift)


class _Tree:
    """What the neurons' trees have in common.

    Columns that every neuron fixes come first: they cost what they cost, and move the targets of the others.

    Attributes:
        run: whose budget ends the making of trees.
        columns: (f,) in the order of the tree.
        held: how many of them every neuron fixes.
        gram: (f, f) in that order.
        lower: (f, f) its factor.
        grown: the branch of the others.
        gap: (f, f) how far each entry of the gram may be from the factor's product.
    """

    def __init__(self, rounding: Rounding, run: Run) -> None:
        fixed = (rounding.fixed >= 0).all(axis=0)
        self.run = run
        self.columns, self.lower = sorted_factor(rounding.gram, fixed)
        self.held = int(fixed.sum())
        self.gram = rounding.gram[np.ix_(self.columns, self.columns)]
        size, own = np.abs(self.lower), self.lower[self.held :, self.held :]
        rounded = rounding.f * UNIT * (size.T @ size)
        self.gap = np.abs(self.lower.T @ self.lower - self.gram) + rounded
        gram = self.gram[self.held :, self.held :]
        self.grown = _grow(gram, own, curbs(own, run), rounding.f)
        self.branch = self.grown.branch

    def error(self, reach: Floats, form: float) -> float:
        """Most by which what the kernel counts for a point of a form below `form` may exceed that form.

        A step costs pivot·step² ≤ form; one that costs nothing is at most the coordinate's `reach` (f,).
        """
        drifted = self.grown.drifted(np.sqrt(max(0.0, form)), reach[self.held :])
        return float(drifted + reach @ self.gap @ reach)


class _Point(NamedTuple):
    """A neuron as kernels read it: with e = x − shift over the tree, its form is eᵀGe + 2 pull·e + offset.

    Attributes:
        shift: (k,).
        target: (k,) the unconstrained optimum.
        pull: (k,) of the columns that every neuron fixes.
        low: (k,) lowest level of each coordinate.
        high: (k,) highest level.
        offset: a number.
    """

    shift: Floats
    target: Floats
    pull: Floats
    low: Floats
    high: Floats
    offset: float


class _Dive:
    """A search that goes on where it stopped.

    Attributes:
        radius: form from which on points are left aside.
        path: (k,) levels down to `depth`, which is −1 once nothing is left.
        below: (k,) next level to try below the target of each depth.
        above: (k,) and above it.
        tried: (k,) levels begun with at each depth of a tree of bits, which needs no more.
    """

    def __init__(self, point: _Point, radius: float) -> None:
        self.radius, self.depth = radius, 0
        self.path = np.clip(np.floor(point.target + 0.5), point.low, point.high).astype(np.int64)
        self.below, self.above, self.tried = self.path.copy(), self.path + 1, np.zeros_like(self.path)


class _Search:
    """One neuron: its best levels, its bound, and the two dives that bring them together.

    Forms are the neuron's loss without its scale, less what the columns fixed in every neuron cost.

    Attributes:
        row: which neuron.
        given: what those columns cost.
        best: (k,) its best levels; their form is `form`.
        least: proven lower bound on every form.
        done: whether the two are one.
        free: coordinates of the shared tree to decide; `rest` has the levels of all where these are 0.
        visited: nodes of the shared tree.
        tried: whether a tree of the neuron's own was asked for; `rows` are that tree's.
        shifted: the form of that tree, where beams of rising `width` look for better levels.
    """

    def __init__(self, rounding: Rounding, tree: _Tree, row: int, x: Bits) -> None:
        held, own = slice(0, tree.held), slice(tree.held, None)
        shift, fixed = rounding.shift[row, tree.columns], rounding.fixed[row, tree.columns]
        low = np.where(fixed >= 0, fixed, 0).astype(np.float64)
        high = np.where(fixed >= 0, fixed, rounding.levels[tree.columns] - 1).astype(np.float64)
        first = low[held] - shift[held]
        terms = tree.lower[:, held] @ first
        target = shift[own] - tree.grown.inverse @ terms[own]
        self.row, self.branch, self.given = row, tree.branch, float(terms[held] @ terms[held])
        offset = float(first @ tree.gram[held, held] @ first) - self.given
        pull = tree.gram[own, held] @ first
        self.point = _Point(shift[own].copy(), target, pull, low[own].copy(), high[own].copy(), offset)
        self.best = x[tree.columns[own]].astype(np.int64)
        self.form = float(form_of(self.branch, self.point, self.best))
        self.margin = tree.error(np.maximum(np.abs(low - shift), np.abs(high - shift)), self.form)
        away = np.clip(np.floor(target + 0.5), self.point.low, self.point.high) - target
        self.least = min(self.form, float(tree.branch.curb[0] @ away**2) * (1 - 1e-9) - self.margin)
        self.main, self.ladder = _Dive(self.point, self.form), self._rung()
        self.done = tree.branch.leaf == 0
        self.tree, self.visited, self.tried = tree, 0, False
        self.free, self.rest = np.arange(self.best.size), np.zeros_like(self.best)
        self.rows: Rows | None = None
        self.shifted: Shifted | None = None
        self.width = 0
        if self.done:
            self.least = self.form

    def _beam(self, found: Shifted, width: int) -> None:
        """Take the cheapest prefix of the shifted form where it is better: a beam that knows of the box."""
        self.shifted, self.width = found, width
        shifted, every = Rounding(found.lower.T @ found.lower, found.target[None]), np.arange(self.free.size)
        chosen = cheapest(shifted, np.arange(1), every, found.lower, width)
        assert chosen is not None
        bits = chosen[0].astype(np.int64)
        form = float(form_of(self.branch, self.point, bits))
        if form < self.form:
            self.best, self.form = bits, form

    def levels(self, rounding: Rounding, tree: _Tree) -> Bits:
        """The neuron's best levels (f,)."""
        x = np.array(rounding.fixed[self.row])
        x[tree.columns[tree.held :]] = self.rest
        x[tree.columns[tree.held + self.free]] += self.best.astype(np.int8)
        return x

    def dig(self, nodes: int) -> int:
        """Visit so many nodes, and a share of them on the ladder; what was visited comes back."""
        if self.visited >= PATIENCE and not self.tried:
            self.replant()
        if self.shifted and self.visited >= PER_PREFIX * self.width and self.width < ROOTED_MOST:
            self._beam(self.shifted, 4 * self.width)
        visited = self.climb(nodes // LADDER)
        if self.least < self.form:
            visited += self._visit(self.main, nodes)
        if self.main.depth < 0 or self.least >= self.form:
            self.least, self.done = self.form, True
        self.visited += visited
        return visited

    def replant(self) -> None:
        """Go over to a shifted tree of the neuron's own bits; levels, many bits or rounding forbid it."""
        self.tried = True
        point, span = self.point, self.point.high - self.point.low
        free = np.flatnonzero((span > 0) & (np.diag(self.branch.gram) > 0))
        if not 0 < free.size <= BITS or span.max() > 1:
            return
        others = self.best - point.shift
        others[free] = 0.0
        field = self.branch.gram @ others + point.pull
        offset = float(point.offset + others @ (field + point.pull))
        gram, place = self.branch.gram[np.ix_(free, free)], (point.shift - point.low)[free]
        found = shifted(gram, place, field[free], offset, self.form)
        if found is not None:
            self._root(found, free, gram[np.ix_(found.order, found.order)], place, field, offset)

    def _root(
        self, found: Shifted, free: Columns, gram: Floats, place: Floats, field: Floats, offset: float
    ) -> None:
        """Begin both dives anew in the shifted tree; its constant joins what costs may be off by."""
        curb = curbs(found.lower, self.tree.run, stations=STATIONS)
        grown = _grow(gram, found.lower, curb, free.size)
        start = (self.best - self.point.low)[free[found.order]].astype(np.int64)
        self.rest[:] = self.best
        self.rest[free] = self.point.low[free]
        self.free, self.best, self.branch = free[found.order], start, grown.branch
        zero = np.zeros(free.size)
        self.point = _Point(place[found.order], found.target, field[self.free], zero, zero + 1.0, offset)
        self.rows = rows_of(found.target, grown.branch.spread, curb)
        self.form = float(form_of(self.branch, self.point, self.best))
        self._beam(found, ROOTED)
        root = np.sqrt(max(0.0, self.form - found.constant + found.doubt))
        blur = 4 * free.size * UNIT * np.linalg.norm(np.abs(found.lower) @ np.abs(found.target))
        self.margin = found.doubt + grown.drifted(root, zero) + blur * (2 * root + blur) - found.constant
        away = np.clip(np.floor(found.target + 0.5), 0.0, 1.0) - found.target
        least = float(curb[0] @ away**2) * (1 - 1e-9) - self.margin
        self.least = min(self.form, max(self.least, least, found.least))
        self.main, self.ladder = _Dive(self.point, self.form), self._rung()

    def climb(self, nodes: int) -> int:
        """Visit so many nodes of the sphere in hand; the bound rises to its radius once it is done."""
        visited = self._visit(self.ladder, nodes)
        if self.ladder.depth < 0:
            self.least = max(self.least, self.ladder.radius)
            self.ladder = self._rung()
        return visited

    def _rung(self) -> _Dive:
        """The next sphere to prove empty."""
        return _Dive(self.point, min(self.form, max(1.25 * self.least, 0.02 * self.form)))

    def _visit(self, dive: _Dive, nodes: int) -> int:
        end = (self.best, dive.depth, min(dive.radius, self.form), self.margin, nodes)
        if self.rows is None:
            found = _dig(self.branch, self.point, dive.path, dive.below, dive.above, *end)
        else:
            found = dig_bits(self.branch, self.rows, self.point, dive.path, dive.tried, *end)
        dive.depth, dive.radius, visited = found
        self.form = float(form_of(self.branch, self.point, self.best))
        return int(visited)


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _dig(
    tree: Any,
    point: Any,
    path: Any,
    below: Any,
    above: Any,
    best: Any,
    depth: int,
    radius: float,
    margin: float,
    nodes: int,
) -> tuple[int, float, int]:
    """Visit up to `nodes` nodes; the depth, the radius and the nodes visited come back.

    A leaf nearer than the radius becomes the best and the radius. Reassociation may change what is counted
    by rounding errors, which `margin` covers.
    """
    k = path.size
    target, cost = np.empty((k + 1, k)), np.zeros(k + 1)
    for j in range(k):
        target[0, j] = point.target[j]
    for i in range(depth):
        _step(tree, point, target, cost, i, path[i])
    visited = 0
    while depth >= 0 and visited < nodes:
        visited += 1
        i, at = depth, target[depth, depth]
        level = _next(point, below, above, i, at)
        # Levels come by rising cost, so that after one that costs too much the others do as well.
        if level < 0 or cost[i] + tree.pivot[i] * (level - at) ** 2 >= radius + margin:
            depth -= 1
            continue
        path[i] = level
        rest = _step(tree, point, target, cost, i, level)
        if cost[i + 1] + rest >= radius + margin:
            continue
        if i + 1 < tree.leaf:
            depth += 1
            below[depth] = _nearest(point, target[depth, depth], depth)
            above[depth] = below[depth] + 1
            continue
        for j in range(i + 1, k):
            path[j] = _nearest(point, target[i + 1, j], j)
        form = form_of(tree, point, path)
        if form < radius:
            radius = form
            copy(path, best)
    return depth, radius, visited


@numba.njit(cache=True, nogil=True)
def _nearest(point: Any, at: float, j: int) -> int:
    """Level of coordinate j nearest to a target."""
    return int(min(max(np.floor(at + 0.5), point.low[j]), point.high[j]))


@numba.njit(cache=True, nogil=True)
def _next(point: Any, below: Any, above: Any, i: int, at: float) -> int:
    """The level of coordinate i nearest to its target that was not tried yet; −1 where there is none."""
    under, over = below[i] >= point.low[i], above[i] <= point.high[i]
    if under and (not over or at - below[i] <= above[i] - at):
        below[i] -= 1
        return int(below[i] + 1)
    if over:
        above[i] += 1
        return int(above[i] - 1)
    return -1


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _step(tree: Any, point: Any, target: Any, cost: Any, i: int, level: int) -> float:
    """Fix coordinate i: its cost, the targets of those after it, and the least that these will cost."""
    move = level - target[i, i]
    cost[i + 1] = cost[i] + tree.pivot[i] * move * move
    # Loops from 0 over views have no index that might be negative, which is what lets them use SIMD.
    now, after, spread = target[i, i + 1 :], target[i + 1, i + 1 :], tree.spread[i, i + 1 :]
    curb, low, high = tree.curb[i + 1, i + 1 :], point.low[i + 1 :], point.high[i + 1 :]
    rest = 0.0
    for j in range(now.size):
        at = now[j] + move * spread[j]
        after[j] = at
        away = min(max(np.floor(at + 0.5), low[j]), high[j]) - at
        rest += curb[j] * away * away
    return rest
