"""Published cells as a page: a report of all suites at once, without what takes the course of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from ..scoring.anytime import timed
from ..scoring.contest import DO_NOTHING
from ..scoring.leaderboard import board
from ..scoring.references import References, load_references
from ..scoring.scored_cells import measured, score
from ..scoring.scores import POLICY
from ..storage.cells_csv import REJUDGEABLE
from ..storage.record import STORED_BYTES
from . import figures as draw
from .board_section import board_section
from .failures_section import failures_section
from .family_section import family_section
from .frame import page
from .instances_section import instances_section
from .number_texts import several
from .provenance_section import provenance_section

__all__ = ["published_page"]


def published_page(suites: Mapping[str, pd.DataFrame], *, references: References | None = None) -> str:
    """One self-contained page of all suites, from their published cells.

    It is made of a report's sections; a suite, or each family of one that has several, stands for a family.
    Traces are not published, so that no curve over time is drawn.
    """
    references = references or load_references()
    boards = {name: _scored(name, frame, references) for name, frame in _boards(suites)}
    if not boards:
        return page("published_page.html", title=TITLE, sections=[], links=[], **_words(references))
    frame = pd.concat(list(boards.values()), ignore_index=True)
    shown = board(frame, references, do_nothing=True)
    looks = draw.styles([name for name in shown["solver"] if name != DO_NOTHING])
    drawn: list[draw.Figure] = []
    sections = [
        family_section(cells, {}, looks, place=place, drawn=drawn, notes=[_facts(cells)])
        for place, cells in enumerate(boards.values())
    ]
    environments = frame[["commit", "machine"]].drop_duplicates().itertuples(index=False, name=None)
    return page(
        "published_page.html",
        title=TITLE,
        figures=drawn,
        links=[
            ("leaderboard", "Leaderboard"),
            *((f"family-{place}", name) for place, name in enumerate(boards)),
            *((name.lower(), name) for name in ("Instances", "Failures", "Provenance")),
            ("policy", "How it is scored"),
        ],
        sections=[
            board_section(frame, shown, [*boards], references, traced=False, called="suite"),
            *sections,
            instances_section(frame, references),
            failures_section(frame),
            provenance_section(frame, [(commit, machine, {}) for commit, machine in environments]),
        ],
        **_words(references),
    )


TITLE = "qubopress: published results"


def _words(references: References) -> dict[str, Any]:
    return {"paragraphs": POLICY, "references": str(references)}


def _boards(suites: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, pd.DataFrame]]:
    """The cells of each suite, those of several families apart, which are no rivals."""
    for name, frame in suites.items():
        parts = list(frame.groupby("family"))
        for family, part in parts:
            yield (name if len(parts) == 1 else f"{name}-{family}"), part


def _scored(name: str, frame: pd.DataFrame, references: References) -> pd.DataFrame:
    """The cells of a board, scored among themselves, its name in the place of their family."""
    cells = timed(score(frame, references=references), None)
    return cells.assign(family=name, stored_bytes=measured(cells, STORED_BYTES))


def _facts(frame: pd.DataFrame) -> str:
    counts = f"{len(frame):,} cells on {frame['instance_key'].nunique():,} instances"
    measured_on = f"measured on {several(frame['machine'])} at commit {several(frame['commit'])}"
    return f"{counts}; {measured_on}; bits of {int(frame[REJUDGEABLE].sum()):,} cells are published."
