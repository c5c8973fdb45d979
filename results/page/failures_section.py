"""The page's section of failures: the cells that gave no solution, alike ones joined."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from ..storage.record import RANKED
from .frame import render

__all__ = ["failures_section"]

MOST = 200
"""Rows of the table at most."""

HEADS = (
    ("ending", "text"),
    ("solver", "text"),
    ("family", "text"),
    ("instance", "text"),
    ("cells", ""),
    ("message", "text"),
)


def failures_section(frame: pd.DataFrame) -> Markup:
    """One row an ending, solver, family and message of the cells that are not ranked."""
    failed = frame[~frame["status"].isin(RANKED)]
    keys = ["status", "label", "family", "message"]
    groups = failed.groupby(keys, dropna=False)["instance"].agg(["size", "unique"]).reset_index()
    rows = [_row(row) for row in groups.head(MOST).to_dict("records")]
    return render("failures_section.html", heads=HEADS, rows=rows, more=max(len(groups) - MOST, 0))


def _row(row: dict[Any, Any]) -> dict[str, Any]:
    message, where = row["message"], row["unique"]
    return {
        "ending": row["status"].lower(),
        "solver": row["label"],
        "family": row["family"],
        "instance": where[0] if len(where) == 1 else f"{len(where)} instances",
        "cells": row["size"],
        "message": message if len(message) <= 300 else f"{message[:299]}…",
    }
