"""Where the page's figures come from: commits, machines, versions, and how caps were enforced."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from ..storage.trust import on_trust
from .frame import render
from .number_texts import DASH, several

__all__ = ["Environment", "facts", "provenance_section"]

Environment = tuple[str, str, dict[str, str]]
"""Commit, machine and versions, as `Store.environments` gives them."""

HEADS = (
    ("commit", "text"),
    ("machine", "text"),
    ("cells", ""),
    ("timing grade", ""),
    ("limits", "text"),
    ("versions", "text"),
)


def facts(frame: pd.DataFrame, environments: Sequence[Environment]) -> list[tuple[str, str]]:
    """Commits and machines of the cells shown, for the page's head."""
    here = _here(frame, environments)
    return [("Commit", several(entry[0] for entry in here)), ("Machine", several(entry[1] for entry in here))]


def provenance_section(frame: pd.DataFrame, environments: Sequence[Environment]) -> Markup:
    """One row a commit and machine of the cells shown; several sets of versions stay apart."""
    rows = [_row(frame, *entry) for entry in _here(frame, environments)]
    trusted = ", ".join(name.replace("_", " ") for name in on_trust())
    return render("provenance_section.html", heads=HEADS, rows=rows, trusted=trusted)


def _row(frame: pd.DataFrame, commit: str, machine: str, versions: dict[str, str]) -> dict[str, Any]:
    cells = frame[(frame["commit"] == commit) & (frame["machine"] == machine)]
    return {
        "commit": commit,
        "machine": machine,
        "cells": len(cells),
        "alone": float(cells["timing_grade"].astype(float).mean()),
        "limits": _limits(cells),
        "versions": _versions(versions),
    }


def _here(frame: pd.DataFrame, environments: Sequence[Environment]) -> list[Environment]:
    seen = set(frame[["commit", "machine"]].drop_duplicates().itertuples(index=False, name=None))
    return [entry for entry in environments if entry[:2] in seen]


def _limits(cells: pd.DataFrame) -> str:
    limits = [json.loads(text) for text in cells["limits"].unique()]
    return several(f"{name} by {how}" for one in limits for name, how in one.items())


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) or DASH
