"""Published cells as a page: the board of each suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from ..scoring.contest import notes, rows
from ..scoring.leaderboard import leaderboard
from ..scoring.references import References, load_references
from ..scoring.scores import POLICY
from ..storage.cells_csv import REJUDGEABLE
from .frame import page
from .number_texts import several

__all__ = ["published_page"]

HEADS = (
    ("#", ""),
    ("solver", "text"),
    ("excess", ""),
    ("95 %", ""),
    ("wins", ""),
    ("instances", ""),
    ("cells", ""),
    ("imputed", ""),
    ("seconds", ""),
    ("drop", ""),
)


def published_page(suites: Mapping[str, pd.DataFrame], *, references: References | None = None) -> str:
    """One self-contained page with the leaderboard of each suite, from its published cells."""
    references = references or load_references()
    return page(
        "published_page.html",
        title="qubopress: published results",
        heads=HEADS,
        suites=[_suite(name, frame, references) for name, frame in _boards(suites)],
        paragraphs=POLICY,
        references=str(references),
    )


def _boards(suites: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, pd.DataFrame]]:
    """The cells of each suite, those of several families apart, which are no rivals."""
    for name, frame in suites.items():
        parts = list(frame.groupby("family"))
        for family, part in parts:
            yield (name if len(parts) == 1 else f"{name}-{family}"), part


def _suite(name: str, frame: pd.DataFrame, references: References) -> dict[str, Any]:
    facts = [
        f"{len(frame):,} cells on {frame['instance_key'].nunique():,} instances, {several(frame['family'])}",
        f"measured on {several(frame['machine'])} at commit {several(frame['commit'])}",
        f"bits of {int(frame[REJUDGEABLE].sum()):,} cells are published",
    ]
    board = leaderboard(frame, references=references, do_nothing=True)
    return {"name": name, "facts": facts, "rows": rows(board), "notes": notes(board)}
