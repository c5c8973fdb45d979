"""What an option's value must be: checked before anything is measured, and refused in one line."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from pathlib import Path

from ...problems.errors import MissingDataError
from ..terminal.console import CallError

__all__ = [
    "at_least",
    "bytes_of",
    "check_file",
    "check_folder",
    "check_instances",
    "check_network",
    "check_program",
    "check_stores",
    "one_of",
    "positive",
]


def at_least(option: str, value: int | None, least: int = 1) -> None:
    """CallError when a number is given and below the least."""
    if value is not None and value < least:
        raise CallError(f"{option} must be at least {least}, got {value}")


def positive(option: str, value: float) -> None:
    """CallError when seconds are no positive, finite number."""
    if not 0 < value < math.inf:
        raise CallError(f"{option} must be positive and finite, got {value:g}")


def one_of(option: str, values: Iterable[str], known: Iterable[str]) -> None:
    """CallError when a value is none of those known."""
    known = list(known)
    for value in values:
        if value not in known:
            raise CallError(f"{option} must be one of {', '.join(known)}, got {value}")


def check_folder(option: str, folder: Path) -> None:
    """CallError when this is no folder and none can be made here."""
    if folder.exists() and not folder.is_dir():
        raise CallError(f"{option} must be a folder, got the file {folder}; name another")
    _in_a_folder(option, folder)


def check_file(option: str, file: Path | None) -> None:
    """CallError when a file is given that cannot be written here."""
    if file is not None and file.is_dir():
        raise CallError(f"{option} must be a file, got the folder {file}; name a file in it")
    if file is not None:
        _in_a_folder(option, file)


def check_program(option: str, file: Path | None) -> None:
    """CallError when a program is given that cannot be run."""
    if file is not None and not (file.is_file() and os.access(file, os.X_OK)):
        raise CallError(f"{option} must be a program that may be run, got {file}; build it, or chmod +x")


def check_instances(files: Iterable[str]) -> None:
    """MissingDataError when an instance's file is not there."""
    for file in files:
        if not Path(file).is_file():
            raise MissingDataError(f"no instance file at {file}; name one that exists")


def check_network(name: str) -> None:
    """InputError for a network that there is none of."""
    from ...problems.networks.zoo import network

    network(name)


def _in_a_folder(option: str, path: Path) -> None:
    parent = path.resolve().parent
    if not parent.is_dir():
        raise CallError(f"{option} must lie in a folder that exists, got {path}; create {path.parent} first")


def check_stores(stores: Iterable[Path]) -> None:
    """StoreError when one is missing or foreign, before much is computed of another."""
    from ...results import Store

    for store in stores:
        with Store(store):
            pass


def bytes_of(option: str, text: str) -> int:
    """A size such as 512M or 4G in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)i?B?", text.strip(), flags=re.IGNORECASE)
    if match is None or float(match[1]) == 0:
        raise CallError(f"{option} must be a size such as 512M or 4G, got {text!r}")
    return int(float(match[1]) * 1024 ** " KMG".index(match[2].upper() or " "))
