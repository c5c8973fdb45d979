"""What a cell is made of, as plain data: the spec of an instance and of a solver."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import problems, solvers
from ..problems.arrays import count
from ..problems.errors import InputError
from ..problems.networks.zoo import network as find_network
from ..results.storage.record import canonical
from . import executable

if TYPE_CHECKING:
    from torch import nn

    from ..problems import Instance, Task

__all__ = ["COMMAND", "MOST_SEEDS", "InstanceSpec", "SolverSpec", "canonical", "seed_of", "text"]

COMMAND = "command"
"""The solver that starts an executable, and the key of a suite that asks for one."""

MOST_SEEDS = 100_000
"""Replicates of a cell that nobody can have meant to go beyond."""

TASK_KEYS = {"calibration": 500, "calibration_seed": 0}
"""Parameters of the task rather than of the formulation, with their defaults."""


def plain(table: dict[str, Any]) -> dict[str, Any]:
    """The table itself, if it is plain data.

    Raises:
        InputError: a value that JSON cannot hold, such as a date or NaN; the message names its key.
    """
    for key, value in table.items():
        try:
            canonical(value)
        except (TypeError, ValueError, RecursionError):
            kind = type(value).__name__
            raise InputError(
                f"{key} must be a finite number, a text or a bool, got a {kind} {value}"
            ) from None
    return table


def text(value: Any, *, name: str) -> str:
    """`value`, if it is a text.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, str):
        raise InputError(f"{name} must be a text, got {value!r}")
    return value


def seed_of(*names: Any) -> int:
    """A seed of 63 bits from names alone, so that adding a solver changes nobody else's numbers."""
    digest = hashlib.sha256(canonical(names).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True)
class SolverSpec:
    """A solver and the parameters that differ from its defaults.

    Attributes:
        name: of the solver.
        parameters: those given.
        seeds: replicates of its cells where the suite gives it other ones than the rest.
        called: what boards call it, "" for its name; an executable has a name of its own.
    """

    name: str
    parameters: dict[str, Any]
    seeds: int | None = None
    called: str = ""

    @classmethod
    def of(cls, name: Any, /, **parameters: Any) -> SolverSpec:
        """A spec from the keys of a suite's table, checked.

        Raises:
            InputError: an unknown solver or parameter, or a value outside its range.
        """
        seeds = parameters.pop("seeds", None)
        if seeds is not None:
            count(seeds, name="seeds", low=1, high=MOST_SEEDS)
        if COMMAND in parameters:
            called = executable.named(text(name, name="the name of a solver"), parameters)
            found = solvers.get(COMMAND).settings(executable.settings(parameters))
            return cls(COMMAND, plain(found), seeds, called)
        entry = solvers.get(text(name, name="the name of a solver"))
        return cls(entry.name, plain(entry.settings(parameters)), seeds)

    @classmethod
    def of_record(cls, solver: str, parameters: dict[str, Any]) -> SolverSpec:
        """What a record tells of its solver, unchecked."""
        return cls(COMMAND, parameters, called=solver) if COMMAND in parameters else cls(solver, parameters)

    @property
    def title(self) -> str:
        """What boards and records call it."""
        return self.called or self.name

    @property
    def label(self) -> str:
        """Title with parameters, the solver's part of a seed."""
        return f"{self.title} {canonical(self.parameters)}"


_kept: dict[tuple[str, int, int], Task] = {}
"""Tasks that this process keeps, by network, samples and draw."""


