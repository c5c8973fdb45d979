"""Suite: which problems × solvers × seeds under which budget, read from TOML."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from .. import solvers
from ..problems.arrays import count, number
from ..problems.errors import InputError, unknown_name
from ..results import Budget
from ..results.storage.names import unfit
from .spec import COMMAND, MOST_SEEDS, InstanceSpec, SolverSpec, canonical, text

__all__ = ["Outline", "Suite", "load", "outline", "path_of", "refuse_misspelt", "suite_names"]

BUILTIN = Path(__file__).with_name("builtin")

Spec = TypeVar("Spec", InstanceSpec, SolverSpec)


KEYS = (
    "name",
    "description",
    "seconds",
    "restarts",
    "evaluations",
    "seeds",
    "threads",
    "by",
    "problem",
    "solver",
)


@dataclass(frozen=True)
class Suite:
    """Everything that a run measures.

    Attributes:
        name: first part of every seed, so that a copy under another name draws other numbers.
        description: one line.
        instances: problems with all their parameters.
        solvers: solvers with theirs.
        budget: of a cell.
        seeds: replicates of each cell of a solver that has no `seeds` of its own.
        by: problem parameter that the results are tabled over, "" for none.
    """

    name: str
    description: str
    instances: tuple[InstanceSpec, ...]
    solvers: tuple[SolverSpec, ...]
    budget: Budget
    seeds: int = 1
    by: str = ""

    def narrowed(
        self,
        *,
        solver: str | Iterable[str] | None = None,
        problem: str | Iterable[str] | None = None,
        seconds: float | None = None,
        seeds: int | None = None,
    ) -> Suite:
        """The suite with its solvers and instances chosen by globs, one or several, and another budget.

        A registered solver named exactly is added if the suite lacks it.

        Raises:
            InputError: a glob that matches nothing.
        """
        chosen = self.solvers if solver is None else _each(self._matching_solvers, solver)
        instances = self.instances if problem is None else _each(self._matching_instances, problem)
        narrowed = replace(self, solvers=chosen, instances=instances)
        if seconds is not None:
            narrowed = replace(narrowed, budget=replace(self.budget, seconds=_positive(seconds)))
        if seeds is not None:
            every = tuple(replace(one, seeds=None) for one in chosen)
            narrowed = replace(
                narrowed, solvers=every, seeds=count(seeds, name="seeds", low=1, high=MOST_SEEDS)
            )
        return narrowed

    def rounds(self) -> Iterator[tuple[SolverSpec, ...]]:
        """The solvers that have a first replicate, those that have a second one, and so on."""
        seeds = [self.seeds if solver.seeds is None else solver.seeds for solver in self.solvers]
        for seed in range(max(seeds, default=0)):
            yield tuple(one for one, most in zip(self.solvers, seeds, strict=True) if seed < most)

    def on(self, files: Iterable[str | Path], *, format: str = "") -> Suite:  # noqa: A002
        """The suite's solvers and budget on the instances of a user's own files; its name is then "own".

        `format` names theirs where the endings do not.

        Raises:
            InputError: a file that is not there.
        """
        instances = _unique(InstanceSpec.of("qubo", file=str(path), format=format) for path in files)
        description = f"solvers of {self.name} on instances of your own"
        return replace(self, name="own", description=description, instances=instances, by="")

    def _matching_solvers(self, pattern: str) -> tuple[SolverSpec, ...]:
        found = tuple(spec for spec in self.solvers if fnmatchcase(spec.title, pattern))
        if found:
            return found
        if pattern in solvers.names():
            return (SolverSpec(pattern, {}),)
        raise _no_solver(self.name, pattern, solvers.names())

    def _matching_instances(self, pattern: str) -> tuple[InstanceSpec, ...]:
        found = tuple(
            spec
            for spec in self.instances
            if fnmatchcase(spec.problem, pattern) or fnmatchcase(spec.name, pattern)
        )
        if not found:
            raise _no_problem(self.name, pattern, {spec.problem for spec in self.instances})
        return found


def _is_glob(pattern: str) -> bool:
    return any(letter in pattern for letter in "*?[")


def _no_solver(suite: str, pattern: str, known: Iterable[str]) -> InputError:
    if _is_glob(pattern):
        return InputError(f"no solver of suite {suite} matches {pattern!r}; see `qubopress list`")
    return unknown_name("solver", pattern, known, cure=f"there are: {', '.join(sorted(known))}")


def _no_problem(suite: str, pattern: str, has: Iterable[str]) -> InputError:
    told = ", ".join(sorted(has))
    return InputError(f"no problem of suite {suite} matches {pattern!r}; it has: {told}")


def suite_names() -> list[str]:
    """Names of the built-in suites, sorted."""
    return sorted(path.stem for path in BUILTIN.glob("*.toml"))


def load(name: str | Path) -> Suite:
    """A built-in suite by name, or a user's by the path of its TOML file.

    Raises:
        InputError: there is no such suite, or the file is not one; the message names the place.
    """
    path = path_of(str(name))
    content = _content(path)
    try:
        return _parse(content, default_name=path.stem)
    except InputError as error:
        raise InputError(f"suite {path.name}: {error}") from None


@dataclass(frozen=True)
class Outline:
    """What a suite's file says of its size, unchecked: no registry is asked."""

    description: str
    instances: int
    solvers: int


def outline(name: str) -> Outline:
    """The outline of a built-in suite. Raises as `load` does where the file is no TOML."""
    content = _content(path_of(name))
    counts = [
        len({canonical(one) for one in _swept(content, key)}) if content.get(key) else 0
        for key in ("problem", "solver")
    ]
    return Outline(str(content.get("description", "")), *counts)


