"""A network and data of one's own, named on the command line as package.module:attribute or as a file."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from ...problems.errors import one_line
from ..terminal.console import CallError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["from_here", "is_own", "own_data", "own_function", "own_network"]


def is_own(name: str) -> bool:
    """Whether a name means a network of one's own: no network of ours has a colon."""
    return ":" in name


@contextmanager
def from_here() -> Iterator[None]:
    """Modules of the current folder can be imported, as `python -m` has it."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with suppress(ValueError):  # whoever was imported may have taken it away
            sys.path.remove(here)


def own_network(name: str) -> nn.Module:
    """The module that package.module:attribute is, or makes when it is called.

    Raises:
        CallError: there is no such thing, it fails, or it is no torch module.
    """
    found = _attribute("NETWORK", name)
    from torch import nn

    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        kind = type(found).__name__
        raise CallError(
            f"NETWORK must be a torch module or a function that makes one, got a {kind} as {name}"
        )
    made = _called(name, found)
    if not isinstance(made, nn.Module):
        raise CallError(f"{name} must make a torch module, got a {type(made).__name__}")
    return made


def own_data(text: str) -> Any:
    """Calibration data: arrays x and y of an .npz file, or what package.module:attribute is or makes.

    Raises:
        CallError: there is no such thing, it fails, or it holds no data.
    """
    if text.endswith(".npz"):
        return _arrays(Path(text))
    if ":" not in text:
        raise CallError(f"--data must be FILE.npz or package.module:loader, got {text!r}")
    found = _attribute("--data", text)
    if callable(found):
        found = _called(text, found)
    if not hasattr(found, "__iter__") and not hasattr(found, "__getitem__"):
        raise CallError(f"{text} must be or make a DataLoader or a pair (x, y), got a {type(found).__name__}")
    return found


def own_function(option: str, name: str) -> Callable[..., Any]:
    """The function that package.module:attribute is.

    Raises:
        CallError: there is no such thing, or it cannot be called.
    """
    found = _attribute(option, name)
    if not callable(found):
        raise CallError(f"{option} must be a function, got a {type(found).__name__} as {name}")
    return cast("Callable[..., Any]", found)


def _attribute(what: str, name: str) -> Any:
    module_name, _, path = name.rpartition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), *path.split("."))):
        raise CallError(f"{what} must be package.module:attribute, got {name!r}")
    found: Any = _module(what, module_name)
    for part in path.split("."):
        if not hasattr(found, part):
            close = get_close_matches(part, [one for one in dir(found) if one[0] != "_"], n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"define it in {_file(found)}"
            raise CallError(f"{module_name} has no attribute {path!r}; {hint}")
        found = getattr(found, part)
    return found


def _file(module: Any) -> str:
    return str(getattr(module, "__file__", None) or module)


def _module(what: str, name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise CallError(
                f"{what} must name a module that can be imported, got {name}: there is no {error.name} "
                "in this folder or environment"
            ) from None
        raise _broken(what, name, error) from error
    except (Exception, SystemExit) as error:  # a foreign module may raise anything
        raise _broken(what, name, error) from error


def _called(name: str, function: Any) -> Any:
    try:
        return function()
    except (Exception, SystemExit) as error:  # so may a foreign function
        raise CallError(f"{name}() must work without arguments, got {one_line(error, named=True)}") from error


def _broken(what: str, name: str, error: BaseException) -> CallError:
    return CallError(
        f"{what} must name a module that can be imported, {name} gave {one_line(error, named=True)}"
    )


def _arrays(path: Path) -> Any:
    """(x, y) of a file, x alone where it has no y. Nothing in the file is executed."""
    import numpy as np

    if not path.is_file():
        raise CallError(f"--data must be a file that exists, got {path}")
    try:
        with np.load(path, allow_pickle=False) as file:
            names = list(file)
            arrays = [file[name] for name in ("x", "y") if name in names]
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise CallError(f"{path} must be an .npz file of plain arrays, got {one_line(error)}") from None
    if "x" not in names:
        has = ", ".join(sorted(names)) or "none"
        raise CallError(f"{path} must hold arrays named x and y, got {has}; write np.savez(file, x=…, y=…)")
    return arrays[0] if len(arrays) == 1 else tuple(arrays)
