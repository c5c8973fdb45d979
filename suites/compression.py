"""compress: a module and data in, a compressed module out."""

from __future__ import annotations

from typing import Any

from torch import nn

from .. import problems, solvers
from ..problems import InputError, Instance
from .spec import seed_of

__all__ = ["compress"]


def compress(
    model: nn.Module,
    data: Any,
    *,
    problem: str = "adaround",
    solver: str = "nearest-plane",
    seconds: float | None = None,
    seed: int = 0,
    samples: int = 1000,
    refiner: str = "tensor-train",
    evaluations: int = 500,
    **parameters: Any,
) -> nn.Module:
    """Compress a module of one's own with a formulation and a solver; the module itself stays as it is.

    Parameters:
        model: any torch module that the formulation can read.
        data: calibration samples, a DataLoader of (x, y) or a pair (x, y).
        problem: name of a formulation; see `qubopress list`.
        solver: name of a solver.
        seconds: budget of each stage; one run of the solver's fixed work where None.
        seed: of the search.
        samples: most calibration samples to use.
        refiner: solver of a refinement stage, where the formulation has one.
        evaluations: its budget.
        parameters: the formulation's own, such as bits=4 or keep=0.64.

    Returns:
        A new module with the compressed weights, in eval mode.

    Raises:
        InputError: an unknown name, a parameter out of range, data that cannot calibrate, or a stage for
            which the solver has no solution.
    """
    formulation = problems.get(problem)
    solvers.get(refiner)
    task = problems.own_task(model, data, samples=samples)

    def decide(stage: int, instance: Instance) -> Any:
        budget: dict[str, Any] = {"restarts": 1} if seconds is None else {"seconds": seconds}
        name = solver
        if instance.counted and type(instance) not in solvers.get(solver).accepts:
            name, budget = refiner, {"evaluations": evaluations}
        found = solvers.solve(instance, name, seed=seed_of("compress", seed, stage), **budget)
        if found.x is None or found.violation:
            raise InputError(
                f"{name} has no solution for stage {stage}: {found.message or found.status.advice}"
            )
        return found.x

    return problems.drive(formulation, task, parameters, decide)
