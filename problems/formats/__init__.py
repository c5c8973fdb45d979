"""File formats: how instances come from other people's files and go to their tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, MissingDataError
from ..instances.capacity import Capacity
from ..instances.npz import FileError
from ..instances.qubo import Qubo
from . import bqm, coo, cqm, lists, lp, mqlib, qplib

__all__ = ["ENDINGS", "FORMATS", "READ", "Format"]


@dataclass(frozen=True)
class Format:
    """One format.

    Parameters:
        name: without a dot; of those that are written also the ending.
        reader: path → instance.
        writer: (path, instance) → a file.
        holds: shapes that can be told in it without a loss; none where it is only read.
    """

    name: str
    reader: Callable[[str | Path], Qubo | Capacity]
    writer: Callable[[str | Path, Any], None]
    holds: tuple[type, ...]

    def read(self, path: str | Path) -> Qubo | Capacity:
        """The instance in a file.

        Raises:
            MissingDataError: there is no such file.
            InputError: the file is damaged, or tells what is no instance of ours.
        """
        try:
            return self.reader(path)
        except (FileError, MissingDataError):
            raise
        except InputError as error:
            raise InputError(f"{path} holds no instance: {error}") from None

    def write(self, path: str | Path, instance: Any) -> None:
        """Write an instance; a reader sees the old file or the whole new one.

        Raises:
            InputError: the format cannot hold the instance, or the place cannot be written to.
        """
        if not isinstance(instance, self.holds):
            kind = type(instance).__name__
            if not self.holds:
                raise InputError(
                    f"{self.name} is read and not written; save as .{', .'.join(FORMATS)} or .npz"
                )
            raise InputError(f"a .{self.name} file cannot hold a {kind}; {_cure(kind)}")
        self.writer(path, instance)


def _cure(kind: str) -> str:
    if kind == "Rounding":
        return "write its neurons, rounding.row(i).qubo, one by one, or the whole as .npz"
    if kind == "Capacity":
        wide = ", ".join(f".{name}" for name, each in FORMATS.items() if Capacity in each.holds)
        return f"save it as .npz, {wide}, or save capacity.qubo without its capacity"
    return "pass a Qubo or a Capacity"


FORMATS = {
    each.name: each
    for each in (
        Format("bqm", bqm.read, bqm.write, (Qubo,)),
        Format("coo", coo.read, coo.write, (Qubo,)),
        Format("cqm", cqm.read, cqm.write, (Qubo, Capacity)),
        Format("lp", lp.read, lp.write, (Qubo, Capacity)),
        Format("mqlib", mqlib.read, mqlib.write, (Qubo,)),
        Format("qplib", qplib.read, qplib.write, (Qubo, Capacity)),
    )
}

READ = {
    each.name: each
    for each in (
        Format("beasley", lists.read_beasley, lists.refuse, ()),
        Format("biqmac", lists.read_biqmac, lists.refuse, ()),
        Format("gset", lists.read_gset, lists.refuse, ()),
        Format("qbsolv", lists.read_qbsolv, lists.refuse, ()),
        Format("qoblib", lists.read_qoblib, lists.refuse, ()),
    )
}
"""Formats of libraries, which are read and not written. Their names are no endings."""

ENDINGS = {
    "bq": "biqmac",
    "sparse": "biqmac",
    "mc": "gset",
    "rud": "gset",
    "qubo": "qbsolv",
    "qs": "qoblib",
}
"""Endings that say which of them a file is; .txt is used for several, unlike in sign, so it says nothing."""
