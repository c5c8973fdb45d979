"""Cache: what a formulation measures on a network, kept on disk under its content key and mapped into memory.

The key holds the task's identity (weights, data, draw) and a hash of this package's code, so a changed
formulation never reads what an older one wrote. A piece is a folder of .npy files, renamed into place
whole; two runs that build the same piece at once both succeed, and one of the two copies stays.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .arrays import Floats
from .task import Task

__all__ = ["cached", "folder", "version"]


def folder() -> Path:
    """Where pieces are kept: $QUBOPRESS_CACHE, or `qubopress` in the user's cache folder."""
    named = os.environ.get("QUBOPRESS_CACHE")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "qubopress")


def cached(task: Task, piece: str, build: Callable[[], dict[str, Floats]]) -> dict[str, Floats]:
    """Named arrays of a task, built once: read-only maps of the files, or what `build` gives.

    Only tasks of this package's own networks are kept; a caller's data never goes to disk. Without a
    writable place everything is built anew each time.
    """
    if not task.kept:
        return build()
    place = folder() / _key(task, piece)
    found = _read(place)
    if found is None:
        _write(place, build())
        found = _read(place)
    return build() if found is None else found


def version() -> str:
    """Hash of this package's code, which every key holds; computed at the first call."""
    return _code()


def _key(task: Task, piece: str) -> str:
    return hashlib.sha256(f"{task.identity}\n{piece}\n{_code()}".encode()).hexdigest()[:32]


@functools.cache
def _code() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(place: Path) -> dict[str, Floats] | None:
    """The piece, None where there is none or it is damaged."""
    try:
        return {path.stem: np.load(path, mmap_mode="r") for path in sorted(place.iterdir())} or None
    except (OSError, ValueError, EOFError):
        return None


def _write(place: Path, arrays: dict[str, Floats]) -> None:
    """Put a piece into place whole, unless another process has, or there is no place to write."""
    made = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=place.parent, prefix="new-"))
        for name, array in arrays.items():
            np.save(made / f"{name}.npy", array, allow_pickle=False)
        if place.exists() and _read(place) is None:
            shutil.rmtree(place, ignore_errors=True)
        made.rename(place)
    except OSError:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
