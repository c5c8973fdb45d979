"""Plug-ins: solvers and problems from a folder of Python files or from entry points."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from .. import problems, solvers
from ..problems import InputError
from ..problems.errors import one_line
from ..problems.registering import one_by_one
from .plugin_files import GROUPS, hash_of

__all__ = [
    "TRACEBACK",
    "check_folder",
    "fault_of",
    "find_entry_points",
    "load_entry_points",
    "load_folder",
    "load_place",
    "place_of",
    "source_of",
]

PREFIX = "qubopress_plugin_"
"""Names of the modules that files of a folder become begin so."""

OURS = ("qubopress.solvers.", "qubopress.problems.")

TRACEBACK = "QUBOPRESS_TRACEBACK"
"""A variable of the environment; where it is set, an error is written to stderr with its whole traceback."""

_sources: dict[Callable[..., Any], str] = {}
"""Hash of the files that a plug-in's function came with."""


def check_folder(folder: str) -> None:
    """InputError where a folder of plug-ins is named and there is none."""
    if folder and not Path(folder).is_dir():
        raise InputError(f"no plug-in folder at {folder}; name a folder of Python files")


def load_folder(folder: str) -> None:
    """Import every Python file of a folder once; "" for none. A broken one is a warning, never a silence.

    Tests, test_*.py, stay out.

    Raises:
        InputError: there is no such folder.
    """
    if not folder:
        return
    check_folder(folder)
    for path in sorted(Path(folder).resolve().glob("*.py")):
        if not path.name.startswith("test_"):
            _load_file(path)


def _load_file(path: Path) -> None:
    # The path is part of the name, so that two folders may hold files of one name.
    name = f"{PREFIX}{path.stem}_{_hash(str(path).encode())[:8]}"
    if name not in sys.modules:
        before = _registered()
        _guarded(f"plug-in {path}", partial(_import, name, path))
        _attribute(_registered() - before, path, path.parent)


def place_of(function: Callable[..., Any]) -> str:
    """Where another process finds a plug-in's function alone, a file or a module; "" for one of ours."""
    if source_of(function) in ("", None):
        return ""
    module = function.__module__
    return str(sys.modules[module].__file__) if module.startswith(PREFIX) else module


def load_place(place: str) -> None:
    """Import the file or the module that `place_of` named, and no other plug-in."""
    if place.endswith(".py"):
        _load_file(Path(place))
    elif place:
        importlib.import_module(place)
        _attribute_module({one for one in _registered() - _sources.keys() if one.__module__ == place})


def find_entry_points() -> tuple[EntryPoint, ...]:
    """The plug-ins of installed packages, not imported. Reading all packages' metadata takes 10 ms."""
    return tuple(point for group in GROUPS for point in entry_points(group=group))


def load_entry_points(found: Iterable[EntryPoint] | None = None) -> None:
    """Import the plug-ins of installed packages, or those found already. A broken one is a warning."""
    for point in find_entry_points() if found is None else found:
        _guarded(f"plug-in {point.value}", point.load)
        for function in _registered() - _sources.keys():
            if _is_of(function, point):
                _attribute_module({function})


def source_of(function: Callable[..., Any]) -> str | None:
    """Hash of the plug-in file that registered a solver's or a problem's function, and of its own imports.

    "" for one of this package, whose code has a hash of its own; None for one that no file brought, so that
    other processes cannot have it.
    """
    module = function.__module__
    if module.startswith(OURS) and getattr(sys.modules[module], function.__name__, None) is function:
        return ""
    return _sources.get(function)


def fault_of(error: BaseException) -> str:
    """What went wrong, in one line, with the line of the plug-in at which it did if it was in one."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    return one_line(error, most=400) + _line_of(error)


def _line_of(error: BaseException) -> str:
    """The last line of a plug-in that an error came through, " (mine.py:12)"; "" where there is none."""
    strangers = {function.__module__ for function in _sources}
    at = ""
    for frame, number in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__"))
        if module in strangers or module.startswith(PREFIX):
            at = f" ({Path(frame.f_code.co_filename).name}:{number})"
    return at


def _import(name: str, path: Path) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _guarded(what: str, load: Callable[[], object]) -> None:
    def tell(function: str, error: InputError) -> None:
        warnings.warn(f"{function} of {what} is left out: {one_line(error, named=True)}", stacklevel=3)

    try:
        with one_by_one(tell):
            load()
    except (Exception, SystemExit) as error:
        warnings.warn(f"{what} is left out: {one_line(error, named=True)}", stacklevel=3)


def _registered() -> set[Callable[..., Any]]:
    searches = {solvers.get(name).search for name in solvers.names()}
    return searches | {problems.get(name).generate for name in problems.names()}


def _is_of(function: Callable[..., Any], point: EntryPoint) -> bool:
    """Whether a function comes from the package of an entry point."""
    return function.__module__.split(".")[0] == point.module.split(".")[0]


def _attribute(functions: set[Callable[..., Any]], path: Path, root: Path) -> None:
    if functions:
        _sources.update(dict.fromkeys(functions, hash_of(path, root)))


def _attribute_module(functions: set[Callable[..., Any]]) -> None:
    """Functions of an installed module; its tree is the package that it belongs to, or it alone."""
    for function in functions:
        top = function.__module__.partition(".")[0]
        path = Path(str(sys.modules[function.__module__].__file__)).resolve()
        package = getattr(sys.modules[top], "__path__", None)
        roots = [Path(one).resolve() for one in package or ()]
        root = next((one for one in roots if path.is_relative_to(one)), None)
        # A module outside any package lies among all that is installed, none of which is its own.
        _sources[function] = _hash(path.read_bytes()) if root is None else hash_of(path, root)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
