"""branch-and-cut: sparse Qubos as minimum cuts, bounded by multipliers of odd cycles.

What can go by itself goes first, and again after every variable that the bounds fix; what is left is divided
into its components. Barahona & Mahjoub 1986; Liers, Jünger, Reinelt & Rinaldi 2004; Rehfeldt, Koch & Shinano
2023 (McSparse, arXiv:2202.02305), who solve linear programs where sweeps raise multipliers here. Bounds are
recomputed in float64 from these.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, NamedTuple

import numpy as np
import scipy.sparse as sp

from ...problems import Qubo
from ...problems.arrays import Bits, Floats
from ..registry import Range, solver
from ..run import Run
from . import cut_ascent, detours, odd_cycles
from .bounds import step_of
from .cut_relaxation import Fixed, Relaxation, Relaxed
from .elimination import Terms, components, contracted, eliminated, terms_of
from .starts import annealed

__all__ = ["branch_and_cut"]

STARTS = 3
"""Annealings of a part that must branch."""

LATE = 6
"""Rounds of the root after which a part is annealed, and again after twice as many; most need fewer."""

CLOSE = 1e-10
"""Share of the loss's size that a proof may leave open, a tenth of what a run allows."""

SHRUNK = {True: 0.9, False: 0.5}
"""Share of the variables left by the root, below which the rest is begun anew; once its rounds are over."""

PATIENCE = {True: (8, 0.01), False: (3, 0.05)}
"""Rounds at the root and at other nodes in which the gap must close by such a share, or one branches."""


@solver(
    "branch-and-cut",
    accepts=Qubo,
    reference="Barahona & Mahjoub 1986; Rehfeldt, Koch & Shinano 2023",
    exact=True,
    max_variables=20_000,
    counts="nodes",
)
def branch_and_cut(
    qubo: Qubo, run: Run, *, nodes: Annotated[int, Range(1, 10**9, log=True)] = 10_000
) -> None:
    """Reduce, bound by odd cycles, fix by reduced costs, and branch on edges. For sparse couplings.

    Parameters:
        nodes: of the tree, for runs of fixed work.
    """
    _compiled()
    if not run.open():
        return
    # Beside a large constant sums would lose digits that the couplings have, so it is left out.
    terms = terms_of(qubo)._replace(offset=0.0)

    def offer(x: Bits) -> None:
        run.offer(x, qubo.offset + terms.of(x))

    offer(np.zeros(qubo.n, dtype=np.int8))
    run.prove(qubo.offset + terms.least() - qubo.resolution)
    assert run.best is not None
    limit = nodes * run.restarts if run.restarts is not None else 2**62
    step = step_of(np.concatenate([terms.linear, terms.value]), terms.resolution)

    def prove(bound: float) -> None:
        # No loss lies between two steps, so that rounding on the way costs nothing there.
        rounded = step * np.ceil(bound / step - 1e-6) if step else bound
        run.prove(qubo.offset + rounded - qubo.resolution)

    _Search(run, step, limit).solve(terms, run.best, _Goal(np.inf, 1.0), offer, prove)
    run.stopped()


@functools.cache
def _compiled() -> None:
    """Have every kernel compiled: tiny Qubos never come to some."""
    for module in (odd_cycles, detours, cut_ascent):
        module.compiled()
    tiny = Qubo(sp.csr_array(np.array([[1.0, -2.0], [-2.0, 1.0]])))
    part = _Part(_Search(Run(tiny), 0.0, 1), terms_of(tiny), np.zeros(2, dtype=np.int8))
    part.search(_Goal(np.inf, 0.0), lambda x: None, lambda bound: None)
    part._anneal(1)
    Fixed.none(3).joined(1, 2, 1)
    components(terms_of(tiny))


def _sparse(terms: Terms) -> Qubo:
    """The same function in sparse form."""
    i, j, half, all_ = terms.i, terms.j, terms.value / 2, np.arange(terms.n)
    ends = np.concatenate([i, j, all_]), np.concatenate([j, i, all_])
    values = np.concatenate([half, half, terms.linear])
    return Qubo(sp.csr_array((values, ends), (terms.n, terms.n)), terms.offset)


