"""Packages that only some formats need: imported when one is used, named where they are missing."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from ...problems.errors import InputError

__all__ = ["needed"]


def needed(package: str, what: str) -> Any:
    """A package of the extra `export`.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        cure = f"{sys.executable} -m pip install 'qubopress[export]'"
        raise InputError(f"{what} needs the package {error.name}, which is not installed; {cure}") from None
