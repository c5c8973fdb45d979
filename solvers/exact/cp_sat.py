"""cp-sat: OR-Tools' constraint solver on the linearised products, with its proven bound."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from ...problems import Capacity, Qubo
from ...problems.arrays import Bits, Floats
from ..registry import Range, solver
from ..run import Run
from .linearised import local_start, products

__all__ = ["cp_sat"]

TOTAL = 2.0**50
"""Most that the scaled coefficients' sizes add up to; CP-SAT needs every sum to fit well inside 63 bits."""


ROW = 2**30
"""Most that the costs of a capacity add up to; beyond 2³² the presolve of OR-Tools 9.15 loses optima."""


@solver(
    "cp-sat",
    accepts=(Qubo, Capacity),
    reference="Perron & Didier 2024",
    exact=True,
    max_variables=5_000,
    max_couplings=44_850,  # of 300 variables where each is coupled to each
    requires={"ortools": "ortools.sat.python.cp_model"},
)
def cp_sat(
    instance: Qubo | Capacity, run: Run, *, work: Annotated[float, Range(0.01, 1e4, log=True)] = 5.0
) -> None:
    """One model, one search. Coefficients are rounded to integers; their rounding is taken off the bound.

    Parameters:
        work: CP-SAT's deterministic time for runs of fixed work, about seconds.
    """
    from ortools.sat.python import cp_model

    if not run.open():
        return
    start = local_start(instance)
    run.offer(start)
    model = _Model(cp_model, instance)
    if not model.link(run):
        return
    for variable, value in zip(model.x, start, strict=True):
        model.model.add_hint(variable, bool(value))
    left = work * (run.restarts or 1)
    while left > 0 and not run.stopped():
        search = cp_model.CpSolver()
        _limits(search.parameters, run, left)
        watcher = _watcher(cp_model, model.x, run)
        status = search.solve(model.model, watcher)
        if status == cp_model.MODEL_INVALID:
            raise RuntimeError(f"cp-sat: {model.model.validate()}")
        # Without a solution of its own the search's bound is a blank, which reads 0.
        if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            run.prove(model.bound(search.best_objective_bound))
        # Without restarts nothing but the clock ends an unfinished search, if a moment early.
        run.exhausted |= run.restarts is None and status not in (cp_model.OPTIMAL, cp_model.INFEASIBLE)
        left -= search.response_proto.deterministic_time if run.restarts is not None else 0.0
        # The capacity is relaxed: what only its rounding let in is forbidden, and the search repeated.
        if status != cp_model.OPTIMAL or not watcher.misfits:
            break
        model.forbid(watcher.misfits)
    run.stopped()


def _limits(parameters: Any, run: Run, work: float) -> None:
    parameters.num_workers = run.threads
    parameters.random_seed = int(run.rng.integers(2**31))
    if run.restarts is not None:
        parameters.max_deterministic_time = work
        # Several workers share what they find at fixed points, so that the outcome does not depend on time.
        parameters.interleave_search = run.threads > 1
    if run.seconds is not None:
        parameters.max_time_in_seconds = max(run.remaining(), 1e-3)


class _Model:
    """The instance with a variable for every product, and integer coefficients."""

    def __init__(self, cp_model: Any, instance: Qubo | Capacity) -> None:
        self.cp_model, self.instance, self.model = cp_model, instance, cp_model.CpModel()
        self.qubo = instance.qubo
        self.x = [self.model.new_bool_var(f"x{i}") for i in range(self.qubo.n)]
        self.scale, self.slack = 1.0, 0.0
        if instance.K is not None:
            self._constrain(instance, instance.K)

    def link(self, run: Run) -> bool:
        """Add products and objective; False if the budget ran out on the way."""
        variables, coefficients = list(self.x), self.qubo.linear.tolist()
        parts = (part.tolist() for part in products(self.qubo))
        for count, (i, j, a) in enumerate(zip(*parts, strict=True)):
            if count % 1000 == 0 and run.stopped():
                return False
            variables.append(self._product(self.x[i], self.x[j], a))
            coefficients.append(a)
        self._minimise(variables, np.array(coefficients))
        return True

    def _minimise(self, variables: list[Any], coefficients: Any) -> None:
        size = float(np.abs(coefficients).sum())
        # A power of two keeps integers and halves exact.
        self.scale = 2.0 ** np.floor(np.log2(TOTAL) - np.log2(size)) if size else 1.0
        whole = np.round(coefficients * self.scale)
        self.slack = float(np.abs(whole / self.scale - coefficients).sum())
        expression = self.cp_model.LinearExpr.weighted_sum(variables, whole.astype(np.int64).tolist())
        self.model.minimize(expression)

    def forbid(self, points: list[Bits]) -> None:
        """Leave these points out."""
        for point in points:
            self.model.add_bool_or([a.negated() if bit else a for a, bit in zip(self.x, point, strict=True)])

    def bound(self, objective: float) -> float:
        """Lower bound on the loss from one on the objective: less what rounding and float64 may hide."""
        return objective / self.scale + self.qubo.offset - self.slack - self.instance.resolution

    def _product(self, a: Any, b: Any, coefficient: float) -> Any:
        """A variable that is a·b wherever the objective does not make it so by itself."""
        both = self.model.new_bool_var("")
        if coefficient > 0:
            self.model.add_bool_or([a.negated(), b.negated(), both])
        else:
            self.model.add_implication(both, a)
            self.model.add_implication(both, b)
        return both

    def _constrain(self, capacity: Qubo | Capacity, K: float) -> None:
        total = self.cp_model.LinearExpr
        if capacity.exact:
            self.model.add(total.sum(self.x) == int(K))
            return
        costs, most = _whole(capacity.costs, K + 2 * capacity.slack)
        self.model.add(total.weighted_sum(self.x, costs) <= most)


def _whole(costs: Floats, room: float) -> tuple[list[int], int]:
    """Costs and capacity as integers of a common unit, or rounded down, so that nothing feasible is lost."""
    # A little wider than its slack: a valid relaxation, whatever the roundings here.
    most = room * (1 + 1e-15)
    for unit in (1, 10, 100, 1000):
        whole = np.round(costs * unit)
        if whole.max() < 2**53 and np.allclose(whole / unit, costs, rtol=1e-15, atol=0.0):
            common = int(np.gcd.reduce(whole.astype(np.int64)))
            if whole.sum() <= ROW * common:
                return [int(cost) // common for cost in whole], int(most * unit / common)
    scale = ROW / float(costs.sum())
    return [int(cost * scale) for cost in costs], int(most * scale)


def _watcher(cp_model: Any, x: list[Any], run: Run) -> Any:
    """Offers every solution that the search finds, keeps the misfits, ends it when the run says so."""

    class Watcher(cp_model.CpSolverSolutionCallback):  # type: ignore[misc]  # ortools comes untyped here
        def __init__(self) -> None:
            super().__init__()
            self.misfits: list[Bits] = []

        def on_solution_callback(self) -> None:
            point = _values(self, x)
            run.offer(point)
            if run.instance.violation(point) > 0:
                self.misfits.append(point)
            if run.stopped():
                self.stop_search()

    return Watcher()


def _values(search: Any, x: list[Any]) -> Bits:
    return np.array([search.boolean_value(variable) for variable in x], dtype=np.int8)
