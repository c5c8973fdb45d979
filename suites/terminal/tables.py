"""Tables on stdout: for a terminal as wide as it is, for a pipe never truncated, for a program as data."""

from __future__ import annotations

import csv
import json
import math
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ...results.markdown import markdown_table

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import JustifyMethod

from .console import CallError

__all__ = ["FORMATS", "show", "show_texts", "tell_folded"]

FORMATS = ("table", "csv", "json", "markdown")

TOGETHER = (("low", "high"), ("better", "worse"))
"""Columns that say too little alone: a narrow terminal leaves out both."""

PROSE = 40
"""Columns of a terminal that the widest column should have, before the others are folded for it."""

PIPE_WIDTH = 10_000
"""Columns assumed where no terminal sets a limit."""


def show(
    frame: pd.DataFrame,
    format: str = "table",  # noqa: A002
    *,
    title: str = "",
    keep: tuple[str, ...] = (),
    columns: tuple[str, ...] | None = None,
) -> None:
    """Print a table.

    Parameters:
        frame: what to print.
        format: "table", "csv", "json" (a list of objects) or "markdown".
        title: stands above a table.
        keep: columns by importance. A terminal too narrow for all leaves out the others first, then the
            least important, never the first two; a note names them. Without any, all are shown, folded.
        columns: these alone, in this order, however narrow the terminal; none of a command that takes
            `--columns` and was given none, None of one that does not.

    Raises:
        CallError: a column that the table does not have.
    """
    if columns:
        frame, keep = _chosen(frame, columns), ()
    if format == "csv":
        sys.stdout.write(frame.to_csv(index=False))
    elif format == "json":
        print(json.dumps(_plain(frame), indent=2, allow_nan=False))
    elif format == "markdown":
        print(_markdown(frame))
    else:
        _print_table(frame, title, keep, chooses=columns is not None)


def show_texts(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    format: str = "table",  # noqa: A002
    *,
    title: str = "",
) -> None:
    """Print a table of texts as `show` does, without pandas, which takes half a second to import."""
    if format == "csv":
        csv.writer(sys.stdout, lineterminator="\n").writerows([names, *rows])
    elif format == "json":
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
    elif format == "markdown":
        print(_in_markdown(names, rows, ["---"] * len(names)))
    else:
        columns = [[_text(row[place]) for row in rows] for place in range(len(names))]
        grid = [_Column(name, False, texts) for name, texts in zip(names, columns, strict=True)]
        _print(_console(_width()), grid, title)


def _chosen(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    for name in columns:
        if name not in frame:
            has = ", ".join(map(str, frame.columns))
            raise CallError(f"--columns must name columns of the table, got {name!r}; it has: {has}")
    return frame[list(dict.fromkeys(columns))]


def tell_folded(text: str) -> None:
    """A note for a person on stderr, folded at words where that is a terminal."""
    width = Console(stderr=True).width if sys.stderr.isatty() else PIPE_WIDTH
    print(
        textwrap.fill(text, max(width, 20), break_long_words=False, break_on_hyphens=False), file=sys.stderr
    )


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(key): _json(value) for key, value in row.items()} for row in records]


def _json(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _markdown(frame: pd.DataFrame) -> str:
    """GitHub's table: numbers to the right, bars in texts escaped."""
    rule = ["---:" if _numeric(frame[name]) else "---" for name in frame]
    return _in_markdown(list(map(str, frame.columns)), frame.itertuples(index=False), rule)


def _in_markdown(names: Sequence[str], rows: Iterable[Iterable[Any]], rule: Sequence[str]) -> str:
    texts = [[_text(value).replace("|", "\\|") for value in row] for row in rows]
    return markdown_table([names, rule, *texts])


def _print_table(frame: pd.DataFrame, title: str, keep: tuple[str, ...], *, chooses: bool) -> None:
    console = _console(_width())
    left_out: list[str] = []
    for name in _expendable(frame, keep):
        if _needs(console, _table(_grid(frame))) <= console.width:
            break
        gone = [one for one in _with(name) if one in frame]
        left_out += gone
        frame = frame.drop(columns=gone)
    _print(console, _grid(frame), title)
    if left_out:
        cure = f"{'--columns chooses, ' if chooses else ''}--format csv has all"
        tell_folded(f"left out for the terminal's width: {', '.join(left_out)}; {cure}")


def _with(name: str) -> tuple[str, ...]:
    """The column, and the one without which it says too little."""
    return next((pair for pair in TOGETHER if name in pair), (name,))


class _Column(NamedTuple):
    """A column as it is printed; numbers stand to the right."""

    name: str
    numeric: bool
    texts: list[str]


def _grid(frame: pd.DataFrame) -> list[_Column]:
    return [_Column(str(name), _numeric(frame[name]), [*map(_text, frame[name])]) for name in frame]


def _width() -> int:
    return Console(file=sys.stdout).width if sys.stdout.isatty() else PIPE_WIDTH


def _needs(console: Console, table: Table) -> int:
    """Columns of a terminal that a table takes where nothing is folded."""
    return console.measure(table, options=console.options.update(width=PIPE_WIDTH)).maximum


def _folds(console: Console, grid: list[_Column]) -> dict[str, int]:
    """Widths of texts that are folded at their words, so that the widest column has room for its own."""
    cells = {column.name: [column.name, *column.texts] for column in grid}
    whole = {name: max(map(len, texts)) for name, texts in cells.items()}
    widest = max(whole, key=lambda name: whole[name], default="")
    spare = console.width - (_needs(console, _table(grid)) - whole.get(widest, 0))
    if spare >= min(PROSE, whole.get(widest, 0)):
        return {}
    word = {
        name: max(len(one) for text in texts for one in text.split() or [""]) for name, texts in cells.items()
    }
    return {name: max(word[name], min(whole[name], 12)) for name in whole if name != widest}


def _print(console: Console, grid: list[_Column], title: str) -> None:
    with console.capture() as capture:
        if title:
            console.print(title, style="bold")
        console.print(_table(grid, _folds(console, grid)))
    # Printed by print, so that a reader who leaves early is noticed where all output is.
    print("\n".join(line.rstrip() for line in capture.get().splitlines()))


def _expendable(frame: pd.DataFrame, keep: tuple[str, ...]) -> list[str]:
    """Columns in the order in which a narrow terminal leaves them out."""
    if not keep:
        return []
    others = [name for name in frame if name not in keep]
    return [*reversed(others), *(name for name in reversed(keep[2:]) if name in frame)]


def _console(width: int) -> Console:
    """A console that takes texts as they are: a solver's name is no markup."""
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def _table(grid: list[_Column], folds: dict[str, int] | None = None) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in grid:
        # A word that has no room is folded onto the next line, never cut.
        justify: JustifyMethod = "right" if column.numeric else "left"
        width = (folds or {}).get(column.name)
        table.add_column(column.name, justify=justify, overflow="fold", max_width=width)
    for row in zip(*(column.texts for column in grid), strict=True):
        table.add_row(*row)
    return table


def _numeric(column: pd.Series[Any]) -> bool:
    return column.dtype.kind in "iuf"


def _text(value: Any) -> str:
    """A cell for people, in one line: four significant digits, "–" where there is nothing."""
    if value is None or str(value) == "<NA>" or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(str(value).split())
