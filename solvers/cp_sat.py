"""cp-sat: OR-Tools' constraint solver on the linearised products, with its proven bound."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from ..problems import Capacity, Qubo
from .registry import Range, solver
from .run import Declined, Run

__all__ = ["cp_sat"]

TOTAL = 2.0**50
"""Most that the scaled coefficients' sizes add up to; CP-SAT needs every sum to fit 63 bits with room to spare."""


@solver("cp-sat", accepts=(Qubo, Capacity), reference="Perron & Didier 2024", exact=True, max_variables=300)
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
    qubo = instance.qubo if isinstance(instance, Capacity) else instance
    model, x, scale, slack = _model(cp_model, instance, qubo)
    search = cp_model.CpSolver()
    _limits(search.parameters, run, work)
    status = search.solve(model, _watcher(cp_model, x, run))
    if status == cp_model.INFEASIBLE:
        raise Declined("no solution keeps to the capacity")
    # Without a solution CP-SAT states no bound, only the objective's start value.
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        run.prove(search.best_objective_bound / scale + qubo.offset - slack)


def _limits(parameters: Any, run: Run, work: float) -> None:
    parameters.num_workers = run.threads
    parameters.random_seed = int(run.rng.integers(2**31))
    if run.restarts is not None:
        parameters.max_deterministic_time = work * run.restarts
    if run.seconds is not None:
        parameters.max_time_in_seconds = max(run.remaining(), 1e-3)


def _model(cp_model: Any, instance: Qubo | Capacity, qubo: Qubo) -> tuple[Any, list[Any], float, float]:
    """The model, its variables, the coefficients' scale, and what their rounding may add up to."""
    model = cp_model.CpModel()
    x = [model.new_bool_var(f"x{i}") for i in range(qubo.n)]
    terms = [(variable, float(a)) for variable, a in zip(x, qubo.linear, strict=True)]
    terms += [(_product(model, x[i], x[j], a), a) for i, j, a in _pairs(qubo)]
    size = sum(abs(a) for _, a in terms)
    # A power of two keeps integers and halves exact.
    scale = 2.0 ** np.floor(np.log2(TOTAL / size)) if size else 1.0
    whole = [round(a * scale) for _, a in terms]
    model.minimize(cp_model.LinearExpr.weighted_sum([v for v, _ in terms], whole))
    if isinstance(instance, Capacity):
        _constrain(cp_model, model, x, instance)
    slack = sum(abs(k / scale - a) for k, (_, a) in zip(whole, terms, strict=True))
    return model, x, float(scale), slack + instance.resolution


def _pairs(qubo: Qubo) -> list[tuple[int, int, float]]:
    """Products of the loss: (i, j, coefficient), i < j."""
    bqm = qubo.to_bqm()
    return [(int(min(u, v)), int(max(u, v)), float(a)) for (u, v), a in bqm.quadratic.items() if a]


def _product(model: Any, a: Any, b: Any, coefficient: float) -> Any:
    """A variable that is a·b wherever the objective does not make it so by itself."""
    both = model.new_bool_var("")
    if coefficient > 0:
        model.add_bool_or([a.negated(), b.negated(), both])
    else:
        model.add_implication(both, a)
        model.add_implication(both, b)
    return both


def _constrain(cp_model: Any, model: Any, x: list[Any], capacity: Capacity) -> None:
    if capacity.exact:
        model.add(cp_model.LinearExpr.sum(x) == int(capacity.K))
        return
    if not np.all(capacity.costs == np.floor(capacity.costs)):
        raise Declined("cp-sat needs integer costs")
    model.add(cp_model.LinearExpr.weighted_sum(x, [int(c) for c in capacity.costs]) <= int(capacity.K))


def _watcher(cp_model: Any, x: list[Any], run: Run) -> Any:
    """Offers every solution that the search finds, and ends it when the run says so."""

    class Watcher(cp_model.CpSolverSolutionCallback):  # type: ignore[misc]
        def on_solution_callback(self) -> None:
            run.offer([self.boolean_value(variable) for variable in x])
            if run.stopped():
                self.stop_search()

    return Watcher()
