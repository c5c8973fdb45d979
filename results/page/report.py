"""A store as one self-contained HTML page: boards, curves, metrics, instances, provenance, policy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd

from ..scoring.anytime import Traces, timed
from ..scoring.contest import DO_NOTHING
from ..scoring.leaderboard import board
from ..scoring.own_work import OwnWork, own_work
from ..scoring.references import References, load_references
from ..scoring.scored_cells import Wanted, matching, measured, score
from ..scoring.scores import POLICY
from ..storage.errors import StoreError
from ..storage.record import STORED_BYTES
from ..storage.store import Store
from ..storage.whole_files import write_whole
from . import figures as draw
from .board_section import board_section, budgets
from .failures_section import failures_section
from .family_section import family_section
from .frame import page
from .instances_section import instances_section
from .number_texts import DASH
from .provenance_section import Environment, facts, provenance_section

__all__ = ["report"]


def report(
    path: str | Path, out: str | Path, *, suite: Wanted = None, references: References | None = None
) -> Path:
    """Write the report of a store, or of some suites in it, to `out`, and give its path.

    The page needs no network and no other file. It appears whole or not at all. References are those of the
    package's registry unless others are given.

    Raises:
        StoreError: the store cannot be read or has no such cells, or `out` cannot be written.
    """
    references = references or load_references()
    with Store(path) as store:
        whole, traces, environments = store.frame(), store.traces(), store.environments()
        work = own_work(traces, store.work())
    whole = timed(score(whole, references=references), traces)
    whole = whole.assign(stored_bytes=measured(whole, STORED_BYTES))
    frame = whole[matching(whole, suite=suite)]
    if frame.empty:
        held = ", ".join(sorted(whole["suite"].unique())) or "none at all"
        raise StoreError(f"{path} must hold cells of the suite to report, got {suite!r}; it holds {held}")
    title = ", ".join(sorted(frame["suite"].unique()))
    return write_whole(
        out, _html(title, frame.reset_index(drop=True), traces, work, environments, references)
    )


def _html(
    title: str,
    frame: pd.DataFrame,
    traces: Traces,
    work: OwnWork,
    environments: Sequence[Environment],
    references: References,
) -> str:
    shown = board(frame, references, do_nothing=True)
    looks = draw.styles([name for name in shown["solver"] if name != DO_NOTHING])
    families = sorted(frame["family"].unique())
    drawn: list[draw.Figure] = []
    of_families = [
        family_section(frame[frame["family"] == family], traces, looks, place=place, drawn=drawn, work=work)
        for place, family in enumerate(families)
    ]
    return page(
        "report.html",
        title=f"qubopress: {title}",
        figures=drawn,
        heading=title,
        entries=_entries(frame, environments, references),
        links=_links(families),
        sections=[
            board_section(frame, shown, families, references),
            *of_families,
            instances_section(frame, references),
            failures_section(frame),
            provenance_section(frame, environments),
        ],
        paragraphs=POLICY,
        references=str(references),
    )


def _links(families: Sequence[str]) -> list[tuple[str, str]]:
    """Where the menu leads, and its words."""
    return [
        ("leaderboard", "Leaderboard"),
        *((f"family-{place}", family or "no family") for place, family in enumerate(families)),
        ("instances", "Instances"),
        ("failures", "Failures"),
        ("provenance", "Provenance"),
        ("policy", "How it is scored"),
    ]


def _entries(
    frame: pd.DataFrame, environments: Sequence[Environment], references: References
) -> list[tuple[str, str]]:
    """What the page's head says of the cells."""
    families = ", ".join(sorted(frame["family"].unique())) or DASH
    return [
        ("Cells", f"{len(frame):,}, of which {int((~frame['ranked']).sum()):,} imputed"),
        ("Instances", f"{frame['instance_key'].nunique():,} in {families}"),
        ("Solvers, seeds", f"{frame['label'].nunique():,} solvers, {frame['seed'].nunique():,} seeds"),
        ("Budgets", ", ".join(budgets(frame)) or DASH),
        ("Finished", _dates(frame["finished_at"])),
        ("References", str(references)),
        *facts(frame, environments),
    ]


def _dates(finished: pd.Series[str]) -> str:
    first, last = (datetime.fromisoformat(value) for value in (finished.min(), finished.max()))
    until = f"{last:%H:%M}" if last.date() == first.date() else f"{last:%Y-%m-%d %H:%M}"
    return f"{first:%Y-%m-%d %H:%M}{DASH}{until} UTC"
