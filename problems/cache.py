"""Cache: what a formulation measures on a network, kept on disk under its content key and mapped into memory.

The key holds the task's identity (weights, data, draw) and a hash of this package's code, so a changed
formulation never reads what an older one wrote. A piece is a folder of .npy files and their checksums,
renamed into place whole; two runs that build the same piece at once both succeed, and one of the two copies
stays. Another machine may be sent a piece as bytes: its key says whose it is wherever it was built.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .arrays import Floats
    from .tasks.task import Task

__all__ = ["cached", "folder", "kept_in", "lacking", "pack", "unpack", "used", "version"]

_used: dict[str, None] = {}
"""Keys of the pieces that this process has asked for, in that order."""

_sound: dict[Path, tuple[tuple[int, ...], ...]] = {}
"""Places whose checksums held in this process, with what their files were by then."""

_apart: list[Path] = []
"""Folders of `kept_in` that are open, the last one in use."""

SUMS = "checksums.txt"


def folder() -> Path:
    """Where pieces are kept: $QUBOPRESS_CACHE, or `qubopress` in the user's cache folder."""
    if _apart:
        return _apart[-1]
    named = os.environ.get("QUBOPRESS_CACHE")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "qubopress")


@contextmanager
def kept_in(place: Path) -> Iterator[None]:
    """Keep pieces in this folder meanwhile; in an empty one, all are built anew, as who judges must."""
    _apart.append(place)
    try:
        yield
    finally:
        _apart.pop()


def cached(task: Task, piece: str, build: Callable[[], dict[str, Floats]]) -> dict[str, Floats]:
    """Named arrays of a task, built once: read-only maps of the files, or what `build` gives.

    Only tasks of this package's own networks are kept; a caller's data never goes to disk. Without a
    writable place everything is built anew each time.
    """
    if not task.kept:
        return build()
    key = _key(task, piece)
    _used[key] = None
    place = folder() / key
    found = _read(place)
    if found is None:
        _write(place, build())
        found = _read(place)
    return build() if found is None else found


def version() -> str:
    """Hash of this package's code, which every key holds; computed at the first call."""
    return _code()


def used() -> list[str]:
    """Keys of the pieces that this process has asked for."""
    return list(_used)


def lacking(keys: Iterable[str]) -> list[str]:
    """Those of the keys whose piece is not kept here."""
    return [key for key in keys if _is_key(key) and _read(folder() / key) is None]


def pack(key: str) -> bytes | None:
    """A piece as the bytes of an .npz file, None where it is not kept here."""
    arrays = _read(folder() / key) if _is_key(key) else None
    if arrays is None:
        return None
    content = io.BytesIO()
    # As keywords, names of arrays would be mixed up with savez's own parameters.
    with zipfile.ZipFile(content, "w") as file:
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
    return content.getvalue()


def unpack(key: str, content: bytes, digest: str) -> bool:
    """Keep a piece that another machine packed, unless one is kept already; whether one is afterwards.

    Nothing is kept of bytes whose SHA-256 is not `digest`, or that are no arrays.
    """
    if not _is_key(key) or hashlib.sha256(content).hexdigest() != digest:
        return False
    place = folder() / key
    if _read(place) is None:
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                _write(place, {Path(name).name: file[name] for name in file.files})
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return False
    return _read(place) is not None


def _is_key(text: str) -> bool:
    """Whether this is a key; it becomes the name of a folder."""
    return re.fullmatch("[0-9a-f]{32}", text) is not None


def _key(task: Task, piece: str) -> str:
    return hashlib.sha256(f"{task.identity}\n{piece}\n{_code()}".encode()).hexdigest()[:32]


@functools.cache
def _code() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(place: Path) -> dict[str, Floats] | None:
    """The piece, None where there is none or it is damaged."""
    try:
        files = sorted(place.glob("*.npy"))
        if not files or not _hold(place, files):
            return None
        return {path.stem: np.load(path, mmap_mode="r") for path in files}
    except (OSError, ValueError, EOFError):
        return None


def _hold(place: Path, files: list[Path]) -> bool:
    """Whether the files are what was written; each is read for it once a process, or when it has changed."""
    states = tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in map(Path.stat, files))
    if _sound.get(place) != states:
        if (place / SUMS).read_text(encoding="ascii") != _sums(files):
            return False
        _sound[place] = states
    return True


def _sums(files: list[Path]) -> str:
    """A line a file. It finds what a disk spoils; whoever can forge files can forge their sums."""
    lines = []
    for path in files:
        found = 0
        with path.open("rb") as file:
            while part := file.read(2**22):
                found = zlib.crc32(part, found)
        lines.append(f"{found:08x} {path.name}\n")
    return "".join(lines)


def _write(place: Path, arrays: dict[str, Floats]) -> None:
    """Put a piece into place whole, unless another process has, or there is no place to write."""
    made = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=place.parent, prefix="new-"))
        for name, array in arrays.items():
            np.save(made / f"{name}.npy", array, allow_pickle=False)
        (made / SUMS).write_text(_sums(sorted(made.glob("*.npy"))), encoding="ascii")
        if place.exists() and _read(place) is None:
            shutil.rmtree(place, ignore_errors=True)
        made.rename(place)
    except OSError:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