class _Goal(NamedTuple):
    """What is asked of a part: points below `ceiling`, if there are any; its share of what may stay open."""

    ceiling: float
    share: float


class _Search:
    """What the parts of a search have in common."""

    def __init__(self, run: Run, step: float, nodes: int) -> None:
        self.run, self.step, self.nodes = run, step, nodes

    def open(self) -> bool:
        """Whether to go on."""
        return self.nodes > 0 and not self.run.stopped()

    def close(self) -> float:
        """How much of the whole may stay open, by the loss so far."""
        loss, offset = self.run.loss, self.run.instance.offset
        return max(self.run.instance.resolution, CLOSE * min(abs(loss), abs(loss - offset)))

    def spend(self) -> None:
        """Count a node."""
        self.nodes -= 1
        self.run.tally("nodes")

    def solve(
        self,
        terms: Terms,
        x: Bits,
        goal: _Goal,
        offer: Callable[[Bits], object],
        prove: Callable[[float], object],
    ) -> None:
        """Reduce terms, divide them, and search their parts, from a first point x.

        Better points go to `offer`, lower bounds to `prove`: no point is below both them and the ceiling.
        """
        small = eliminated(terms)
        best = x[small.kept]
        offer(small.lifted(best))
        found = components(small.core)
        parts = [_Part(self, part, best[members]) for members, part in found]
        bounds = np.array([part.bound for part in parts])

        def total() -> float:
            error = small.doubt + 1e-15 * float(np.abs(bounds).sum() + abs(small.core.offset))
            return small.core.offset + float(bounds.sum()) - error

        prove(total())
        for k, ((members, _), part) in enumerate(zip(found, parts, strict=True)):

            def better(y: Bits, members: np.ndarray = members) -> None:
                best[members] = y
                offer(small.lifted(best))

            def proven(bound: float, k: int = k) -> None:
                bounds[k] = max(bounds[k], bound)
                prove(total())

            others = total() - bounds[k]
            part.search(_Goal(goal.ceiling - others, goal.share / len(parts)), better, proven)
            if not self.open():
                return


class _Node(NamedTuple):
    """An open node: what is fixed in it, and a bound."""

    fixed: Fixed
    bound: float


