"""The page's leaderboard: the board of everything, and hidden ones by family and budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from ..scoring import contest
from ..scoring.leaderboard import board
from ..scoring.references import References
from ..scoring.scores import TARGETS
from . import downloads
from .frame import render

__all__ = ["board_section", "budgets"]

VIEWS = 60
"""Combinations of family and budget that the leaderboard can be narrowed to at most."""

HEADS = (
    ("#", ""),
    ("solver", "text"),
    ("excess", ""),
    ("", "minor"),
    ("integral", ""),
    *((f"to {name} %", "") for name in TARGETS),
    ("PAR10", "minor"),
    ("seconds", "minor"),
    ("wins", ""),
    ("inst.", "minor"),
    ("imputed", ""),
    ("feasible", ""),
    ("failed", ""),
    ("drop", ""),
)


OVER_TIME = ("integral", *(f"to {name} %" for name in TARGETS), "PAR10")
"""Columns that take the course of a run."""


def board_section(
    frame: pd.DataFrame,
    whole: pd.DataFrame,
    families: Sequence[str],
    references: References,
    *,
    traced: bool = True,
    called: str = "family",
) -> Markup:
    """The board of all cells (`whole`), its narrower ones, their filters and the cells to download.

    Without the course of runs (`traced`) the columns that take it are left out; a family goes by the name
    that it is `called`.
    """
    narrower = islice(_narrower(frame, families, references), VIEWS)
    return render(
        "board_section.html",
        heads=[head for head in HEADS if traced or head[0] not in OVER_TIME],
        traced=traced,
        called=called,
        targets=list(TARGETS),
        views=[_view("", "", whole, _joined(families)), *narrower],
        first=families[0] if len(families) > 1 else "",
        families=families,
        budgets=list(budgets(frame)),
        downloads=downloads.links(frame, parquet=traced),
    )


def _joined(families: Sequence[str]) -> list[str]:
    """A warning where a board holds several families."""
    many = f"This board joins {len(families)} families, which are no rivals; choose one above."
    return [many] if len(families) > 1 else []


def budgets(frame: pd.DataFrame) -> dict[str, pd.Series[bool]]:
    """The cells of each budget, by its name."""
    return {str(name): frame["budget"] == name for name in sorted(frame["budget"].unique())}


def _narrower(
    frame: pd.DataFrame, families: Sequence[str], references: References
) -> Iterator[dict[str, Any]]:
    """Boards by family, budget and both, of those that have several."""
    named = budgets(frame)
    choices = [
        (family, budget)
        for family in (None, *(families if len(families) > 1 else ()))
        for budget in (None, *(named if len(named) > 1 else ()))
    ]
    for family, budget in choices[1:]:
        cells = frame if family is None else frame[frame["family"] == family]
        cells = cells if budget is None else cells[named[budget].loc[cells.index]]
        if len(cells):
            yield _view(family or "", budget or "", board(cells, references, do_nothing=True))


def _view(family: str, budget: str, shown: pd.DataFrame, notes: Sequence[str] = ()) -> dict[str, Any]:
    """The rows of a board, each with the places of its strip on the board's own scale."""
    widest = shown[["excess", "excess_high"]].max().max()
    scale = float(np.clip(widest, 1.0, 2.0)) * 1.05 if np.isfinite(widest) else 1.05
    rows = [(row, _strip(row, scale)) for row in contest.rows(shown)]
    return {"family": family, "budget": budget, "rows": rows, "notes": [*notes, *contest.notes(shown)]}


def _strip(row: dict[Any, Any], scale: float) -> dict[str, float | None] | None:
    """The median and its interval in per cent of a strip, 0 at the left; `one` is the baseline's place."""

    def place(value: float) -> float:
        return 100 * float(np.clip(value / scale, 0.0, 1.0))

    if not np.isfinite(row["excess"]):
        return None
    dot = {"one": place(1.0), "dot": place(row["excess"])}
    if not np.isfinite(row["excess_low"]):
        return {**dot, "low": None, "width": None}
    low, high = place(row["excess_low"]), place(row["excess_high"])
    return {**dot, "low": low, "width": high - low}