def refuse_misspelt(
    name: str | Path,
    known: Mapping[str, Collection[str]],
    *,
    solver: Iterable[str] = (),
    problem: Iterable[str] = (),
) -> None:
    """Refuse, as `load` and `narrowed` would, a name that nothing bears, by a suite's text alone.

    No registry is asked, which takes seconds to import. What the text does not tell, such as executables and
    globs of instances, is left to these.

    Parameters:
        name: of the suite, or its file.
        known: names by kind, "solver" and "problem".
        solver, problem: names or globs that choose from it.

    Raises:
        InputError: there is no such suite, solver or problem.
    """
    path = path_of(str(name))
    content = _content(path)
    named = {kind: _names(content.get(kind)) for kind in known}
    for kind, names in known.items():
        for one in named[kind]:
            if one not in names:
                raise InputError(f"suite {path.name}: {_no_such(kind, one, names)}")
    title = str(content.get("name", path.stem))
    for pattern in solver if named["solver"] else ():
        if pattern not in known["solver"] and not any(fnmatchcase(one, pattern) for one in named["solver"]):
            raise _no_solver(title, pattern, known["solver"])
    for pattern in problem if named["problem"] else ():
        # An instance is named by its problem, what stands behind a slash, and more.
        if pattern not in named["problem"] and not _is_glob(pattern) and "/" not in pattern:
            raise _no_problem(title, pattern, set(named["problem"]))


def _no_such(kind: str, name: str, known: Collection[str]) -> InputError:
    return _no_solver("", name, known) if kind == "solver" else unknown_name(kind, name, known)


def _names(tables: Any) -> list[str]:
    """The names in a suite's tables, none where they are not texts alone."""
    found: list[Any] = []
    for table in tables if isinstance(tables, list) else ():
        if not isinstance(table, dict) or COMMAND in table:
            return []
        value = table.get("name")
        found += value if isinstance(value, list) else [value]
    return found if all(isinstance(one, str) for one in found) else []


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read suite {path}: {error}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path} must be TOML: {error}") from None


def path_of(name: str) -> Path:
    """The file of a suite by name or path; InputError where there is none."""
    if name.endswith(".toml") or "/" in name:
        if not Path(name).is_file():
            raise InputError(f"no suite file at {name}; see `qubopress list` for the built-in ones")
        return Path(name)
    if name in suite_names():
        return BUILTIN / f"{name}.toml"
    raise unknown_name("suite", name, suite_names(), cure=f"there are: {', '.join(suite_names())}")


def _parse(content: dict[str, Any], *, default_name: str) -> Suite:
    unknown = sorted(content.keys() - set(KEYS))
    if unknown:
        raise InputError(f"unknown key {unknown[0]!r}; a suite has: {', '.join(sorted(KEYS))}")
    if "seconds" not in content:
        raise InputError("seconds must be given: the budget of a cell")
    suite = Suite(
        name=_named(text(content.get("name", default_name), name="name")),
        description=text(content.get("description", ""), name="description"),
        instances=_unique(InstanceSpec.of(one.pop("name"), **one) for one in _swept(content, "problem")),
        solvers=_unique(SolverSpec.of(one.pop("name", ""), **one) for one in _swept(content, "solver")),
        budget=_budget(content),
        seeds=count(content.get("seeds", 1), name="seeds", low=1, high=MOST_SEEDS),
        by=text(content.get("by", ""), name="by"),
    )
    if suite.by and not any(suite.by in spec.everything for spec in suite.instances):
        raise InputError(f"by must be a parameter of a problem, got {suite.by!r}")
    return suite


def _named(name: str) -> str:
    """A suite's name, under which its results may be published in a folder."""
    if fault := unfit(name):
        raise InputError(f"the name of a suite {fault}; set name = in the file")
    return name


def _budget(content: dict[str, Any]) -> Budget:
    return Budget(
        _positive(content["seconds"]),
        _optional(content, "restarts"),
        _optional(content, "evaluations"),
        count(content.get("threads", 1), name="threads", low=1),
    )


def _tables(content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    tables = content.get(key)
    if (
        not isinstance(tables, list)
        or not tables
        or not all(isinstance(one, dict) and _is_named(key, one) for one in tables)
    ):
        other = " or a command" if key == "solver" else ""
        raise InputError(f"a suite needs [[{key}]] tables, each with a name{other}")
    return tables


def _is_named(key: str, table: dict[str, Any]) -> bool:
    """Whether a table says what it is about; an executable has a name without being given one."""
    return "name" in table or (key == "solver" and COMMAND in table)


def _positive(seconds: Any) -> float:
    value = number(seconds, name="seconds")
    if value <= 0:
        raise InputError(f"seconds must be positive, got {seconds}")
    return value


def _optional(content: dict[str, Any], key: str) -> int | None:
    return count(content[key], name=key, low=1) if key in content else None


def _swept(content: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    """Every combination of each table whose lists are sweeps."""
    for table in _tables(content, key):
        choices = {name: value if isinstance(value, list) else [value] for name, value in table.items()}
        empty = next((name for name, values in choices.items() if not values), None)
        if empty is not None:
            raise InputError(f"{empty} must sweep at least one value, got an empty list")
        for values in itertools.product(*choices.values()):
            yield dict(zip(choices, values, strict=True))


def _each(matching: Callable[[str], tuple[Spec, ...]], globs: str | Iterable[str]) -> tuple[Spec, ...]:
    """What each of the globs matches, in their order."""
    patterns = [globs] if isinstance(globs, str) else globs
    return _unique(spec for pattern in patterns for spec in matching(pattern))


def _unique(specs: Iterable[Spec]) -> tuple[Spec, ...]:
    """The specs in their order; sweeps that overlap name some twice."""
    return tuple({spec.label: spec for spec in specs}.values())
