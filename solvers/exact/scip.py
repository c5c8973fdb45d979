"""scip: SCIP's branch and cut on the linearised products, with its proven bound; the extra `scip`."""

from __future__ import annotations

from typing import Annotated, Any

from ...problems import Capacity, Qubo
from ...problems.arrays import Bits
from ..registry import Range, solver
from ..run import Run
from .foreign import TOLERANCE, Nodes, Scaled, begin, point_of, repeat

__all__ = ["scip"]

MOST_SECONDS = 1e20
"""SCIP's infinity."""


@solver(
    "scip",
    accepts=(Qubo, Capacity),
    reference="Bestuzheva et al. 2023",
    exact=True,
    max_variables=5_000,
    max_couplings=44_850,  # of 300 variables where each is coupled to each
    requires={"pyscipopt": "pyscipopt"},
    counts="nodes",
)
def scip(
    instance: Qubo | Capacity, run: Run, *, nodes: Annotated[int, Range(1, 10**9, log=True)] = 10_000
) -> None:
    """One model, one search. Its values are recomputed, and a bound above a point of its own is refused.

    Given as a quadratic objective SCIP puts the products under a variable, within 1e-6, and reports values
    that no point has. So products are variables of their own here.

    Parameters:
        nodes: of branch and cut, for runs of fixed work.
    """
    if not run.open():
        return
    begin(instance, run)
    scaled = Scaled(instance)

    def search(forbidden: list[Bits], limit: int | None) -> tuple[int, list[Bits]]:
        model, x = _model(scaled, forbidden, run)
        return (0, []) if model is None else _search(model, x, scaled, run, limit)

    repeat(run, nodes, search)


def _library() -> Any:
    """The package without its types, of which its releases have some or none."""
    import pyscipopt

    return pyscipopt


def _model(scaled: Scaled, forbidden: list[Bits], run: Run) -> tuple[Any, list[Any]]:
    """The program and its bits; no program where the time ran out on the way."""
    library = _library()
    model, total = library.Model(), library.quicksum
    model.hideOutput()
    x = [model.addVar(vtype="B", obj=cost) for cost in scaled.linear.tolist()]
    triples = zip(scaled.i.tolist(), scaled.j.tolist(), scaled.value.tolist(), strict=True)
    for number, (i, j, value) in enumerate(triples):
        if number % 200 == 0 and run.stopped():
            return None, x
        z = model.addVar(vtype="C", lb=0.0, ub=1.0, obj=value)
        # Only the side that the objective does not hold by itself.
        if value > 0:
            model.addCons(z - x[i] - x[j] >= -1.0)
        else:
            model.addCons(z - x[i] <= 0.0)
            model.addCons(z - x[j] <= 0.0)
    row = scaled.row()
    if row is not None:
        costs, most, exact = row
        used = total(cost * one for cost, one in zip(costs.tolist(), x, strict=True))
        model.addCons(used == most if exact else used <= most)
    for point in forbidden:
        away = total(1 - one if bit else one for bit, one in zip(point.tolist(), x, strict=True))
        model.addCons(away >= 1)
    return model, x


def _search(model: Any, x: list[Any], scaled: Scaled, run: Run, nodes: int | None) -> tuple[int, list[Bits]]:
    """Search until the run stops it. Nodes used, and the optimum where it does not fit the capacity."""
    _limits(model, run, nodes)
    watcher = _watcher(x, scaled, run)
    model.includeEventhdlr(watcher, "incumbents", "tells the run of every incumbent and asks it")
    model.optimizeNogil() if hasattr(model, "optimizeNogil") else model.optimize()
    # It may have stopped a moment early.
    run.exhausted |= model.getStatus() == "timelimit"
    used = int(model.getNTotalNodes())
    watcher.nodes.reach(used)
    if not model.getNSols():
        return used, []
    best = model.getBestSol()
    point = point_of([best[one] for one in x])
    run.offer(point)
    bound = float(model.getDualbound())
    if scaled.trusts(point, float(model.getSolObjVal(best)), bound):
        scaled.prove(run, bound)
    misfit = scaled.misfit(point) and model.getStatus() == "optimal"
    return used, [point] if misfit else []


def _limits(model: Any, run: Run, nodes: int | None) -> None:
    chosen: dict[str, Any] = {
        "limits/gap": 0.0,
        "limits/absgap": 0.0,
        "numerics/feastol": TOLERANCE,
        "numerics/dualfeastol": TOLERANCE,
        "numerics/epsilon": 1e-10,
        "randomization/randomseedshift": int(run.rng.integers(2**31 - 1)),
        "randomization/permutationseed": 0,
        "limits/time": MOST_SECONDS if run.seconds is None else max(run.remaining(), 1e-3),
    }
    if nodes is not None:
        chosen["limits/totalnodes"] = nodes
    for name, value in chosen.items():
        model.setParam(name, value)


def _watcher(x: list[Any], scaled: Scaled, run: Run) -> Any:
    """Offers every incumbent, and ends the search when the run says so."""
    library = _library()
    found = library.SCIP_EVENTTYPE.BESTSOLFOUND
    kinds = (found, library.SCIP_EVENTTYPE.NODESOLVED, library.SCIP_EVENTTYPE.LPSOLVED)

    stages = (library.SCIP_STAGE.PRESOLVING, library.SCIP_STAGE.SOLVING)
    base: Any = library.Eventhdlr

    class Watcher(base):  # type: ignore[misc]  # taken without its types
        nodes = Nodes(run)

        def eventinit(self) -> None:
            for kind in kinds:
                self.model.catchEvent(kind, self)

        def eventexit(self) -> None:
            for kind in kinds:
                self.model.dropEvent(kind, self)

        def eventexec(self, event: Any) -> None:
            if event.getType() == found:
                self.nodes.reach(int(self.model.getNTotalNodes()))
                best = self.model.getBestSol()
                run.offer(point_of([self.model.getSolVal(best, one) for one in x]))
            # Between presolve and search SCIP finds incumbents and cannot be interrupted.
            if self.model.getStage() in stages and run.stopped():
                self.model.interruptSolve()

    return Watcher()
