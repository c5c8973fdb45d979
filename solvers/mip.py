"""mip: HiGHS' branch and cut on the linearised products (McCormick 1976), with its proven bound."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from ..problems import Capacity, Qubo
from ..problems.arrays import Bits
from .bounds import posiform
from .cp_sat import local_start, products
from .registry import Range, solver
from .run import Run

__all__ = ["mip"]

SIZE = 1e5
"""Largest coefficient of the scaled objective: HiGHS' tolerances are absolute, and small beside this."""

TOLERANCE = 1e-9
"""Of feasibility, integrality and reduced costs; HiGHS takes none below 1e-10."""


@solver(
    "mip",
    accepts=(Qubo, Capacity),
    reference="McCormick 1976; Huangfu & Hall 2018",
    exact=True,
    max_variables=150,
)
def mip(
    instance: Qubo | Capacity, run: Run, *, nodes: Annotated[int, Range(1, 10**9, log=True)] = 10_000
) -> None:
    """One model, one search. What HiGHS' tolerances may hide is taken off the bound.

    Parameters:
        nodes: of branch and cut, for runs of fixed work.
    """
    if not run.open():
        return
    start = local_start(instance)
    run.offer(start)
    model = _Model(instance, run)
    run.prove(posiform(model.qubo))
    left = nodes * (run.restarts or 1)
    while left > 0 and not run.stopped():
        misfits = model.search(run, start, left if run.restarts is not None else None)
        left -= max(1, model.nodes)
        # The capacity is relaxed: what only its tolerance let in is forbidden, and the search repeated.
        if not misfits or not model.finished:
            break
        model.forbid(misfits)
    run.stopped()


class _Model:
    """The instance as a mixed-integer program: bits first, then a variable in [0, 1] for every product.

    Only the side of x_i x_j that the objective does not hold by itself is written down: z ≥ x_i + x_j − 1
    for a positive coefficient, z ≤ x_i and z ≤ x_j for a negative one.
    """

    def __init__(self, instance: Qubo | Capacity, run: Run) -> None:
        import highspy

        library: Any = highspy

        self.highspy, self.instance, self.highs = library, instance, library.Highs()
        self.qubo = instance.qubo if isinstance(instance, Capacity) else instance
        pairs = products(self.qubo)
        costs = np.concatenate([self.qubo.linear, [a for _, _, a in pairs]])
        largest = float(np.abs(costs).max(initial=0.0))
        # A power of two keeps whole coefficients whole in ratio.
        self.scale = 2.0 ** np.floor(np.log2(SIZE / largest)) if largest else 1.0
        self.nodes, self.finished = 0, False
        self._set_options(run)
        self._build(costs * self.scale, pairs)

    def _set_options(self, run: Run) -> None:
        options = {
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
        self.highspy.Highs.resetGlobalScheduler(True)
        for name, value in options.items():
            self.highs.setOptionValue(name, value)

    def _build(self, costs: Any, pairs: list[tuple[int, int, float]]) -> None:
        n, total, infinity = self.qubo.n, len(costs), self.highspy.kHighsInf
        lp = self.highspy.HighsLp()
        lp.num_col_, lp.col_cost_ = total, costs
        lp.col_lower_, lp.col_upper_ = np.zeros(total), np.ones(total)
        kinds = self.highspy.HighsVarType
        lp.integrality_ = [kinds.kInteger] * n + [kinds.kContinuous] * (total - n)
        self.highs.passModel(lp)
        for k, (i, j, a) in enumerate(pairs, start=n):
            if a > 0:
                self._row(-infinity, 1.0, [i, j, k], [1.0, 1.0, -1.0])
            else:
                self._row(-infinity, 0.0, [k, i], [1.0, -1.0])
                self._row(-infinity, 0.0, [k, j], [1.0, -1.0])
        if isinstance(self.instance, Capacity):
            self._constrain(self.instance)

    def _constrain(self, capacity: Capacity) -> None:
        """The capacity, a little wider than its slack, in units of the largest cost."""
        unit = float(capacity.costs.max())
        most = (capacity.K + 2 * capacity.slack) / unit
        low = most if capacity.exact else -self.highspy.kHighsInf
        self._row(low, most, list(range(capacity.n)), (capacity.costs / unit).tolist())

    def forbid(self, points: list[Bits]) -> None:
        """Leave these points out."""
        for point in points:
            signs = np.where(point == 1, -1.0, 1.0).tolist()
            low = 1.0 - float(point.sum())
            self._row(low, self.highspy.kHighsInf, list(range(len(point))), signs)

    def _row(self, low: float, high: float, places: list[int], values: list[float]) -> None:
        self.highs.addRow(low, high, len(places), np.array(places, dtype=np.int32), np.array(values))

    def search(self, run: Run, start: Bits, nodes: int | None) -> list[Bits]:
        """Search until the run stops it, offer what is found, prove the bound. The points that do not fit."""
        misfits: list[Bits] = []

        def offer(values: Any) -> None:
            point = np.rint(np.asarray(values)[: self.qubo.n]).astype(np.int8)
            run.offer(point)
            if self.instance.violation(point) > 0:
                misfits.append(point)

        def watch(event: Any) -> None:
            if run.stopped():
                event.interrupt()

        if nodes is not None:
            self.highs.setOptionValue("mip_max_nodes", nodes)
        if run.seconds is not None:
            self.highs.setOptionValue("time_limit", max(run.remaining(), 1e-3))
        self.highs.clearCallbacks()
        self.highs.cbMipImprovingSolution.subscribe(lambda event: offer(event.data_out.mip_solution))
        self.highs.cbMipInterrupt.subscribe(watch)
        self.highs.cbSimplexInterrupt.subscribe(watch)
        self._hint(start)
        self.highs.run()
        information = self.highs.getInfo()
        self.finished = self.highs.getModelStatus() == self.highspy.HighsModelStatus.kOptimal
        self.nodes = max(0, int(information.mip_node_count))
        run.tally("nodes", self.nodes)
        if self.finished:
            # What presolve alone found was in no callback.
            offer(self.highs.getSolution().col_value)
        run.prove(self.bound(information.mip_dual_bound))
        return misfits

    def _hint(self, start: Bits) -> None:
        solution = self.highspy.HighsSolution()
        pairs = products(self.qubo)
        solution.col_value = [*map(float, start), *(float(start[i] * start[j]) for i, j, _ in pairs)]
        self.highs.setSolution(solution)

    def bound(self, objective: float) -> float:
        """Lower bound on the loss from one on the objective.

        A reduced cost may be wrong by the tolerance in each variable, all of range 1, and HiGHS prunes what
        is less than the tolerance better than its incumbent.
        """
        hidden = TOLERANCE * (self.highs.getNumCol() + 1)
        return (objective - hidden) / self.scale + self.qubo.offset - self.instance.resolution
