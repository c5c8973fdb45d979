"""Plug-ins: solvers and problems from a folder of Python files or from entry points."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from importlib.metadata import entry_points
from pathlib import Path

from ..problems import InputError

__all__ = ["load_entry_points", "load_folder"]

GROUPS = ("qubopress.solvers", "qubopress.problems")


def load_folder(folder: str) -> None:
    """Import every Python file of a folder once; "" for none. A broken one is a warning, never a silence.

    Raises:
        InputError: there is no such folder.
    """
    if not folder:
        return
    if not Path(folder).is_dir():
        raise InputError(f"no plug-in folder at {folder}; name a folder of Python files")
    for path in sorted(Path(folder).glob("*.py")):
        name = f"qubopress_plugin_{path.stem}"
        if name not in sys.modules:
            _load_file(name, path)


def _load_file(name: str, path: Path) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        warnings.warn(f"plug-in {path} is left out: {type(error).__name__}: {error}", stacklevel=2)


def load_entry_points() -> None:
    """Import the plug-ins of installed packages. A broken one is a warning."""
    for group in GROUPS:
        for point in entry_points(group=group):
            try:
                point.load()
            except Exception as error:
                text = f"plug-in {point.value} is left out: {type(error).__name__}: {error}"
                warnings.warn(text, stacklevel=2)
