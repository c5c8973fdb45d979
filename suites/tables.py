"""Tables on stdout: for a terminal as wide as it is, for a pipe never truncated, for a program as data."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["FORMATS", "show"]

FORMATS = ("table", "csv", "json", "markdown")

PIPE_WIDTH = 10_000
"""Columns assumed where no terminal sets a limit."""


def show(frame: pd.DataFrame, format: str = "table", *, title: str = "", optional: tuple[str, ...] = ()) -> None:  # noqa: A002
    """Print a table.

    Parameters:
        frame: what to print.
        format: "table", "csv", "json" (a list of objects) or "markdown".
        title: stands above a table.
        optional: columns that a narrow terminal leaves out, the first to go last; a note names them.
    """
    if format == "csv":
        sys.stdout.write(frame.to_csv(index=False))
    elif format == "json":
        print(json.dumps(_plain(frame), indent=2, allow_nan=False))
    elif format == "markdown":
        print(_markdown(frame))
    else:
        _print_table(frame, title, optional)


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(key): _json(value) for key, value in row.items()} for row in records]


def _json(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _markdown(frame: pd.DataFrame) -> str:
    """GitHub's table: numbers to the right, bars in texts escaped."""
    rows = [[_text(value).replace("|", "\\|") for value in row] for row in frame.itertuples(index=False)]
    rule = ["---:" if _numeric(frame[name]) else "---" for name in frame]
    lines = [list(map(str, frame.columns)), rule, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _print_table(frame: pd.DataFrame, title: str, optional: tuple[str, ...]) -> None:
    console = Console(file=sys.stdout, highlight=False)
    # COLUMNS speaks for a terminal; a pipe has no width to keep to.
    width = console.width if sys.stdout.isatty() else PIPE_WIDTH
    console = Console(file=sys.stdout, highlight=False, width=width)
    left_out = []
    for name in [name for name in optional if name in frame]:
        if _width(frame) <= width:
            break
        left_out.append(name)
        frame = frame.drop(columns=name)
    console.print(_table(frame, title))
    if left_out:
        print(f"{', '.join(left_out)} left out for the terminal's width; a wider one or --format csv has them")


def _width(frame: pd.DataFrame) -> int:
    """Characters that the table takes: texts, and two between columns."""
    longest = [max([len(str(name)), *map(len, map(_text, frame[name]))]) for name in frame]
    return sum(longest) + 3 * len(longest) + 1


def _table(frame: pd.DataFrame, title: str) -> Table:
    table = Table(box=SIMPLE_HEAD, title=escape(title) or None, title_justify="left", title_style="bold", pad_edge=False)
    for name in frame:
        # A word that has no room is folded onto the next line, never cut.
        table.add_column(escape(str(name)), justify="right" if _numeric(frame[name]) else "left", overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(escape(_text(value)) for value in row))
    return table


def _numeric(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column)


def _text(value: Any) -> str:
    """A cell for people: four significant digits, "–" where there is nothing."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
