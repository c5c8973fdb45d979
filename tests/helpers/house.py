"""The rules of the house, each a function of a root folder that lists offences in words.

Files are read and never imported, so that a rule can be tried on a copy with an offence planted in it.
"""

from __future__ import annotations

import ast
import functools
import subprocess
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Rule = Callable[[Path], list[str]]

REACHES: dict[str, set[str]] = {
    "results": set(),
    "problems": set(),
    "solvers": {"problems"},
    "suites": {"results", "solvers", "problems"},
}
"""Which of the other packages each may import."""

ORDER = {
    "problems": (
        "errors moved lazy packages threads memory",
        "arrays checksums groups registering selection surgery",
        "instances datasets",
        "formats networks",
        "layers",
        "tasks",
        "own",
        "cache registry",
        "quantization pruning without_network",
        "analog",
        "__init__",
    ),
    "solvers": (
        "run registry status traces compiled",
        "solution devices convex_shifts",
        "qubo",
        "rounding capacity black_box",
        "exact adapters",
        "solving",
        "dimod_bridge",
        "__init__",
    ),
    "suites": (
        "plugin_files executable",
        "spec plugins network_costs",
        "suite compressing exporting finished",
        "harness loading index",
        "conformance verification regression terminal",
        "compression",
        "exchange extending experiments publishing",
        "cli",
        "__init__",
        "asv",
    ),
    "results": ("storage markdown", "scoring", "page commits", "__init__"),
}
"""Folders and root modules of a package; each imports from lines above its own alone."""

CALL_A_SOLVER_WHOLE = {"solvers/capacity/field_search.py", "solvers/qubo/neal_penalty.py"}
"""Solvers that are another solver under a field or a penalty."""

STARTED_BY_NAME = {
    "solvers/exact/highs_process.py",
    "solvers/qubo/foreign/example.py",
}
"""Scripts that a solver starts as a process."""

MOST_FILES = 20

DATA = ("docs", "findings", "results/data", "problems/weights")
"""Folders that grow with what is shown and measured: pages, finds, published results, networks' weights."""


# ---- solvers


@dataclass(frozen=True)
class Registration:
    """What `@solver(...)` says, and in which file."""

    name: str
    file: str
    accepts: frozenset[str]
    exact: bool

    @property
    def folder(self) -> str:
        """Where the registration says that the solver stands."""
        alone = {"Rounding": "rounding", "Capacity": "capacity", "BlackBox": "black_box"}
        if len(self.accepts) == 1 and not self.accepts <= {"Qubo"}:
            return alone[min(self.accepts)]
        if "Qubo" not in self.accepts:
            return "a folder of its own"
        return "exact" if self.exact else "qubo"


def registrations(root: Path) -> list[Registration]:
    """Every solver that a file of solvers/ registers, by its decorator."""
    found = []
    for path in modules(root, "solvers"):
        for node in ast.walk(_parsed(path)):
            for one in node.decorator_list if isinstance(node, ast.FunctionDef) else []:
                if isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == "solver":
                    found.append(_registration(_place(root, path), one))
    return found


def _registration(file: str, call: ast.Call) -> Registration:
    given = {one.arg: one.value for one in call.keywords}
    shapes = {node.id for node in ast.walk(given["accepts"]) if isinstance(node, ast.Name)}
    exact = "exact" in given and bool(ast.literal_eval(given["exact"]))
    return Registration(ast.literal_eval(call.args[0]), file, frozenset(shapes), exact)


def misplaced_solvers(root: Path) -> list[str]:
    """Solvers that stand elsewhere than their registration says."""
    return [
        f"{one.file} registers {one.name}, which belongs in solvers/{one.folder}"
        for one in registrations(root)
        if Path("solvers", one.folder) not in Path(one.file).parents
    ]


def solvers_that_lend(root: Path) -> list[str]:
    """Imports out of a file that registers a solver, but by the package and by what calls a solver whole."""
    registered = {one.file for one in registrations(root)}
    return [
        f"{file}:{line} imports from {target}, which registers a solver"
        for path in modules(root, "solvers")
        for line, target in imports(root, path)
        if target in registered
        and (file := _place(root, path)) != target
        and path.name != "__init__.py"
        and file not in CALL_A_SOLVER_WHOLE
    ]


def pieces_that_nobody_shares(root: Path) -> list[str]:
    """Files of the solvers' folders that register no solver and that no other file imports."""
    used = {one.file for one in registrations(root)} | STARTED_BY_NAME
    for path in modules(root, "solvers"):
        used |= {target for _, target in imports(root, path) if target != _place(root, path)}
    return [
        f"{file} registers no solver and nothing imports it"
        for path in modules(root, "solvers")
        if path.parent.name != "solvers" and path.name != "__init__.py"
        if (file := _place(root, path)) not in used
    ]


# ---- imports


def packages_out_of_order(root: Path) -> list[str]:
    """Imports of a package that the importing one must not know."""
    return [
        f"{_place(root, path)}:{line} imports {package}, which {floor} must not know"
        for floor, reached in REACHES.items()
        for path in modules(root, floor)
        for line, target in imports(root, path)
        if (package := target.split("/")[0]) not in {floor, *reached}
    ]


