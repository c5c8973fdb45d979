"""The registry of problems: generators that yield instances, are sent solutions and end in a network."""

from __future__ import annotations

import functools
import hashlib
import inspect
import itertools
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from torch import nn

from .arrays import Bits
from .errors import InputError, MissingDataError, unknown_name
from .instances.instance import Instance
from .registering import import_registering, registering
from .tasks.task import Task

__all__ = ["Generate", "Problem", "drive", "get", "names", "problem"]

Generate: TypeAlias = Callable[..., Generator[Instance, Bits, nn.Module]]
Measures: TypeAlias = Callable[[Task, nn.Module], dict[str, float]]


@dataclass(frozen=True)
class Problem:
    """A registered formulation.

    Attributes:
        name: as suites and records spell it.
        family: board it is ranked on: rounding, pruning, analog, or an outsider's own.
        generate: generator function of (task, **parameters).
        version: part of every instance's identity; raised when the same parameters give other instances.
        defaults: its parameters and their default values.
        network: whether it compresses a network; one that does not is given a task without any.
        file: whether it reads a file: its parameters `file`, a path, and `sha256`, the content's checksum.
        measures: figures of the compressed network, by name, that records hold beside the task's metric.
        later: parameters that it was given after instances had been kept, each with the value at which all is
            as before; at that value they are no part of an instance's identity.
        requires: the packages that it imports and no other, each with the module of it; their versions are
            part of its cells' keys.
    """

    name: str
    family: str
    generate: Generate
    version: int
    defaults: dict[str, Any]
    network: bool = True
    file: bool = False
    measures: Measures | None = None
    later: Mapping[str, Any] = field(default_factory=dict)
    requires: Mapping[str, str] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """First line of the formulation's docstring."""
        return (inspect.getdoc(self.generate) or "").split("\n")[0]

    def settings(self, given: dict[str, Any]) -> dict[str, Any]:
        """All parameters, those given over the defaults; of a file also where it is and its checksum.

        Raises:
            InputError: a name that the formulation does not have, or a file of other content.
            MissingDataError: there is no such file.
        """
        for name in given:
            if name not in self.defaults:
                raise unknown_name(f"parameter of {self.name}", name, self.defaults)
        chosen = {**self.defaults, **given}
        return _located(chosen) if self.file else chosen

    def content(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters that say what the instances are; where a file lies does not."""
        silent = {name for name, value in self.later.items() if parameters.get(name) == value}
        silent |= {"file"} if self.file else set()
        return {name: value for name, value in parameters.items() if name not in silent}


SIGNS = ("@problem(", "@pruning(")
"""How a file begins a line in which it registers something."""

_REGISTRY: dict[str, Problem] = {}

_OURS: dict[str, Problem] = {}
"""Those that this package brings."""


@functools.cache
def _import_ours() -> None:
    """Import every file of this package that registers something; it takes seconds, so not before it must."""
    import_registering(str(__package__), __file__, SIGNS)
    _REGISTRY.update({name: one for name, one in _OURS.items() if name not in _REGISTRY})


def _all() -> dict[str, Problem]:
    """The registry with what the package brings, which is imported when it is first asked for."""
    _import_ours()
    if _REGISTRY.keys().isdisjoint(_OURS):
        _REGISTRY.update(_OURS)
    return _REGISTRY


def problem(
    name: str,
    *,
    family: str = "custom",
    version: int = 1,
    network: bool = True,
    file: bool = False,
    measures: Measures | None = None,
    later: Mapping[str, Any] | None = None,
    requires: Mapping[str, str] | None = None,
) -> Callable[[Generate], Generate]:
    """Register a generator function of (task, **parameters) as a formulation.

    It yields one instance after another, is sent the solution of each, and returns the compressed network.
    One that needs no `network` returns `task.copy()`; one that reads a `file` has the parameters `file` and
    `sha256`. What `measures` says of the network that it ends in, such as its size, stands in the record. A
    parameter added `later`, with the value that changes nothing, leaves the instances that there were. What
    it `requires` beside numpy, scipy, torch, numba and dimod it names as a solver does.

    Raises:
        InputError: the name is taken, or a parameter has no default.
    """

    @registering
    def register(generate: Generate) -> Generate:
        ours = generate.__module__.startswith(f"{__package__}.")
        if name in (_REGISTRY if ours else _all()):
            raise InputError(f"a problem named {name!r} is registered already; choose another name")
        defaults = _defaults(generate)
        _REGISTRY[name] = Problem(
            name,
            family,
            generate,
            version,
            defaults,
            network,
            file,
            measures,
            later or {},
            requires or {},
        )
        if ours:
            _OURS[name] = _REGISTRY[name]
        return generate

    return register


def _defaults(generate: Generate) -> dict[str, Any]:
    if not inspect.isgeneratorfunction(generate):
        raise InputError("a problem must be a generator function: yield instances, return the network")
    arguments = list(inspect.signature(generate).parameters.values())
    if not arguments:
        raise InputError("a problem must take the task first; write def mine(task, *, ...)")
    for argument in arguments[1:]:
        if argument.default is inspect.Parameter.empty:
            raise InputError(
                f"parameter {argument.name!r} must have a default; the problem runs without it too"
            )
    return {argument.name: argument.default for argument in arguments[1:]}


def names() -> list[str]:
    """Names of all registered problems, sorted."""
    return sorted(_all())


def get(name: str) -> Problem:
    """The problem of that name.

    Raises:
        InputError: there is none; the message names the closest.
    """
    known = _all()
    if name not in known:
        raise unknown_name("problem", name, known)
    return known[name]


def drive(
    problem: Problem, task: Task, parameters: dict[str, Any], decide: Callable[[int, Instance], Any]
) -> nn.Module:
    """The network that a formulation ends in when `decide` answers its instances, one stage after another.

    Parameters:
        problem: the formulation.
        task: what it compresses.
        parameters: those that differ from the defaults.
        decide: solution of an instance, given the number of its stage, from 0 on, and the instance.

    Raises:
        InputError: an unknown parameter, what is no solution of its instance, or an end without a network.
    """
    stages = problem.generate(task, **problem.settings(parameters))
    answer: Any = None  # what a generator that has not begun must be sent
    for stage in itertools.count():
        instance: Any  # a stranger's may be anything
        try:
            instance = stages.send(answer)
        except StopIteration as end:
            return _network(problem, end.value)
        if not isinstance(instance, Instance):
            kind = type(instance).__name__
            raise InputError(f"{problem.name} must yield an instance such as problems.Qubo, got a {kind}")
        answer = instance.bits(decide(stage, instance))
        del instance  # its arrays may be large, and the next one's are made now
    raise AssertionError("the loop ends by return")


def _network(problem: Problem, end: object) -> nn.Module:
    if not isinstance(end, nn.Module):
        raise InputError(f"{problem.name} must return a torch module, got {type(end).__name__}")
    return end


# ---- files


def _located(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters with the whole path of their `file` and the `sha256` of its content.

    Raises:
        MissingDataError: there is no such file.
        InputError: none is named, it cannot be read, or its content is not what `sha256` says.
    """
    path, expected = parameters["file"], parameters["sha256"]
    if not isinstance(path, str) or not path:
        raise InputError(f"file must be the path of an instance, got {path!r}")
    place = Path(path).resolve()
    found = _checksum(place)
    if expected not in ("", found):
        raise InputError(f"{place} must have the sha256 {expected}, got {found}; name the right file")
    return {**parameters, "file": str(place), "sha256": found}


def _checksum(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        MissingDataError: there is no such file.
        InputError: it cannot be read.
    """
    if not Path(path).is_file():
        raise MissingDataError(f"no instance file at {path}; name one that exists")
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} must be readable, got: {error.strerror}") from None
