"""Instance: what the four shapes of problem have in common, and reading one from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from .blackbox import BlackBox
from .capacity import Capacity
from .errors import InputError
from .files import kind_of
from .qubo import Qubo
from .rounding import Rounding

__all__ = ["Instance", "load_instance"]

Instance: TypeAlias = Qubo | Capacity | Rounding | BlackBox

_STORED: dict[str, type[Qubo] | type[Capacity] | type[Rounding]] = {
    "qubo": Qubo,
    "capacity": Capacity,
    "rounding": Rounding,
}


def load_instance(path: str | Path) -> Qubo | Capacity | Rounding:
    """Read an instance of any stored shape. A BlackBox is a function and has no file.

    Raises:
        InputError: there is no such file, or it was not written by `save`.
    """
    kind = kind_of(path)
    if kind not in _STORED:
        raise InputError(f"{path} must hold one of {', '.join(_STORED)}, got {kind!r}")
    return _STORED[kind].load(path)