def folders_out_of_order(root: Path) -> list[str]:
    """Imports that run up the order of folders, and folders that have no place in it."""
    found = []
    for floor, lines in ORDER.items():
        rank = {name: i for i, line in enumerate(lines) for name in line.split()}
        for path in modules(root, floor):
            here = _folder(_place(root, path))
            if here not in rank:
                found.append(f"{_place(root, path)}: {here} has no place in the order of {floor}")
                continue
            for line, target in imports(root, path):
                there = _folder(target) if target.startswith(f"{floor}/") else here
                if here != there and rank.get(there, -1) >= rank[here]:
                    found.append(f"{_place(root, path)}:{line} imports {there}, which {here} stands below")
    return found


def modules_with_a_handed_on_name(root: Path) -> list[str]:
    """Modules and folders that bear a name which the package they stand in hands on."""
    return [
        f"{_place(root, init.parent)} hands on {name} and has a module of that name"
        for floor in REACHES
        for init in modules(root, floor)
        if init.name == "__init__.py"
        for name in sorted(_handed_on(init))
        if _module(init.parent / name) is not None
    ]


def _handed_on(init: Path) -> set[str]:
    """Names in `__all__`, and names that come out of the package's own files."""
    found = set()
    for node in ast.walk(_parsed(init)):
        if isinstance(node, ast.Assign) and any(getattr(one, "id", "") == "__all__" for one in node.targets):
            found |= set(ast.literal_eval(node.value))
        if isinstance(node, ast.ImportFrom) and node.level == 1 and _is_file(init.parent, node.module or ""):
            found |= {one.asname or one.name for one in node.names}
    return found


def _is_file(folder: Path, dotted: str) -> bool:
    return folder.joinpath(*dotted.split(".")).with_suffix(".py").is_file() if dotted else False


# ---- tests and folders


def tests_out_of_place(root: Path) -> list[str]:
    """Tests whose folder mirrors none of the sources, or that bear the name of a module of another folder."""
    found = []
    for path in sorted((root / "tests").rglob("test_*.py")):
        folder = path.parent.relative_to(root / "tests")
        if not (root / folder).is_dir():
            found.append(f"{_place(root, path)}: there is no folder {folder} to mirror")
        elif homes := _homes(root, folder, path.stem.removeprefix("test_")):
            found.append(f"{_place(root, path)} is about {homes[0]}")
    return found


def _homes(root: Path, folder: Path, name: str) -> list[str]:
    """Modules of that name elsewhere in the package; none where one stands in the mirrored folder."""
    if folder == Path(".") or _module(root / folder / name) is not None:
        return []
    there = (path for path in modules(root, folder.parts[0]) if path.stem == name)
    return [_place(root, path) for path in there]


def helpers_off_the_path(root: Path) -> list[str]:
    """Whether pytest puts tests/helpers, and nothing else, on the path."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    path = settings["tool"]["pytest"]["ini_options"].get("pythonpath", [])
    return [] if path == ["tests/helpers"] else [f"pytest's pythonpath must be tests/helpers, got {path}"]


def crowded_folders(root: Path) -> list[str]:
    """Folders with more tracked files than a reader takes in, but for those of data."""
    told = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout
    files = Counter(Path(line).parent for line in told.splitlines())
    return [
        f"{folder} has {count} files, at most {MOST_FILES} are allowed"
        for folder, count in sorted(files.items())
        if count > MOST_FILES and not any(folder.is_relative_to(data) for data in DATA)
    ]


# ---- reading the files


def modules(root: Path, floor: str) -> list[Path]:
    """The Python files of a package."""
    return sorted((root / floor).rglob("*.py"))


def imports(root: Path, path: Path) -> Iterator[tuple[int, str]]:
    """Line and file of everything of ours that a file imports, in functions and for type checkers as well."""
    package = path.relative_to(root).parent.parts
    for line, target in _imported(path.read_text(encoding="utf-8"), package):
        yield line, _file(root, target)


@functools.cache
def _imported(text: str, package: tuple[str, ...]) -> list[tuple[int, tuple[str, ...]]]:
    """Line and dotted name of everything of ours that a text imports."""
    found = [(node, _targets(node, package)) for node in ast.walk(_parse(text))]
    return [(node.lineno, target) for node, targets in found for target in targets]  # type: ignore[attr-defined]


def _targets(node: ast.AST, package: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Dotted names below qubopress that a statement imports."""
    if isinstance(node, ast.Import):
        names = [one.name.split(".") for one in node.names]
        return [tuple(parts[1:]) for parts in names if parts[0] == "qubopress" and parts[1:]]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = tuple((node.module or "").split(".")) if node.module else ()
    if node.level:
        base = (*package[: len(package) + 1 - node.level], *base)
    elif base[:1] == ("qubopress",):
        base = base[1:]
    else:
        return []
    return [(*base, one.name) for one in node.names]


def _file(root: Path, target: tuple[str, ...]) -> str:
    """The file that a dotted name leads to; the name itself where the file is not in this copy."""
    for end in range(len(target), 0, -1):
        found = _module(root.joinpath(*target[:end]))
        if found is not None:
            return _place(root, found)
    return "/".join(target)


def _module(stem: Path) -> Path | None:
    files = (stem.with_suffix(".py"), stem / "__init__.py")
    return next((path for path in files if path.exists()), None)


def _folder(place: str) -> str:
    """The folder inside a package in which a file stands, or the file's own name at the package's root."""
    return Path(place).parts[1].removesuffix(".py")


def _place(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _parsed(path: Path) -> ast.Module:
    return _parse(path.read_text(encoding="utf-8"))


_parse = functools.cache(ast.parse)
