"""Which files a plug-in is made of: the one that registers, and what it imports from its own tree."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["GROUPS", "files_of", "hash_of"]

GROUPS = ("qubopress.solvers", "qubopress.problems")
"""Of entry points, by which installed packages bring theirs."""


def hash_of(path: Path, root: Path) -> str:
    """Hash of a plug-in's file and of the files of its tree that it imports, wherever the tree lies."""
    digest = hashlib.sha256()
    for one in files_of(path, root):
        digest.update(one.relative_to(root).as_posix().encode() + b"\0" + one.read_bytes() + b"\0")
    return digest.hexdigest()


def files_of(path: Path, root: Path) -> list[Path]:
    """The file, and all that it imports from below `root`, directly or through others, sorted.

    Imports are read, not run: one inside a function counts, one by a computed name does not.
    """
    found, waiting = {path}, [path]
    while waiting:
        for other in _imported(waiting.pop(), root):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return sorted(found)


def _imported(path: Path, root: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield from _found(name.name, (root, root.parent), root)
        elif isinstance(node, ast.ImportFrom):
            above = path.parents[node.level - 1] if node.level <= len(path.parents) else root
            bases = (above,) if node.level else (root, root.parent)
            for name in node.names:
                yield from _found(".".join(filter(None, (node.module, name.name))), bases, root)


def _found(name: str, bases: tuple[Path, ...], root: Path) -> Iterator[Path]:
    """The files of a dotted name and of the packages on the way to it, where they lie below the root."""
    parts = name.split(".")
    for base in bases:
        for length in range(len(parts) + 1):
            place = base.joinpath(*parts[:length])
            if place.is_relative_to(root):
                yield from (one for one in (place / "__init__.py", place.with_suffix(".py")) if one.is_file())
