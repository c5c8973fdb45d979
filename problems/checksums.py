"""Checksums: which content a file has, wherever it lies."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from .errors import InputError, MissingDataError

__all__ = ["checksum", "located"]


def checksum(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        MissingDataError: there is no such file.
        InputError: it cannot be read.
    """
    if not Path(path).is_file():
        raise MissingDataError(f"no instance file at {path}; name one that exists")
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} must be readable, got: {error.strerror}") from None


def located(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters with the whole path of their `file` and the `sha256` of its content.

    Raises:
        MissingDataError: there is no such file.
        InputError: none is named, it cannot be read, or its content is not what `sha256` says.
    """
    path, expected = parameters["file"], parameters["sha256"]
    if not isinstance(path, str) or not path:
        raise InputError(f"file must be the path of an instance, got {path!r}")
    place = Path(path).resolve()
    found = checksum(place)
    if expected not in ("", found):
        raise InputError(f"{place} must have the sha256 {expected}, got {found}; name the right file")
    return {**parameters, "file": str(place), "sha256": found}
