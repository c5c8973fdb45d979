"""The page's section of one family: its pictures, their legend, and whether loss tells of the metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from markupsafe import Markup

from ..scoring.anytime import Traces
from ..scoring.correlation import correlations
from ..scoring.own_work import OwnWork
from . import figures as draw
from .frame import render

__all__ = ["family_section"]

DASHES = {"solid": "", "dash": "5 3", "dot": "1.5 3", "dashdot": "6 3 1.5 3"}
"""Plotly's dashes as SVG has them."""

HEADS = (
    ("problem", "text"),
    ("metric", "text"),
    ("Spearman's \N{GREEK SMALL LETTER RHO}", ""),
    ("95 % of \N{GREEK SMALL LETTER RHO}", ""),
    ("instances", ""),
    ("solutions", ""),
)


def family_section(
    cells: pd.DataFrame,
    traces: Traces,
    looks: draw.Styles,
    *,
    place: int,
    drawn: list[draw.Figure],
    notes: Sequence[str] = (),
    work: OwnWork | None = None,
) -> Markup:
    """The section of the page's family number `place`, which notes may begin.

    Its pictures are added to those drawn so far; without traces none is over time, without counts of work
    beside them none over work.
    """
    work = work or OwnWork()
    entered = set(cells["label"].unique())
    mine = {name: look for name, look in looks.items() if name in entered}
    return render(
        "family_section.html",
        place=place,
        family=cells["family"].iloc[0],
        notes=notes,
        legend=_legend(mine, work.unit(cells)),
        switch=bool(work.unit(cells)),
        left_out=work.left_out(cells),
        times=_placed(draw.anytime_panels(cells, traces, mine, work if work.unit(cells) else None), drawn),
        distributions=_placed(draw.distribution_panels(cells, mine), drawn),
        metrics=_placed(draw.metric_panels(cells, mine), drawn),
        sizes=_placed(draw.size_panels(cells, mine), drawn),
        heads=HEADS,
        correlations=_correlations(cells),
    )


def _placed(panels: Iterable[draw.Figure], drawn: list[draw.Figure]) -> list[tuple[int, draw.Figure]]:
    """Pictures with their places among all of the page's, which they join."""
    placed = list(enumerate(panels, start=len(drawn)))
    drawn += [one for _, one in placed]
    return placed


def _legend(looks: draw.Styles, units: Mapping[str, str]) -> list[dict[str, str]]:
    """What a button says of a solver; plotly knows its line by the escaped name."""
    return [
        {
            "name": name,
            "escaped": escape(name),
            "colour": colour,
            "dashes": DASHES[dash],
            "unit": units.get(name, ""),
        }
        for name, (colour, dash) in looks.items()
    ]


def _correlations(cells: pd.DataFrame) -> list[dict[Any, Any]]:
    """The rank correlation of loss and metric, by problem where there are several."""
    rows: list[dict[Any, Any]] = correlations(cells).to_dict("records")
    return [row for row in rows if not row["problem"] or cells["problem"].nunique() > 1]
