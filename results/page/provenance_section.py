"""Where the page's figures come from: commits, machines, versions, and how caps were enforced."""

import json
from collections.abc import Sequence
from html import escape

import pandas as pd

from .html_tables import DASH, cell, several, table

Environment = tuple[str, str, dict[str, str]]
"""Commit, machine and versions, as `Store.environments` gives them."""


def facts(frame: pd.DataFrame, environments: Sequence[Environment]) -> list[tuple[str, str]]:
    """Commits and machines of the cells shown, for the page's head."""
    here = _here(frame, environments)
    return [("Commit", several(entry[0] for entry in here)), ("Machine", several(entry[1] for entry in here))]


def provenance_section(frame: pd.DataFrame, environments: Sequence[Environment]) -> str:
    """One row a commit and machine of the cells shown; several sets of versions stay apart."""
    rows = []
    for commit, machine, versions in _here(frame, environments):
        cells = frame[(frame["commit"] == commit) & (frame["machine"] == machine)]
        alone = float(cells["timing_grade"].astype(float).mean())
        texts = [commit, machine, _limits(cells), _versions(versions)]
        first, second, limits, libraries = (cell(text, escape(text), "text") for text in texts)
        counts = [cell(len(cells), f"{len(cells):,}"), cell(alone, f"{alone:.0%}")]
        rows.append([first, second, *counts, limits, libraries])
    return f'<section id="provenance"><h2>Provenance</h2>{_NOTE}{table(_HEADS, rows)}</section>'


_NOTE = """<p class="note">A commit that ends in + had changes of its own. Timing grade is the share of cells
measured beside no other work. Where one commit and machine ran with several sets of versions, each is a row
and the cells are counted in all of them.</p>"""

_HEADS = (
    ("commit", "text"),
    ("machine", "text"),
    ("cells", ""),
    ("timing grade", ""),
    ("limits", "text"),
    ("versions", "text"),
)


def _here(frame: pd.DataFrame, environments: Sequence[Environment]) -> list[Environment]:
    seen = set(zip(frame["commit"], frame["machine"], strict=True))
    return [entry for entry in environments if entry[:2] in seen]


def _limits(cells: pd.DataFrame) -> str:
    limits = [json.loads(text) for text in cells["limits"].unique()]
    return several(f"{name} by {how}" for one in limits for name, how in one.items())


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) or DASH