class _Part:
    """A connected part of the terms."""

    def __init__(self, search: _Search, terms: Terms, x: Bits) -> None:
        self.home, self.terms, self.run = search, terms, search.run
        self.bound = terms.least()
        self.x, self.value, self.ceiling = x.copy(), terms.of(x), np.inf
        self.share, self.close = 1.0, 0.0
        self.better: Callable[[Bits], object] = lambda y: None

    def search(
        self, goal: _Goal, better: Callable[[Bits], object], proven: Callable[[float], object]
    ) -> None:
        """Look for points below the ceiling; both what is found and what is proven is told at once."""
        self.better, self.share = better, goal.share
        self.ceiling = min(goal.ceiling, self.value)
        self.close = self.share * self.home.close()
        waiting = [_Node(Fixed.none(self.terms.n + 1), self.bound)] if self.bound < self.cutoff() else []
        relaxation = Relaxation(self.terms) if waiting and self.home.open() else None

        def tell() -> None:
            proven(min([self.level(), *(one.bound for one in waiting)]))

        root = True
        while relaxation is not None and waiting and self.home.open():
            node, y = self._visit(relaxation, waiting.pop(), root=root)
            if y is None:
                waiting.append(node)
            elif node.bound < self.cutoff():
                if root and self._shrinks(node.fixed, over=True):
                    self._again(node, proven)
                    return
                if root:
                    self._anneal(STARTS)
                waiting += self._children(relaxation, node, y)
            root = False
            tell()
        tell()

    def _shrinks(self, fixed: Fixed, *, over: bool) -> bool:
        """Whether so much is fixed that the rest is better begun anew."""
        groups = int(np.count_nonzero(fixed.group == np.arange(len(fixed.group))))
        return groups - 1 < SHRUNK[over] * self.terms.n

    def _again(self, node: _Node, proven: Callable[[float], object]) -> None:
        """Search what is left below a node, with a variable for each group."""
        group, side = node.fixed
        names, first, place = np.unique(group, return_index=True, return_inverse=True)
        ground = int(place[0])
        # The ground's group is 0 by its own side, the others are as their first vertices are.
        first[ground] = 0
        flip = (side ^ side[first][place])[1:]
        number = np.where(place == ground, -1, place - (place > ground))[1:]
        made, doubt = contracted(self.terms, number, flip, len(names) - 1)
        start = self.x[np.delete(first, ground) - 1]

        def better(z: Bits) -> None:
            self._take(np.append(z, np.int8(0))[number] ^ flip)

        def told(bound: float) -> None:
            proven(min(self.level(), max(node.bound, bound - doubt)))

        self.home.solve(made, start, _Goal(self.ceiling, self.share / 2), better, told)

    def _anneal(self, reads: int) -> None:
        for x in annealed(_sparse(self.terms), self.run, reads):
            self._take(x)

    def level(self) -> float:
        """No point between this and the ceiling is missed by a search that is over."""
        step = self.home.step
        return float(step * np.ceil(self.ceiling / step - 1e-6)) if step else self.ceiling - self.close

    def cutoff(self) -> float:
        """Bound from which on a node holds nothing below the ceiling."""
        return self.level() - (1 - 1e-6) * self.home.step

    def _take(self, x: Bits) -> None:
        """Keep a point if it is better, and tell."""
        value = self.terms.of(x)
        if value < self.value:
            self.x, self.value = x.copy(), value
            self.ceiling = min(self.ceiling, value)
            self.better(self.x)

    def _visit(self, relaxation: Relaxation, node: _Node, *, root: bool) -> tuple[_Node, Floats | None]:
        """The node with its bound raised and more of it fixed, and the relaxation's edges there.

        No edges where the run ended first. A node that holds nothing comes back with an infinite bound.
        """
        fixed, bounds = node.fixed, [node.bound]
        (patience, share), late = PATIENCE[root], LATE
        self.home.spend()
        while True:
            found = relaxation.solve(fixed, self.run, self.cutoff())
            if found is None:
                return _Node(fixed, bounds[-1]), None
            bounds.append(max(bounds[-1], found.bound))
            self._take(relaxation.rounded(found.y))
            if root and len(bounds) > late and bounds[-1] < self.cutoff():
                self._anneal(1)
                late *= 2
            tight = self._tightened(relaxation, fixed, found)
            if tight is None or bounds[-1] >= self.cutoff():
                return _Node(fixed, np.inf), found.y
            fixed, gap = tight, self.cutoff() - bounds[-1]
            slow = len(bounds) > patience and bounds[-1] - bounds[-1 - patience] < share * gap
            small = root and self._shrinks(fixed, over=False)
            if slow or small or not relaxation.separate(found.y, self.x, self.run):
                return _Node(fixed, bounds[-1]), found.y

    def _tightened(self, relaxation: Relaxation, fixed: Fixed, found: Relaxed) -> Fixed | None:
        """With every edge fixed whose price says so; None where two of them exclude each other."""
        u, v, price = relaxation.graph.u, relaxation.graph.v, found.price
        open_ = relaxation.least < relaxation.most
        e = np.flatnonzero(open_ & (found.bound + np.abs(price) >= self.cutoff()))
        return fixed.all_joined(u[e], v[e], (price[e] < 0).astype(np.int8)) if len(e) else fixed

    def _children(self, relaxation: Relaxation, node: _Node, y: Floats) -> list[_Node]:
        """Two nodes, the likelier last; none where every edge is fixed, which is a point."""
        u, v, fixed = relaxation.graph.u, relaxation.graph.v, node.fixed
        left = np.flatnonzero(fixed.group[u] != fixed.group[v])
        if not len(left):
            self._take(relaxation.descended(fixed.side.copy()))
            return []
        cost = np.abs(relaxation.cost)
        e = int(left[np.argmax(np.minimum(y, 1.0 - y)[left] + 1e-3 * cost[left] / cost.max())])
        likely = int(y[e] > 0.5)
        return [_Node(fixed.joined(u[e], v[e], differ), node.bound) for differ in (1 - likely, likely)]
