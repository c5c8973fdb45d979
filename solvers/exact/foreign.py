"""What a foreign exact solver is given, and what is believed of its answer.

Tolerances of such solvers are absolute, near 1e-6, in the objective as in the constraints: on coefficients of
that size they call points optimal that are not, and report values that no point has. So an instance is scaled
to one size first, by a power of two, and a bound counts only if the solver's value of its own point is the
value that the point has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...problems import Capacity, Qubo
from ...problems.arrays import Bits, Floats
from ..run import Run
from .bounds import posiform
from .linearised import local_start, products

__all__ = ["SIZE", "TOLERANCE", "Nodes", "Scaled", "begin", "point_of", "repeat"]

SIZE = 1e5
"""Largest coefficient of the scaled objective."""

TOLERANCE = 1e-9
"""Of feasibility, integrality and optimality, as the solvers are asked for."""

DOUBT = 1e-7
"""How far a solver's value of a point may lie from what it has, in units of the largest coefficient."""


class Scaled:
    """The terms of an instance in units of the solver: Σ linear_i x_i + Σ value_k x_i(k) x_j(k).

    Attributes:
        instance: as it was given.
        linear: (n,) coefficients.
        i, j, value: (m,) products, i < j.
        scale: what they were multiplied with.
    """

    def __init__(self, instance: Qubo | Capacity) -> None:
        self.instance = instance
        qubo = instance.qubo
        self.i, self.j, value = products(qubo)
        largest = max(float(np.abs(qubo.linear).max(initial=0.0)), float(np.abs(value).max(initial=0.0)))
        # A power of two keeps whole coefficients whole in ratio.
        self.scale = float(2.0 ** np.floor(np.log2(SIZE / largest))) if largest else 1.0
        self.linear: Floats = qubo.linear * self.scale
        self.value: Floats = value * self.scale

    def objective(self, x: Bits) -> float:
        """What the solver minimises, at a point, in float64."""
        return float(self.linear @ x + self.value @ (x[self.i] * x[self.j]))

    def prove(self, run: Run, objective: float) -> None:
        """A lower bound on the objective, less what the solver's tolerances may hide, is one on the loss."""
        if not np.isfinite(objective):
            return
        hidden = TOLERANCE * (len(self.linear) + len(self.value) + 1)
        qubo = self.instance.qubo
        run.prove((objective - hidden) / self.scale + qubo.offset - self.instance.resolution)

    def trusts(self, x: Bits, claimed: float, bound: float) -> bool:
        """Whether a solver knows what its own point has, and bounds it by no more."""
        true = self.objective(x)
        return abs(claimed - true) <= DOUBT * SIZE and bound <= true + DOUBT * SIZE

    def row(self) -> tuple[Floats, float, bool] | None:
        """Costs in units of the largest, K a little wider than its slack, and whether it must be met."""
        K = self.instance.K
        if K is None:
            return None
        unit = float(self.instance.costs.max())
        return self.instance.costs / unit, (K + 2 * self.instance.slack) / unit, self.instance.exact

    def misfit(self, x: Bits) -> bool:
        """Whether only the wider capacity lets a point in."""
        return bool(self.instance.violation(x) > 0)


class Nodes:
    """The nodes of one search, tallied as far as the solver tells of them."""

    def __init__(self, run: Run) -> None:
        self._run, self._told = run, 0

    def reach(self, nodes: int) -> None:
        """So many in all by now; a solver that begins anew counts from 0 once more."""
        self._run.tally("nodes", max(0, nodes - self._told))
        self._told = max(self._told, nodes)


def begin(instance: Qubo | Capacity, run: Run) -> Bits:
    """Offer the point that the search is hinted at, and prove what costs nothing."""
    start = local_start(instance)
    run.offer(start)
    run.prove(posiform(instance.qubo))
    return start


def repeat(run: Run, nodes: int, search: Callable[[list[Bits], int | None], tuple[int, list[Bits]]]) -> None:
    """Search until the optimum fits the capacity: what only its tolerance let in is forbidden.

    Parameters:
        nodes: of a restart, for runs of fixed work.
        search: of the points forbidden so far and the nodes left, None without a limit; returns the nodes
            that it used, and points of its end that do not fit.
    """
    forbidden, left = list[Bits](), nodes * (run.restarts or 1)
    while left > 0 and not run.stopped():
        used, misfits = search(forbidden, left if run.restarts is not None else None)
        left -= max(1, used)
        if not misfits:
            break
        forbidden += misfits
    run.stopped()


def point_of(values: Any) -> Bits:
    """The bits nearest to a solver's values."""
    return np.rint(np.asarray(values, dtype=np.float64)).astype(np.int8)
