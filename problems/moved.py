"""Modules that stood elsewhere: their old names work for one release, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

__all__ = ["moved"]


def moved(old: str, new: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module that stood at `old` and is at `new` now."""

    def forward(name: str) -> Any:
        value = getattr(import_module(new), name)
        warnings.warn(
            f"{old} has moved; import {name} from qubopress.problems.pruning", FutureWarning, stacklevel=2
        )
        return value

    return forward
