"""Which runs have nothing left to do, told in a fraction of a second.

A run that ended whole leaves a note in the cache: the keys of its cells, under a hash of all that they were
made of. Where the same is asked for again and every cell is in the store, no instance need be built, which
would take seconds.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..problems.cache import folder
from ..results import RANKED, Store, StoreError
from ..results.storage.whole_files import write_whole
from .plugins import find_entry_points
from .spec import canonical

__all__ = ["Note", "enter", "made_of", "note", "remembered", "settled", "wanted"]

PACKAGE = Path(__file__).parents[1]

CODE = ("problems", "solvers", "suites")
"""Folders of this package whose files, weights among them, can change a cell or its key."""

SETTLED = (*RANKED, "INFEASIBLE", "SKIPPED")
"""Endings that are not run again by --rerun-failed."""


@dataclass(frozen=True)
class Note:
    """What a run that ended whole was: its suite's name, the parameter of its table, and its cells' keys."""

    name: str
    by: str
    cells: tuple[str, ...]


def made_of(suite: Path, instances: Iterable[str], *options: Any) -> str:
    """Hash of what is asked for: the suite's text, instances' files, options, all code, all packages.

    "" where plug-ins or programs take part, whose code may lie anywhere, or a file cannot be read.
    """
    try:
        text = suite.read_bytes()
        if find_entry_points() or b"command" in text:
            return ""
        files = [*instances, *_named(text)]
        contents = [hashlib.sha256(Path(one).read_bytes()).hexdigest() for one in files]
    except (OSError, ValueError, RecursionError):
        return ""
    if any(isinstance(one, float) and not math.isfinite(one) for one in options):
        return ""  # the run will refuse it
    environment = sorted((name, value) for name, value in os.environ.items() if name.startswith("QUBOPRESS_"))
    parts = [text.decode(), files, contents, options, environment, os.getcwd(), list(_code()), _installed()]
    return hashlib.sha256(canonical(parts).encode()).hexdigest()[:32]


def settled(key: str, store: Path, *, rerun_failed: bool = False) -> Note | None:
    """The note of a run whose every cell is in the store, None where something is left to do."""
    found = remembered(key)
    if found is None or not store.is_file():
        return None
    with Store(store) as records:
        ended = records.statuses()
    if any(wanted(ended.get(cell), rerun_failed) for cell in found.cells):
        return None
    return found


def enter(found: Note, store: Path, commit: str) -> None:
    """Note in the store that a run at this commit found the cells there, if the store may be written."""
    with suppress(StoreError), Store(store, write=True) as records:
        records.resume(found.cells, commit)


def wanted(status: str | None, rerun_failed: bool) -> bool:
    """Whether a cell of this stored status is to be run."""
    return status is None or (rerun_failed and status not in SETTLED)


def note(key: str, found: Note) -> None:
    """Leave a note of a run that ended whole; without a writable place there is none."""
    if key and found.cells:
        with suppress(OSError, StoreError):
            place = _place(key)
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole(place, json.dumps(asdict(found)).encode())


def remembered(key: str) -> Note | None:
    """The note under a key, None where there is none that can be read."""
    try:
        content = json.loads(_place(key).read_text(encoding="utf-8")) if key else {}
        return Note(str(content["name"]), str(content["by"]), tuple(map(str, content["cells"])))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _place(key: str) -> Path:
    return folder() / "finished" / f"{key}.json"


def _named(text: bytes) -> list[str]:
    """Files that the suite's problems name."""
    tables = tomllib.loads(text.decode()).get("problem", [])
    named = [table["file"] for table in tables if isinstance(table, dict) and "file" in table]
    return [str(one) for value in named for one in (value if isinstance(value, list) else [value])]


def _code() -> Iterator[tuple[str, int, int]]:
    for name in CODE:
        for path in sorted((PACKAGE / name).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found = path.stat()
                yield str(path), found.st_size, found.st_mtime_ns


def _installed() -> list[str]:
    """Packages with their versions, as their metadata's folders are named; reading each would take longer."""
    found = []
    for place in sys.path:
        with suppress(OSError):
            found += [name for name in os.listdir(place or ".") if name.endswith((".dist-info", ".egg-info"))]
    return sorted(found)
