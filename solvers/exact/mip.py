"""mip: HiGHS' branch and cut on the linearised products (McCormick 1976), with its proven bound."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import numpy as np

from ...problems import Capacity, Qubo
from ...problems.arrays import Bits
from ..registry import Range, solver
from ..run import Run
from .foreign import TOLERANCE, Nodes, Scaled, begin, point_of, repeat
from .highs_link import highs

__all__ = ["mip"]


@solver(
    "mip",
    accepts=(Qubo, Capacity),
    reference="McCormick 1976; Huangfu & Hall 2018",
    exact=True,
    max_variables=5_000,
    max_couplings=11_175,  # of 150 variables where each is coupled to each
    requires={"highspy": ""},  # in a process of its own: beside OR-Tools in one, neither can be imported
    counts="nodes",
)
def mip(
    instance: Qubo | Capacity, run: Run, *, nodes: Annotated[int, Range(1, 10**9, log=True)] = 10_000
) -> None:
    """One model, one search. What HiGHS' tolerances may hide is taken off the bound.

    HiGHS runs in a process of its own, whose start costs some 0.2 s of the budget.

    Parameters:
        nodes: of branch and cut, for runs of fixed work.
    """
    if not run.open():
        return
    start = begin(instance, run)
    if not run.stopped():
        model = _Model(Scaled(instance), start)
        repeat(run, nodes, partial(model.search, run))


class _Model:
    """The instance as a mixed-integer program: bits first, then a variable in [0, 1] for every product.

    Only the side of x_i x_j that the objective does not hold by itself is written down: z ≥ x_i + x_j − 1
    for a positive coefficient, z ≤ x_i and z ≤ x_j for a negative one.
    """

    def __init__(self, scaled: Scaled, start: Bits) -> None:
        self.scaled, self.without = scaled, 0
        i, j, n = scaled.i, scaled.j, len(scaled.linear)
        self.costs = np.concatenate([scaled.linear, scaled.value]).tolist()
        self.start = np.concatenate([start, start[i] * start[j]]).astype(np.float64).tolist()
        self.low, self.high = list[float](), list[float]()
        self.places, self.values = list[list[int]](), list[list[float]]()
        z, up = n + np.arange(len(i)), scaled.value > 0
        self._add(-np.inf, 1.0, np.stack([i[up], j[up], z[up]], axis=1), [1.0, 1.0, -1.0])
        for other in (i, j):
            self._add(-np.inf, 0.0, np.stack([z[~up], other[~up]], axis=1), [1.0, -1.0])
        row = scaled.row()
        if row is not None:
            costs, most, exact = row
            self._add(most if exact else -np.inf, most, np.arange(n)[None], costs.tolist())

    def _add(self, low: float, high: float, places: Any, values: list[float]) -> None:
        """Rows low ≤ Σ values · columns ≤ high, one for each row of `places`."""
        self.places += places.tolist()
        self.low += [low] * len(places)
        self.high += [high] * len(places)
        self.values += [values] * len(places)

    def forbid(self, points: list[Bits]) -> None:
        """Leave these points out."""
        for point in points:
            signs = np.where(point == 1, -1.0, 1.0).tolist()
            self._add(1.0 - float(point.sum()), np.inf, np.arange(len(point))[None], signs)

    def search(self, run: Run, forbidden: list[Bits], nodes: int | None) -> tuple[int, list[Bits]]:
        """Search until the run stops it. Nodes used, and the points found that do not fit the capacity."""
        misfits, nodes_of = list[Bits](), Nodes(run)
        self.forbid(forbidden[self.without :])
        self.without = len(forbidden)
        with highs("highs_process.py", "mip") as link:
            link.send(self.program(run, nodes))
            for answer in link.answers():
                if "x" in answer:
                    nodes_of.reach(answer["after"])
                    point = point_of(answer["x"][: len(self.scaled.linear)])
                    run.offer(point)
                    misfits += [point] if self.scaled.misfit(point) else []
                if "bound" in answer:
                    self.scaled.prove(run, answer["bound"])
                if "nodes" in answer:
                    nodes_of.reach(answer["nodes"])
                    return answer["nodes"], misfits if answer["optimal"] else []
                if run.stopped():
                    break
        return 0, []

    def program(self, run: Run, nodes: int | None) -> dict[str, Any]:
        """The model and HiGHS' options, as plain data."""
        options: dict[str, Any] = {
            "output_flag": False,
            "threads": run.threads,
            "parallel": "on" if run.threads > 1 else "off",
            "random_seed": int(run.rng.integers(2**31)),
            "mip_rel_gap": 0.0,
            "mip_abs_gap": 0.0,
            "mip_feasibility_tolerance": TOLERANCE,
            "primal_feasibility_tolerance": TOLERANCE,
            "dual_feasibility_tolerance": TOLERANCE,
        }
        if nodes is not None:
            options["mip_max_nodes"] = nodes
        rows = {"low": self.low, "high": self.high, "places": self.places, "values": self.values}
        columns = {"costs": self.costs, "integers": len(self.scaled.linear), "start": self.start}
        return {"options": options} | columns | rows
