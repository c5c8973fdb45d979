"""Stages: the instances of a formulation answered one after another, each timed and told of."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ... import solvers
from ...problems import BlackBox, Capacity, InputError, Instance, Qubo, Rounding
from ...problems.arrays import Bits
from ...problems.registry import Problem
from ...problems.tasks.ledger import Ledger, Place
from ...problems.tasks.rules import Rules
from ..spec import seed_of

__all__ = ["FITTING", "Budget", "Progress", "Stage", "Stages", "Step"]

FITTING: Mapping[type, str] = {Rounding: "level-tabu", Capacity: "swap", Qubo: "tabu"}
"""The solver of each shape where the caller names none; a BlackBox has the refiner."""

OWN_FITTING: Mapping[str, Mapping[type, str]] = {"bit-allocation": {Capacity: "layer-dp"}}
"""The same where a formulation's instances have a structure that another solver knows, by its name."""


@dataclass(frozen=True)
class Stage:
    """One stage that has ended.

    Attributes:
        label: what it decided, such as the name of a layer; "" where the formulation does not say.
        parameters: whose numbers it decided, "" and () likewise.
        shape: of its instance.
        solver: that answered it.
        status: how the search ended.
        seconds: what solving took; measuring the instance is not in it.
        loss, baseline: of the answer, and of what is done without a search (round to nearest, …).
    """

    label: str
    parameters: tuple[str, ...]
    shape: str
    solver: str
    status: str
    seconds: float
    loss: float
    baseline: float


@dataclass(eq=False)
class Step:
    """A stage at work, told to `progress` as it begins and as it has `ended`; anyone may look in between.

    Attributes:
        number: of the stage, from 0 on.
        place: what it is about and where in the whole work it lies; None where the formulation does not say.
        solver: that answers it.
        run: the search, from its start on; its counts grow while it lasts.
        ended: whether it is over.
        started: when it began, on the monotonic clock.
    """

    number: int
    place: Place | None
    solver: str
    run: solvers.Run | None = None
    ended: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def label(self) -> str:
        """What it is about, for people."""
        return (self.place.label if self.place else "") or f"stage {self.number}"

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.started

    @property
    def done(self) -> float:
        """Share of this stage's work, as far as its search can tell."""
        return 1.0 if self.ended else self.run.done() if self.run else 0.0

    @property
    def overall(self) -> float | None:
        """Share of the whole work, None where the formulation does not say what lies ahead."""
        if self.place is None or self.place.span is None:
            return None
        begins, ends = self.place.span
        return begins + self.done * (ends - begins)


Progress: TypeAlias = Callable[[Step], None]
"""Told of every stage as it begins and as it ends."""


@dataclass(frozen=True)
class Budget:
    """Who answers which stage, and how long they may take.

    Attributes:
        solver: of every stage that it takes; None for one that fits the shape.
        parameters: its own, and `threads`.
        seconds: of a stage; one run of the solver's fixed work where None.
        seed: of the search.
        refiner, evaluations: of black boxes that the solver does not take.
        fitting: who answers the shapes that the solver does not take, or all where there is none.
    """

    solver: str | None
    parameters: Mapping[str, Any]
    seconds: float | None
    seed: int
    refiner: str
    evaluations: int
    fitting: Mapping[type, str] = field(default_factory=lambda: FITTING)

    def check(self) -> None:
        """InputError for an unknown solver, or a parameter that no solver of these has."""
        solvers.get(self.refiner)
        if self.solver is not None:
            solvers.get(self.solver).settings(self._own())
            return
        known = {name for solver in self.fitting.values() for name in solvers.get(solver).parameters}
        for name in self._own().keys() - known:
            has = ", ".join(sorted(known | {"threads"}))
            raise InputError(
                f"no default solver has a parameter {name!r}; name a solver, or choose from {has}"
            )

    def call(self, instance: Instance) -> dict[str, Any]:
        """Arguments of `solvers.solve` for an instance: the solver, its parameters and its budget."""
        limit: dict[str, Any] = {"restarts": 1} if self.seconds is None else {"seconds": self.seconds}
        threads = {name: self.parameters[name] for name in ("threads",) if name in self.parameters}
        if self._refines(instance):
            return {"solver": self.refiner, "evaluations": self.evaluations, **threads}
        solver = self.solver
        if solver is None or (self.mixed and not _takes(solver, instance)):
            solver = self.fitting[type(instance)]
        known = solvers.get(solver).parameters
        own = {name: value for name, value in self._own().items() if self.solver == solver or name in known}
        return {"solver": solver, **limit, **threads, **own}

    @property
    def mixed(self) -> bool:
        """Whether stages are of several shapes, of which a solver may take one alone."""
        return self.fitting is not FITTING

    def _refines(self, instance: Instance) -> bool:
        """Whether this is a black box that the solver does not take."""
        if self.solver is None:
            return isinstance(instance, BlackBox)
        return instance.counted and type(instance) not in solvers.get(self.solver).accepts

    def _own(self) -> dict[str, Any]:
        return {name: value for name, value in self.parameters.items() if name != "threads"}


def _takes(solver: str, instance: Instance) -> bool:
    """Whether a solver takes an instance, itself or through an adapter."""
    return not {type(instance), Qubo}.isdisjoint(solvers.get(solver).accepts)


@dataclass(eq=False)
class Stages:
    """Answers the instances of a formulation, and keeps what became of each.

    Attributes:
        problem: the formulation.
        rules, ledger: of the task that it compresses.
        budget: who answers, and how long it may take.
        progress: told of each stage.
        ended: the stages so far.
    """

    problem: Problem
    rules: Rules
    ledger: Ledger
    budget: Budget
    progress: Progress
    ended: list[Stage] = field(default_factory=list)

    def __call__(self, number: int, instance: Instance) -> Bits:
        """The answer to an instance.

        Raises:
            InputError: the solver has none, it does not take the shape, or the formulation does not hear what
                is wished of single layers.
        """
        self.check_heard()
        call = self.budget.call(instance)
        step = Step(number, self.ledger.leave(), call["solver"])
        self.progress(step)
        seed = seed_of("compress", self.budget.seed, number)
        found = solvers.solve(instance, **call, seed=seed, watch=lambda run: setattr(step, "run", run))
        if found.x is None or found.loss is None or found.violation:
            where = f"{step.label} (stage {number})" if step.label != f"stage {number}" else step.label
            reason = found.message or found.status.advice
            raise InputError(f"{step.solver} has no solution for {where}: {reason}")
        step.ended = True
        self.progress(step)
        self._keep(step, instance, found)
        return found.x

    def check_heard(self) -> None:
        """InputError where a wish for single layers is lost on the formulation."""
        for name in self.rules.unheard():
            raise InputError(f"{self.problem.name} must take {name}= to be given one, and does not; drop it")

    def _keep(self, step: Step, instance: Instance, found: solvers.Solution) -> None:
        place = step.place or Place("")
        self.ended.append(
            Stage(
                label=place.label,
                parameters=place.parameters,
                shape=type(instance).__name__,
                solver=step.solver,
                status=str(found.status),
                seconds=found.seconds,
                loss=float(found.loss or 0.0),
                baseline=float(instance.loss(instance.baseline())),
            )
        )
