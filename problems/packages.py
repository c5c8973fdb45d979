"""Which version of a package is installed."""

from __future__ import annotations

import functools
from importlib.metadata import PackageNotFoundError, version

__all__ = ["installed"]


@functools.cache
def installed(package: str) -> str:
    """Version of a package, "" where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
