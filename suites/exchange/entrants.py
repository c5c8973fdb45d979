"""Entrants: whose solutions lie in a folder, as files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...problems.errors import InputError, MissingDataError
from ...results.storage.names import unfit

__all__ = ["SUFFIX", "solutions"]

SUFFIX = ".txt"


def solutions(folder: Path, instances: Path) -> list[tuple[str, Path]]:
    """Entrants with the files of their solutions, none of which is read.

    Parameters:
        folder: of NAME.txt, all of one entrant named as the folder, or of a folder for each entrant.
        instances: the set, which may lie in it.

    Raises:
        InputError: there are no solutions, or the name of a folder is none for an entrant.
    """
    if not folder.is_dir():
        raise MissingDataError(f"no folder of solutions at {folder}")
    found = list(_found(folder, instances))
    if not found:
        raise InputError(f"{folder} must hold solutions NAME{SUFFIX}, or folders of them, got none")
    return found


def _found(folder: Path, instances: Path) -> Iterator[tuple[str, Path]]:
    own = [path for path in sorted(folder.glob(f"*{SUFFIX}")) if path.is_file()]
    yield from ((_entrant(folder.resolve()), path) for path in own)
    for inner in sorted(path for path in folder.iterdir() if path.is_dir() and path != instances):
        yield from ((_entrant(inner), path) for path in sorted(inner.glob(f"*{SUFFIX}")))


def _entrant(folder: Path) -> str:
    if fault := unfit(folder.name):
        raise InputError(f"the name of a folder of solutions {fault}")
    return folder.name
