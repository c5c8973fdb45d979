"""Names of the formats that an instance's file may have; their readers take a second to import."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import InputError

__all__ = ["READ", "WRITTEN", "check_format"]

WRITTEN = ("npz", "bqm", "coo", "cqm", "lp", "mqlib", "qplib")

READ = (*WRITTEN, "beasley", "biqmac", "gset", "qbsolv", "qoblib")
"""Those of libraries, too, which are read and not written."""


def check_format(name: str, known: Iterable[str] = READ, *, what: str = "format") -> None:
    """InputError for a format that is none of those known."""
    if name not in known:
        raise InputError(f"{what} must be one of {', '.join(known)}, got {name!r}")
