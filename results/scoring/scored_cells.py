"""Cells with their reference, excess, drop and label."""

from __future__ import annotations

import json
from collections.abc import Collection, Container, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from ..storage.budget import LIMITS
from ..storage.budget_columns import budgets, differing_limits
from ..storage.store import Store
from . import scores
from .anytime import Traces
from .references import References, load_references

__all__ = ["UNSET", "Wanted", "as_text", "differs", "labels", "matching", "measured", "read", "score"]


def differs(settings: list[dict[str, Any]], name: str) -> bool:
    """Whether a parameter has more than one value, or is set in some settings only."""
    return len({as_text(setting.get(name, UNSET)) for setting in settings}) > 1


def read(
    source: str | Path | pd.DataFrame, traces: Traces | None = None, *, without: Container[str] = ()
) -> tuple[pd.DataFrame, Traces | None]:
    """Give the table, but for some columns, and the traces of a store; a table is taken as it is."""
    if isinstance(source, pd.DataFrame):
        return source, traces
    with Store(source) as store:
        return store.frame(without=without), store.traces()


def score(source: str | Path | pd.DataFrame, *, references: References | None = None) -> pd.DataFrame:
    """Read the table and add each cell's scores, its `budget` in words and its solver's `label`.

    `setting` is the label without the budget: two budgets of a solver are rows of a board, no rivals.

    The scores are `ranked`, `reference` (of its instance, registry included), `excess`, `drop` and
    `improves` (whether it is better than the registry).
    """
    frame = source if isinstance(source, pd.DataFrame) else read(source)[0]
    registry = (references or load_references()).losses
    frame = frame.assign(
        ranked=scores.ranked(frame),
        reference=scores.reference(frame, registry),
        improves=scores.improves(frame, registry),
        drop=scores.metric_drop(frame),
        label=labels(frame),
        setting=labels(frame, limits=()),
        budget=budgets(frame),
    )
    return frame.assign(excess=scores.excess(frame))


def labels(frame: pd.DataFrame, *, limits: Sequence[str] = LIMITS) -> pd.Series[str]:
    """Name each row's solver, with what of its budget and parameters differs in this table.

    Parameters:
        frame: a table of cells.
        limits: columns of the budget that tell two rows of a solver apart.
    """
    kinds = frame[["solver", "parameters", *limits]].drop_duplicates()
    told = frame["solver"].astype("str").copy()
    for solver, settings in kinds.groupby("solver"):
        if len(settings) == 1:
            continue
        mine = frame["solver"] == solver
        texts = dict(zip(settings["parameters"], _differing(list(settings["parameters"])), strict=True))
        # Values of parameters are JSON, so that none ends in a comma of its own.
        both = differing_limits(frame[mine], limits) + ", " + frame.loc[mine, "parameters"].map(texts)
        shown = both.str.strip(", ")
        told[mine] = (str(solver) + "(" + shown + ")").where(shown != "", str(solver))
    return told


def _differing(texts: list[str]) -> list[str]:
    """Of each setting of parameters what differs, in words."""
    settings: list[dict[str, Any]] = [json.loads(text) for text in texts]
    names = sorted({name for setting in settings for name in setting})
    differing = [name for name in names if differs(settings, name)]
    return [
        ", ".join(f"{name}={as_text(setting[name])}" for name in differing if name in setting)
        for setting in settings
    ]


def measured(frame: pd.DataFrame, name: str) -> pd.Series[float]:
    """By row, the measure of that name of the compressed network; NaN where a record has none."""
    found = {text: json.loads(text).get(name) for text in frame["measures"].unique()}
    return frame["measures"].map(found).astype("float64")


Wanted: TypeAlias = str | Collection[str] | None
"""A value, or several any of which will do; None or no value for any."""


def matching(frame: pd.DataFrame, **wanted: Wanted) -> pd.Series[bool]:
    """By row, whether the named columns hold one of the wanted values."""
    keep = pd.Series(data=True, index=frame.index)
    for column, value in wanted.items():
        if value:
            keep &= frame[column].isin([value] if isinstance(value, str) else list(value))
    return keep


def as_text(value: Any) -> str:
    """The text that equal values of a parameter share."""
    return value if value is UNSET else json.dumps(value, sort_keys=True)


UNSET = "(unset)"  # never the text of a JSON value, which would be quoted
