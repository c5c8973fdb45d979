"""Published cells as one CSV file, without bits and traces."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from .errors import StoreError
from .record import InstanceInfo, Record
from .whole_files import write_whole

__all__ = ["REJUDGEABLE", "read_cells", "write_cells"]

REJUDGEABLE = "rejudgeable"
"""Column that says whether the cell's bits are published too, so that anyone can recompute its row."""


def write_cells(frame: pd.DataFrame, out: str | Path) -> Path:
    """Write a table that `load` gave, with its column `rejudgeable`; numbers keep all their digits."""
    return write_whole(out, frame.to_csv(index=False, lineterminator="\n"))


def read_cells(path: str | Path) -> pd.DataFrame:
    """Read what `write_cells` wrote, with the types that `load` gives.

    Raises:
        StoreError: the file is none.
    """
    try:
        names = list(pd.read_csv(path, nrows=0).columns)
        kinds = {name: _KINDS.get(name, "str") for name in names}
        blank = {name: [""] for name, kind in kinds.items() if kind != "str"}
        frame = pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=blank)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise StoreError(f"{path} must be a CSV file of published cells, got {reason}") from None
    missing = sorted({REJUDGEABLE, "suite", "instance_key", "problem_parameters"} - set(names))
    if missing:
        raise StoreError(f"{path} must have the column {missing[0]}, got none; publish its store again")
    return frame


_KIND: dict[Any, str] = {
    str: "str",
    bool: "boolean",
    int: "Int64",
    int | None: "Int64",
    float: "float64",
    float | None: "float64",
}


_KINDS = {one.name: _KIND.get(one.type, "str") for one in (*fields(Record), *fields(InstanceInfo))} | {
    REJUDGEABLE: "boolean",
}