@dataclass(frozen=True)
class InstanceSpec:
    """A formulation of a network: enough to build the same instances again anywhere.

    Attributes:
        problem: name of the formulation.
        network: name of the network, "" for a formulation that needs none.
        parameters: all of the formulation's, the defaults included.
        calibration: training samples that calibrate.
        calibration_seed: of their draw.
        prepare: solver of the stages before a refinement, "" to give the cell's solver every stage. Only
            the refinement is then judged, so that all refiners start at the same point.
    """

    problem: str
    network: str
    parameters: dict[str, Any]
    calibration: int = 500
    calibration_seed: int = 0
    prepare: str = ""

    @classmethod
    def of(cls, problem: Any, /, *, network: Any = "", prepare: Any = "", **parameters: Any) -> InstanceSpec:
        """A spec from the keys of a suite's table, checked.

        Raises:
            InputError: an unknown formulation, network, solver or parameter, or no network where one is
                needed.
        """
        formulation = problems.get(text(problem, name="the name of a problem"))
        if not formulation.network:
            return cls._bare(formulation, network, prepare, parameters)
        if network == "":
            raise InputError(f"problem {problem} needs a network")
        task = {
            "calibration": count(parameters.pop("calibration", 500), name="calibration", low=1),
            "calibration_seed": count(parameters.pop("calibration_seed", 0), name="calibration_seed", low=0),
        }
        if prepare != "":
            solvers.get(text(prepare, name="prepare"))
        settings = plain(formulation.settings(parameters))
        known = find_network(text(network, name="network"))
        return cls(formulation.name, known.name, settings, prepare=prepare, **task)

    @classmethod
    def _bare(
        cls, formulation: problems.Problem, network: Any, prepare: Any, parameters: dict[str, Any]
    ) -> InstanceSpec:
        if (network, prepare) != ("", ""):
            raise InputError(f"problem {formulation.name} takes neither network nor prepare; leave them out")
        return cls(formulation.name, "", plain(formulation.settings(parameters)))

    @classmethod
    def from_record(cls, problem: str, network: str, parameters: dict[str, Any]) -> InstanceSpec:
        """The spec that `everything` wrote into a store."""
        return cls.of(problem, **{**parameters, "network": network})

    @property
    def everything(self) -> dict[str, Any]:
        """All parameters in one flat table, as the store keeps them."""
        task = {"calibration": self.calibration, "calibration_seed": self.calibration_seed}
        prepare = {"prepare": self.prepare} if self.prepare else {}
        return {**self.parameters, **(task if self.network else {}), **prepare}

    @property
    def label(self) -> str:
        """All of it in one text; equal specs share it."""
        return canonical(vars(self))

    @property
    def name(self) -> str:
        """Problem, network and what differs from the defaults, for people."""
        formulation = problems.get(self.problem)
        if formulation.file:
            return f"{self.problem}/{Path(self.parameters['file']).name}"
        defaults = {**formulation.defaults, **TASK_KEYS}
        own = [f"{key}={value}" for key, value in self.everything.items() if defaults.get(key, "") != value]
        return "/".join(part for part in (self.problem, self.network, ",".join(own)) if part)

    def task(self) -> Task:
        """The network and its data."""
        if not self.network:
            return problems.bare_task()
        return _kept.get(self._draw) or problems.task_of(
            self.network, calibration=self.calibration, calibration_seed=self.calibration_seed
        )

    def keep_task(self) -> None:
        """Load the task now, for all children that this process will fork; theirs are copies."""
        _kept[self._draw] = self.task()

    @property
    def _draw(self) -> tuple[str, int, int]:
        return self.network, self.calibration, self.calibration_seed

    def key(self, task: Task, *, version: int | None = None) -> str:
        """Content key: formulation and version, parameters, weights, data and draw."""
        formulation = problems.get(self.problem)
        made_by = formulation.version if version is None else version
        content = formulation.content(self.parameters)
        parts = [self.problem, made_by, content, self.prepare, task.identity]
        return hashlib.sha256(canonical(parts).encode()).hexdigest()[:16]

    def judged(self, instance: Instance) -> bool:
        """Whether the cell's own solver answers this stage."""
        return not self.prepare or instance.counted

    def drive(self, task: Task, decide: Callable[[int, Instance], Any]) -> nn.Module:
        """The compressed network when `decide` answers the stages."""
        return problems.drive(problems.get(self.problem), task, self.parameters, decide)

    def measures(self, task: Task, network: nn.Module) -> dict[str, float]:
        """The further metrics of the compressed network, and the figures its formulation gives, by name."""
        found = {name: float(judge(network)) for name, judge in task.also.items()}
        own = problems.get(self.problem).measures
        return found | ({name: float(value) for name, value in own(task, network).items()} if own else {})
