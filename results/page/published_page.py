"""Published cells: a suite's records as one CSV file without bits and traces, and a page of their boards."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from ..scoring.leaderboard import leaderboard
from ..scoring.references import References, load_references
from ..scoring.scores import POLICY
from ..storage.cells_csv import REJUDGEABLE
from .frame import CSS, SCRIPT
from .html_tables import DASH, between, cell, digits, fixed, several, table


def published_page(suites: Mapping[str, pd.DataFrame], *, references: References | None = None) -> str:
    """One self-contained page with the leaderboard of each suite, from its published cells."""
    references = references or load_references()
    links = "".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in suites)
    sections = [_section(name, frame, references) for name, frame in suites.items()]
    policy = "".join(f"<p>{escape(text)}</p>" for text in POLICY)
    body = [
        f'<header><h1>Published results</h1><p class="lead">{_LEAD}</p></header><nav>{links}</nav>',
        *sections,
        f'<section><h2>How it is scored</h2>{policy}<p class="note">{escape(str(references))}</p></section>',
    ]
    return _PAGE.format(css=CSS, body="\n".join(body), script=SCRIPT)


def _section(name: str, frame: pd.DataFrame, references: References) -> str:
    board = leaderboard(frame, references=references)
    rows = [_row(row) for row in board.to_dict("records")]
    recomputed = int(frame[REJUDGEABLE].sum())
    facts = [
        f"{len(frame):,} cells on {frame['instance_key'].nunique():,} instances, {several(frame['family'])}",
        f"measured on {several(frame['machine'])} at commit {several(frame['commit'])}",
        f"bits of {recomputed:,} cells are published",
    ]
    about = f'<p class="note">{escape("; ".join(facts))}.</p>'
    return f'<section id="{escape(name)}"><h2>{escape(name)}</h2>{about}{table(_HEADS, rows)}</section>'


_HEADS = (
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


def _row(row: dict[Any, Any]) -> list[str]:
    counts = ("wins", "instances", "cells", "imputed")
    return [
        cell(row["rank"], str(row["rank"])),
        cell(row["solver"], escape(row["solver"]), "text name"),
        cell(row["excess"], fixed(row["excess"])),
        cell(row["excess_low"], between(row["excess_low"], row["excess_high"]) or DASH),
        *(cell(row[name], f"{int(row[name]):,}") for name in counts),
        cell(row["seconds"], digits(row["seconds"])),
        cell(row["metric_drop"], fixed(row["metric_drop"]) if np.isfinite(row["metric_drop"]) else DASH),
    ]


_LEAD = """Each suite's solvers by normalised excess: 0 is the best known loss, 1 the baseline (round to
nearest, or greedy Taylor). <code>qubopress rejudge</code> recomputes the rows whose bits are published."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>qubopress: published results</title>
<style>{css}</style>
</head>
<body>
{body}
<script type="application/json" id="figures">[]</script>
<script>{script}</script>
</body>
</html>
"""
