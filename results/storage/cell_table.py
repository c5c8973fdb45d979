"""The cells of a store as a table, column by column, and the checks that a stranger's store must pass."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import StoreError
from .record import DEEPEST, too_deep

# pandas takes half a second to import, and a store that is refused has no table.
if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FLAGS", "cell_table"]

FLAGS = ("timing_grade", "anytime", "higher_is_better")

LONGEST_SECONDS = 1e9
"""Longer than thirty years nothing was measured."""

BLOCK = 5_000
"""Rows turned into columns at a time."""

_WHOLE = ("seed", "restarts", "evaluations", "threads", "peak_bytes", "variables")
_REAL = ("budget_seconds", "loss", "energy", "violation", "bound", "metric", "seconds", "wall_seconds")
_REAL_OF_INSTANCE = ("baseline_loss", "baseline_metric", "float_metric")
_KINDS = (
    dict.fromkeys(_WHOLE, "Int64")
    | dict.fromkeys((*_REAL, *_REAL_OF_INSTANCE), "float64")
    | dict.fromkeys(FLAGS, "boolean")
)


def cell_table(rows: Iterator[Sequence[Any]], names: Sequence[str], path: Path) -> pd.DataFrame:
    """One row a cell, of checked types.

    Parameters:
        rows, names: of the query.
        path: of the store, for messages.
    """
    import pandas as pd

    try:
        table = pd.DataFrame({name: _typed(name, column) for name, column in _columns(rows, names)})
    except StoreError:
        raise  # the rows themselves
    except (TypeError, ValueError) as error:
        raise StoreError(f"{path} must hold numbers where numbers belong; it was altered: {error}") from None
    _check(table, path)
    return table


def _columns(rows: Iterator[Sequence[Any]], names: Sequence[str]) -> Iterable[tuple[str, list[Any]]]:
    """Column by column; equal texts are one object, as a store has many cells and few names."""
    columns: list[list[Any]] = [[] for _ in names]
    seen: dict[Any, Any] = {}
    while block := list(islice(rows, BLOCK)):
        for name, column, values in zip(names, columns, zip(*block, strict=True), strict=True):
            if _KINDS.get(name) == "float64":
                column.append(np.array(values, dtype=np.float64))
            else:
                column += values if name in _KINDS else map(seen.setdefault, values, values)
    return zip(names, columns, strict=True)


def _typed(name: str, column: list[Any]) -> Any:
    import pandas as pd

    kind = _KINDS.get(name)
    if kind == "float64":
        return np.concatenate([np.empty(0), *column])
    return pd.Series(column) if kind is None else pd.array(column, dtype=kind)


def _check(table: pd.DataFrame, path: Path) -> None:
    """StoreError where a time or a budget is none, or JSON is too deep to be read."""
    for name in table.columns.intersection(["budget_seconds", "seconds", "wall_seconds"]):
        wrong = table[name].notna() & ~table[name].between(0.0, LONGEST_SECONDS)
        if wrong.any():
            cell, value = table.loc[wrong, ["cell", name]].iloc[0]
            raise StoreError(
                f"{path} must hold {name} from 0 to {LONGEST_SECONDS:g}, got {value} in cell {cell!r}; "
                "it was altered: `qubopress verify` names each false record"
            )
    told = ["parameters", "counts", "limits", "measures", "problem_parameters"]
    for name in table.columns.intersection(told):
        for text in table[name].dropna().unique():
            _object(text, name, path)


def _object(text: str, name: str, path: Path) -> None:
    try:
        sound = isinstance(json.loads(text), dict) and not too_deep(text)
    except (ValueError, RecursionError):
        sound = False
    if not sound:
        raise StoreError(f"{path} must hold {name} as JSON that is no deeper than {DEEPEST}; it was altered")
