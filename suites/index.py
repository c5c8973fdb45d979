"""What the package registers, read from its source: names, families, shapes and first lines.

The registries import torch, numba and OR-Tools, which takes seconds. Here each file that registers something
is parsed and nothing is imported; the tests hold what is found against the registries.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from ..problems.errors import unknown_name
from .plugin_files import GROUPS

__all__ = ["Named", "problems", "refuse_misspelt", "refuse_unknown", "solvers"]

ROOT = Path(__file__).resolve().parents[1]

SIGNS = ("@solver(", "@problem(", "@pruning(")
"""How a file begins a line in which it registers something."""

FAMILIES = {"pruning": "pruning"}
"""The family that a decorator implies."""


@dataclass(frozen=True)
class Named:
    """One registered thing.

    Attributes:
        name: as suites spell it.
        of: the shapes that a solver accepts, the family of a problem.
        what: first line of its docstring.
    """

    name: str
    of: str
    what: str


def solvers() -> list[Named]:
    """The solvers of this package, by name."""
    return _named("solvers", {"solver"})


def problems() -> list[Named]:
    """The problems of this package, by name."""
    return _named("problems", {"problem", "pruning"})


def refuse_unknown(kind: str, name: str, known: Iterable[Named], *, plugins: str, cure: str = "") -> None:
    """InputError for a name that nothing registers, at once where no plug-in can register it either."""
    names = [one.name for one in known]
    if name not in names and not _others(plugins):
        raise unknown_name(kind, name, names, cure=cure)


def refuse_misspelt(
    suite: str,
    *,
    solver: Iterable[str] | None = None,
    problem: Iterable[str] | None = None,
    plugins: str = "",
) -> None:
    """InputError for a suite that there is none of, and for a name in or for one that no plug-in can bear."""
    from . import suite as suites_own  # imports numpy

    suites_own.path_of(suite)
    if not _others(plugins):
        known = {"problem": {one.name for one in problems()}, "solver": {one.name for one in solvers()}}
        suites_own.refuse_misspelt(suite, known, solver=solver or (), problem=problem or ())


def _others(folder: str) -> bool:
    """Whether plug-ins may register more."""
    return bool(folder) or any(entry_points(group=group) for group in GROUPS)


def _named(package: str, decorators: set[str]) -> list[Named]:
    found = [one for path in sorted((ROOT / package).rglob("*.py")) for one in _of_file(path, decorators)]
    return sorted(found, key=lambda one: one.name)


def _of_file(path: Path, decorators: set[str]) -> Iterator[Named]:
    text = path.read_text(encoding="utf-8")
    if not any(f"\n{sign}" in text for sign in SIGNS):
        return
    for function in ast.parse(text).body:
        for call in getattr(function, "decorator_list", ()):
            name = getattr(getattr(call, "func", None), "id", "")
            if isinstance(function, ast.FunctionDef) and name in decorators:
                what = (ast.get_docstring(function) or "").split("\n")[0]
                yield Named(ast.literal_eval(call.args[0]), _of(call, name), what)


def _of(call: ast.Call, decorator: str) -> str:
    """The shapes or the family that a decorator names."""
    given = {one.arg: one.value for one in call.keywords}
    accepts = given.get("accepts")
    if accepts is None:
        return FAMILIES.get(decorator) or str(ast.literal_eval(given["family"]))
    shapes = accepts.elts if isinstance(accepts, ast.Tuple) else [accepts]
    return ", ".join(ast.unparse(shape) for shape in shapes)
