"""Leaderboards on stdout: all there is for a program, what fits one screen for a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..network_costs import with_costs

if TYPE_CHECKING:
    import pandas as pd

    from ..finished import Note
    from ..suite import Suite

__all__ = ["show_board", "show_boards", "show_by"]

KEEP = ("solver", "excess", "cut", "95 %", "rank", "imputed", "drop", "seconds", "endings", "wins", "cells")
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

SCORE = "solvers by normalised excess (0 best known, 1 baseline)"


def show_boards(store: Path, suite: Suite | Note, format: str) -> None:  # noqa: A002
    """What a suite came to: its table over a parameter, if it has one, and its leaderboard."""
    from ... import results

    if suite.by:
        table = results.by_parameter(store, suite.by, suite=suite.name)
        show_by(table, suite.by, format, title=f"{suite.name}: by {suite.by}")
    # A program that reads the output wants one table.
    if format == "table" or not suite.by:
        board = results.leaderboard(store, suite=suite.name)
        show_board(board, format, title=f"{suite.name}: {SCORE}")


def show_by(table: pd.DataFrame, by: str, format: str, *, title: str = "") -> None:  # noqa: A002
    """A table over the parameter `by`; over bits with what the network costs to store and to run."""
    from .tables import show

    show(with_costs(table) if by == "bits" else table, format, title=title, keep=(by, *KEEP_BY))


def show_board(board: pd.DataFrame, format: str, *, title: str = SCORE) -> None:  # noqa: A002
    """Every column for a program; for a person those that fit one screen, intervals and endings in words."""
    from .tables import show

    show(_in_words(board) if format == "table" else board, format, title=title, keep=KEEP)


def _in_words(board: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard as a person reads it."""
    import pandas as pd

    words = pd.DataFrame([_row_in_words(row) for row in board.to_dict("records")])
    # After a cut, those that are not ranked have no places and counts.
    counted = ("rank", "wins", "instances", "cells", "imputed")
    return words.astype({name: "Int64" for name in counted if name in words})


def _row_in_words(row: dict[Any, Any]) -> dict[str, Any]:
    """An interval in one column, the cells' endings in another."""
    import pandas as pd

    from ...results.storage.record import STATUSES

    endings = [(row[name], name) for name in STATUSES if name in row and pd.notna(row[name])]
    known = pd.notna(row["excess_low"])
    words = {
        "rank": row["rank"],
        "solver": row["solver"],
        "excess": row["excess"],
        "95 %": f"{row['excess_low']:.3g} – {row['excess_high']:.3g}" if known else None,
        "wins": row["wins"],
        "instances": row["instances"],
        "cells": row["cells"],
        "imputed": row["imputed"],
        "seconds": row["seconds"],
        "drop": row["metric_drop"],
        "integral": row["primal_integral"],
        "endings": ", ".join(f"{count} {name}" for count, name in endings if count),
    }
    return words | ({"cut": row["cut"]} if "cut" in row else {})
