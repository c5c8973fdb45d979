"""Leaderboards on stdout: all there is for a program, what fits one screen for a person."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..network_costs import with_costs
from .tables import tell_folded

if TYPE_CHECKING:
    import pandas as pd

    from ...results.scoring.scored_cells import Wanted
    from ..finished import Note
    from ..suite import Suite

__all__ = ["show_board", "show_boards", "show_by", "show_leaderboards"]

KEEP = (
    "solver",
    "excess",
    "why not",
    "rank",
    "adapter",
    "imputed",
    "95 %",
    "wins",
    "seconds",
    "drop",
    "endings",
    "instances",
    "cells",
)
"""Columns of the leaderboard that matter most, for terminals too narrow for all."""

KEEP_BY = (
    "solver",
    "metric",
    "network",
    "variant",
    "ratio",
    "imputed",
    "drop",
    "KiB",
    "nJ",
    "problem",
    "loss",
)
"""The same of a table over a parameter, which comes first."""

SCORE = "solvers by normalised excess (0 {best}, 1 baseline)"

COUNTED = ("rank", "wins", "instances", "cells", "imputed")


def show_boards(store: Path, suite: Suite | Note, format: str) -> None:  # noqa: A002
    """What a suite came to: its table over a parameter, if it has one, and its leaderboard."""
    from ... import results

    if suite.by:
        table = results.by_parameter(store, suite.by, suite=suite.name)
        show_by(table, suite.by, format, title=f"{suite.name}: by {suite.by}")
    # A program that reads the output wants one table.
    if format == "table" or not suite.by:
        show_leaderboards(store, format, suite=suite.name)


def show_leaderboards(
    store: Path,
    format: str,  # noqa: A002
    *,
    suite: Wanted = None,
    family: Wanted = None,
    at_seconds: float | None = None,
    columns: tuple[str, ...] | None = None,
) -> bool:
    """A board for each suite and family, which are no rivals; whether there is any.

    A program gets one table of them all, whose first columns say which.
    """
    import pandas as pd

    from ...results.scoring.leaderboard import leaderboards
    from ...results.storage.record import STATUSES
    from .tables import show

    boards = leaderboards(store, suite=suite, family=family, at_seconds=at_seconds, do_nothing=True)
    if format == "table":
        for number, ((one, of), board) in enumerate(boards.items()):
            if number and sys.stdout.isatty():
                print()  # the notes of the board before come last there
            show_board(board, format, name=f"{one} · {of or 'no family'}", columns=columns)
    elif boards:
        named = [_named(board, one, of, format) for (one, of), board in boards.items()]
        whole = pd.concat(named, ignore_index=True)
        counts = {name: "Int64" for name in (*COUNTED, *STATUSES) if name in whole}
        show(whole.astype(counts), format, columns=columns)
    return bool(boards)


def _named(board: pd.DataFrame, suite: str, family: str, format: str) -> pd.DataFrame:  # noqa: A002
    """A board with its name in the first columns; Markdown is for people."""
    board = _in_words(board) if format == "markdown" else board
    board.attrs = {}
    board.insert(0, "suite", suite)
    board.insert(1, "family", family)
    return board


def show_by(
    table: pd.DataFrame,
    by: str,
    format: str,  # noqa: A002
    *,
    title: str = "",
    columns: tuple[str, ...] | None = None,
) -> None:
    """A table over the parameter `by`; over bits with what the network costs to store and to run."""
    from .tables import show

    told = with_costs(table) if by == "bits" else table
    show(told, format, title=title, keep=(by, *KEEP_BY), columns=columns)


def show_board(
    board: pd.DataFrame,
    format: str,  # noqa: A002
    *,
    name: str = "",
    columns: tuple[str, ...] | None = None,
) -> None:
    """Every column for a program; for a person those that fit one screen, intervals and endings in words.

    Below it stand the notes without which the ranks would mislead.
    """
    from .tables import show

    if format not in ("table", "markdown"):
        show(board, format, columns=columns)
        return
    alone = len(board.attrs.get("unregistered", [])) == len(board.attrs.get("instances", [])) > 0
    score = SCORE.format(best="best of this store" if alone else "best known")
    show(
        _in_words(board),
        format,
        title=f"{name}: {score}" if name else score,
        keep=KEEP,
        columns=columns,
    )
    from ...results.scoring.contest import notes

    for note in notes(board):
        tell_folded(note)


def _in_words(board: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard as a person reads it."""
    import pandas as pd

    words = pd.DataFrame([_row_in_words(row) for row in board.to_dict("records")])
    # After a cut, those that are not ranked have no places and counts.
    words = words.astype({name: "Int64" for name in COUNTED if name in words})
    return words.drop(columns=[name for name in ("adapter", "why not") if not words[name].any()])


def _row_in_words(row: dict[Any, Any]) -> dict[str, Any]:
    """An interval in one column, the cells' endings in another."""
    import pandas as pd

    from ...results.storage.record import STATUSES

    endings = [(row[name], name) for name in STATUSES if name in row and pd.notna(row[name])]
    known = pd.notna(row["excess_low"])
    return {
        "rank": row["rank"],
        "solver": row["solver"],
        "excess": row["excess"],
        "95 %": f"{row['excess_low']:.3g} – {row['excess_high']:.3g}" if known else None,
        "adapter": _text(row["adapter"]),
        "wins": row["wins"],
        "instances": row["instances"],
        "cells": row["cells"],
        "imputed": row["imputed"],
        "seconds": row["seconds"],
        "drop": row["metric_drop"],
        "integral": row["primal_integral"],
        "endings": ", ".join(f"{count:.0f} {name}" for count, name in endings if count),
        "why not": _text(row["unranked"]) or _text(row.get("cut")),
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
