"""gurobi: Gurobi's branch and cut on the quadratic objective, with its proven bound; the extra `gurobi`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from ...problems import Capacity, Qubo
from ...problems.arrays import Bits
from ..registry import Range, solver
from ..run import Declined, Run
from .foreign import TOLERANCE, Nodes, Scaled, begin, point_of, repeat

__all__ = ["gurobi"]

FREE = 200
"""Variables with products at which the licence that the package brings stops."""

TOO_LARGE, NO_LICENCE = 10010, 10009
"""Gurobi's numbers of these errors."""


@solver(
    "gurobi",
    accepts=(Qubo, Capacity),
    reference="Gurobi Optimization",
    exact=True,
    max_variables=2000,
    requires={"gurobipy": "gurobipy"},
    counts="nodes",
)
def gurobi(
    instance: Qubo | Capacity, run: Run, *, nodes: Annotated[int, Range(1, 10**9, log=True)] = 10_000
) -> None:
    """One model, one search. Its values are recomputed, and a bound above a point of its own is refused.

    The package comes with a licence for 200 variables; without another one larger instances are declined.

    Parameters:
        nodes: of branch and cut, for runs of fixed work.

    Raises:
        Declined: the licence does not reach.
    """
    import gurobipy

    scaled = Scaled(instance)
    try:
        with gurobipy.Env(params={"OutputFlag": 0}) as environment:
            _check(gurobipy, environment, scaled)
            if not run.open():
                return
            begin(instance, run)
            repeat(run, nodes, partial(_search, gurobipy, environment, scaled, run))
    except gurobipy.GurobiError as error:
        raise _declined(error, instance.n) from None


def _declined(error: Any, n: int) -> Exception:
    """A licence that does not reach is an answer; anything else is an error."""
    if error.errno == TOO_LARGE:
        return Declined(f"gurobi's free licence stops at {FREE} variables with products, got {n}")
    if error.errno == NO_LICENCE:
        return Declined(f"gurobi finds no licence: {error}")
    return RuntimeError(f"gurobi: {error}")


def _check(gurobipy: Any, environment: Any, scaled: Scaled) -> None:
    """Have the licence refuse before anything is offered. Raises gurobipy's error."""
    n = len(scaled.linear)
    if n <= FREE:
        return
    with gurobipy.Model(env=environment) as model:
        x = model.addVars(n, vtype="B")
        model.setObjective(x[0] * x[1])
        model.Params.NodeLimit = 0
        model.optimize()


def _search(
    gurobipy: Any, environment: Any, scaled: Scaled, run: Run, forbidden: list[Bits], nodes: int | None
) -> tuple[int, list[Bits]]:
    """Search until the run stops it. Nodes used, and the optimum where it does not fit the capacity."""
    with gurobipy.Model(env=environment) as model:
        x = _model(gurobipy, model, scaled, forbidden)
        _limits(model, run, nodes)

        nodes_of = Nodes(run)

        def watch(model: Any, where: int) -> None:
            if where == gurobipy.GRB.Callback.MIPSOL:
                nodes_of.reach(int(model.cbGet(gurobipy.GRB.Callback.MIPSOL_NODCNT)))
                run.offer(point_of(model.cbGetSolution(x)))
            if run.stopped():
                model.terminate()

        model.optimize(watch)
        used = int(model.NodeCount)
        nodes_of.reach(used)
        if not model.SolCount:
            return used, []
        point = point_of([one.X for one in x])
        run.offer(point)
        if scaled.trusts(point, float(model.ObjVal), float(model.ObjBound)):
            scaled.prove(run, float(model.ObjBound))
        misfit = scaled.misfit(point) and model.Status == gurobipy.GRB.OPTIMAL
        return used, [point] if misfit else []


def _model(gurobipy: Any, model: Any, scaled: Scaled, forbidden: list[Bits]) -> list[Any]:
    """Fill the program; its bits."""
    x = list(model.addVars(len(scaled.linear), vtype="B").values())
    objective = gurobipy.QuadExpr(gurobipy.LinExpr(scaled.linear.tolist(), x))
    left, right = [x[i] for i in scaled.i.tolist()], [x[j] for j in scaled.j.tolist()]
    objective.addTerms(scaled.value.tolist(), left, right)
    model.setObjective(objective)
    row = scaled.row()
    if row is not None:
        costs, most, exact = row
        used = gurobipy.LinExpr(costs.tolist(), x)
        model.addConstr(used == most if exact else used <= most)
    for point in forbidden:
        away = gurobipy.quicksum(1 - one if bit else one for bit, one in zip(point.tolist(), x, strict=True))
        model.addConstr(away >= 1)
    return x


def _limits(model: Any, run: Run, nodes: int | None) -> None:
    chosen: dict[str, Any] = {
        "Threads": run.threads,
        "Seed": int(run.rng.integers(2**31 - 1)),
        "MIPGap": 0.0,
        "MIPGapAbs": 0.0,
        "FeasibilityTol": TOLERANCE,
        "IntFeasTol": TOLERANCE,
        "OptimalityTol": TOLERANCE,
    }
    if run.seconds is not None:
        chosen["TimeLimit"] = max(run.remaining(), 1e-3)
    if nodes is not None:
        chosen["NodeLimit"] = nodes
    for name, value in chosen.items():
        model.setParam(name, value)
