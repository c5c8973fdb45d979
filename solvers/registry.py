"""The registry of solvers: what each accepts, its parameters and their ranges, its limits, its source."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from ..problems import SHAPES, Capacity, InputError, Instance, Qubo
from ..problems import registry as formulations
from ..problems.arrays import chosen
from ..problems.errors import unknown_name
from ..problems.packages import installed
from ..problems.registering import import_registering, registering

__all__ = ["Choice", "Entry", "Parameter", "Range", "get", "names", "solver"]

Search = TypeVar("Search", bound=Callable[..., None])


@dataclass(frozen=True)
class Range:
    """Allowed span of a number, both ends included; `log` tells a tuner to search magnitudes."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Choice:
    """Allowed values."""

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        object.__setattr__(self, "values", values)


@dataclass(frozen=True)
class Parameter:
    """One tunable of a solver: its default, its type and what values it may take."""

    name: str
    default: Any
    kind: type
    allowed: Range | Choice | None

    def check(self, value: Any) -> Any:
        """`value` converted to the parameter's type and inside its range.

        Raises:
            InputError: another type or outside the range.
        """
        if isinstance(value, np.generic):
            value = value.item()
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, self.kind) or (self.kind is not bool and isinstance(value, bool)):
            raise InputError(f"{self.name} must be of type {self.kind.__name__}, got {value!r}")
        return self._inside(value)

    def takes(self, value: Any) -> bool:
        """Whether it may have this value."""
        try:
            self.check(value)
        except InputError:
            return False
        return True

    def _inside(self, value: Any) -> Any:
        if isinstance(self.allowed, Range) and not self.allowed.low <= value <= self.allowed.high:
            span = f"[{self.allowed.low:g}, {self.allowed.high:g}]"
            raise InputError(f"{self.name} must lie in {span}, got {value!r}")
        if isinstance(self.allowed, Choice) and value not in self.allowed.values:
            raise InputError(f"{self.name} must be one of {self.allowed.values}, got {value!r}")
        return value


@dataclass(frozen=True)
class Entry:
    """A registered solver.

    Attributes:
        name: as the command line and the records spell it.
        search: function of (instance, run, **parameters).
        accepts: shapes of instance it searches itself; others reach it through an adapter.
        reference: the paper it follows, author and year.
        exact: whether it can prove its result optimal.
        anytime: whether its path does not depend on the budget, so a trace may be cut afterwards.
        max_variables: size it declines to go beyond, None without one.
        max_couplings: pairs of variables with a coefficient that it declines to go beyond, None without one.
        capacity: how Σx = K reaches a solver of Qubos, by the "field-search" or as a "penalty"; Σc·x ≤ K
            takes the field search always.
        groups: whether it takes layers whose neurons have a step for each group of inputs; one that does not
            meets them neuron by neuron.
        counts: the unit of its own work, a name under which it tallies: flips, sweeps, nodes.
        requires: the packages that its search imports and nobody else, each with the module of it. Their
            versions are part of its cells' keys; the modules, where one is named, are loaded before a cell's
            clock runs.
        parameters: its tunables by name.
    """

    name: str
    search: Callable[..., None]
    accepts: tuple[type, ...]
    reference: str = ""
    exact: bool = False
    anytime: bool = True
    max_variables: int | None = None
    max_couplings: int | None = None
    capacity: str = "field-search"
    groups: bool = False
    counts: str = "restarts"
    requires: Mapping[str, str] = field(default_factory=dict)
    parameters: MappingProxyType[str, Parameter] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def summary(self) -> str:
        """First line of the solver's docstring."""
        return (inspect.getdoc(self.search) or "").split("\n")[0]

    def unit(self, instance: Instance) -> str:
        """What its work on an instance is counted in: a black box's own evaluations, else what it tallies."""
        return "evaluations" if instance.counted else self.counts

    def settings(self, given: dict[str, Any]) -> dict[str, Any]:
        """Checked values of the parameters given.

        Raises:
            InputError: a name the solver does not have, or a value outside its range.
        """
        for name in given:
            if name not in self.parameters:
                has = ", ".join(self.parameters) or "none"
                raise InputError(f"{self.name} has no parameter {name!r}; it has: {has}")
        return {name: self.parameters[name].check(value) for name, value in given.items()}

    def versions(self) -> dict[str, str]:
        """Version of each package that it requires, "" where that is not installed."""
        return {name: installed(name) for name in self.requires}

    def refuses(self, instance: Instance) -> str | None:
        """Why the solver declines an instance of this size, or any here, None if it does not."""
        absent = [name for name, found in self.versions().items() if not found]
        if absent:
            return f"{self.name} needs {' and '.join(absent)}; pip install {' '.join(absent)}"
        size = instance.largest_part
        if self.max_variables is not None and size > self.max_variables:
            return f"{self.name} takes at most {self.max_variables} variables, got {size}"
        if self.max_couplings is not None and instance.coupled_pairs > self.max_couplings:
            return f"{self.name} takes at most {self.max_couplings} couplings, got {instance.coupled_pairs}"
        return None


