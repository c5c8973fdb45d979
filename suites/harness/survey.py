"""Survey: drive a formulation once with its baseline, to learn its stages and what the baseline scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import problems, solvers
from ...problems import SHAPES, InputError, Instance
from ...results import InstanceInfo
from ..spec import InstanceSpec, seed_of
from .network_metrics import metric_of

__all__ = ["SHAPES", "Survey", "prepared", "survey", "variables_of"]


@dataclass(frozen=True)
class Survey:
    """What the harness must know of an instance before it hands it to solvers.

    Attributes:
        info: names, sizes and the baseline's score, as the store keeps them.
        shapes: shape of each judged stage.
    """

    info: InstanceInfo
    shapes: tuple[str, ...]

    @property
    def losses(self) -> tuple[float, ...]:
        """Loss of the baseline at each judged stage."""
        return self.info.stage_losses

    def shares(self, stage: int) -> float:
        """Share of the time left that a judged stage gets: its part of the variables still to decide.

        Raises:
            InputError: the baseline met fewer stages.
        """
        if stage >= len(self.shapes):
            raise InputError(
                f"a formulation must have as many stages whatever the answers, got {stage + 1} and "
                f"with the baseline's {len(self.shapes)}"
            )
        sizes = np.maximum(self.info.stage_variables, 1)
        return float(sizes[stage] / sizes[stage:].sum())

    def suits(self, solver: str) -> bool:
        """Whether a solver can be brought to every judged stage."""
        entry = solvers.get(solver)
        return all(solvers.reaches(entry, SHAPES[shape]) for shape in self.shapes)

    def to_json(self) -> str:
        """As text, to cross from the process that surveyed."""
        return json.dumps({"info": self.info.to_json(), "shapes": self.shapes})

    @classmethod
    def from_json(cls, text: str) -> Survey:
        """What `to_json` wrote."""
        content = json.loads(text)
        return cls(InstanceInfo.from_json(content["info"]), tuple(content["shapes"]))


def survey(spec: InstanceSpec, *, given: Callable[[int, Instance], Any] | None = None) -> Survey:
    """Drive the formulation with the baseline at every judged stage and measure the network it ends in.

    Parameters:
        spec: the formulation.
        given: solutions of the stages that are not judged; `prepared` where None.

    Raises:
        InputError: a parameter out of range, no judged stage, or one of a shape that is none of ours.
        MissingDataError: the data set is not on this machine.
    """
    task = spec.task()
    # Before a formulation has had it: what a cell then does to it is the cell's failure.
    float_metric = metric_of(spec, task, task.network)
    settle = given or (lambda stage, instance: prepared(spec, stage, instance).x)
    stages: list[tuple[str, int, float]] = []

    def decide(stage: int, instance: Instance) -> Any:
        if not spec.judged(instance):
            return settle(stage, instance)
        x = instance.baseline()
        stages.append((_shape_of(instance), variables_of(instance), instance.loss(x)))
        return x

    network = spec.drive(task, decide)
    if not stages:
        cure = "leave prepare out, or set refine" if spec.prepare else "yield an instance"
        raise InputError(f"{spec.problem} must leave its solver a stage to answer, got none; {cure}")
    shapes, variables, losses = zip(*stages, strict=True)
    info = InstanceInfo(
        key=spec.key(task),
        name=spec.name,
        family=problems.get(spec.problem).family,
        problem=spec.problem,
        network=spec.network,
        parameters=spec.everything,
        variables=sum(variables),
        stage_variables=variables,
        stage_losses=losses,
        baseline_loss=float(sum(losses)),
        baseline_metric=metric_of(spec, task, network),
        float_metric=float_metric,
        metric_name=task.metric,
        higher_is_better=task.higher_is_better,
    )
    return Survey(info, shapes)


def prepared(spec: InstanceSpec, stage: int, instance: Instance) -> solvers.Solution:
    """The fixed solution of a stage that is not judged: one run of fixed work, seeded by the instance alone.

    Raises:
        InputError: the solver that prepares has none.
    """
    seed = seed_of("prepare", spec.name, stage)
    solution = solvers.solve(instance, spec.prepare, restarts=1, seed=seed)
    if solution.x is None or solution.violation:
        reason = solution.message or solution.status.advice
        raise InputError(f"{spec.prepare} cannot prepare stage {stage}: {reason}")
    return solution


def _shape_of(instance: Instance) -> str:
    name = type(instance).__name__
    if SHAPES.get(name) is not type(instance):
        raise InputError(f"a problem must yield one of {', '.join(SHAPES)}, got {name}")
    return name


def variables_of(instance: Instance) -> int:
    """Free variables: the fixed coordinates of a Rounding are none."""
    return instance.free
