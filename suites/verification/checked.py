"""What became of one row that was checked."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Checked"]


@dataclass(frozen=True)
class Checked:
    """What became of one row.

    Attributes:
        row: which, for people.
        fault: what is wrong with it, "" where it holds.
        elsewhere: whether it may hold where it was made: here the data, a plug-in or the commit is missing.
    """

    row: str
    fault: str = ""
    elsewhere: bool = False