SIGNS = ("@solver(",)
"""How a file begins a line in which it registers something."""

_REGISTRY: dict[str, Entry] = {}

_OURS: dict[str, Entry] = {}
"""Those that this package brings."""


@functools.cache
def _import_ours() -> None:
    """Import every file of this package that registers something; it takes seconds, so not before it must."""
    import_registering(str(__package__), __file__, SIGNS)
    formulations.names()  # the warm server then has both before it forks
    _REGISTRY.update({name: one for name, one in _OURS.items() if name not in _REGISTRY})


def _all() -> dict[str, Entry]:
    """The registry with what the package brings, which is imported when it is first asked for."""
    _import_ours()
    if _REGISTRY.keys().isdisjoint(_OURS):
        _REGISTRY.update(_OURS)
    return _REGISTRY


def solver(
    name: str,
    *,
    accepts: type | Iterable[type],
    reference: str = "",
    exact: bool = False,
    anytime: bool = True,
    max_variables: int | None = None,
    max_couplings: int | None = None,
    capacity: str = "field-search",
    groups: bool = False,
    counts: str = "restarts",
    requires: Mapping[str, str] | None = None,
) -> Callable[[Search], Search]:
    """Register a function of (instance, run, **parameters) as a solver.

    Keyword-only arguments are its parameters; `Annotated[int, Range(1, 100)]` gives one its range.
    `capacity` says how Σx = K reaches a solver of Qubos: by the "field-search", or as a "penalty"; `groups`
    that it takes layers whose neurons have a step for each group of inputs. `counts` is the name under which
    it tallies its own work, such as "flips", which is remembered beside every improvement. A search that
    imports more than numpy, scipy, torch, numba and dimod names it,
    `requires={"ortools": "ortools.sat.python.cp_model"}`: package and module.

    Raises:
        InputError: the name is taken, a shape is none of ours, a parameter has no default, or a penalty is
            asked for by a solver that takes no Qubo or takes a Capacity itself.
    """
    shapes = (accepts,) if isinstance(accepts, type) else tuple(accepts)

    @registering
    def register(search: Search) -> Search:
        _check(name, shapes, capacity)
        ours = search.__module__.startswith(f"{__package__}.")
        if name in (_REGISTRY if ours else _all()):
            raise InputError(f"a solver named {name!r} is registered already; choose another name")
        _REGISTRY[name] = Entry(
            name,
            search,
            shapes,
            reference,
            exact,
            anytime,
            max_variables,
            max_couplings,
            capacity,
            groups,
            counts,
            dict(requires or {}),
            _parameters(search),
        )
        if ours:
            _OURS[name] = _REGISTRY[name]
        return search

    return register


def _check(name: str, shapes: tuple[type, ...], capacity: str) -> None:
    for shape in shapes:
        if shape not in SHAPES.values():
            raise InputError(f"accepts must name Qubo, Capacity, Rounding or BlackBox, got {shape!r}")

    chosen(capacity, ("field-search", "penalty"), name="capacity")
    if capacity == "penalty" and (Qubo not in shapes or Capacity in shapes):
        raise InputError(f"capacity='penalty' must come with a solver of Qubos alone, got {name!r}; drop it")


def _parameters(search: Callable[..., None]) -> MappingProxyType[str, Parameter]:
    hints = get_type_hints(search, include_extras=True)
    found = {}
    for name, argument in inspect.signature(search).parameters.items():
        if argument.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if argument.default is inspect.Parameter.empty:
            raise InputError(f"parameter {name!r} needs a default, so that the solver runs without it")
        found[name] = _parameter(name, argument.default, hints.get(name, type(argument.default)))
    return MappingProxyType(found)


def _parameter(name: str, default: Any, hint: Any) -> Parameter:
    if get_origin(hint) is Annotated:
        kind, *notes = get_args(hint)
        return Parameter(name, default, kind, notes[0])
    return Parameter(name, default, hint if isinstance(hint, type) else type(default), None)


def names() -> list[str]:
    """Names of all registered solvers, sorted."""
    return sorted(_all())


def get(name: str) -> Entry:
    """The solver of that name.

    Raises:
        InputError: there is none; the message names the closest.
    """
    known = _all()
    if name not in known:
        raise unknown_name("solver", name, known, cure=f"there are: {', '.join(names())}")
    return known[name]
