"""Cells with their reference, excess, drop and label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from ..storage.store import Store
from . import scores
from .anytime import Traces
from .references import References, load_references

__all__ = ["UNSET", "as_text", "differs", "labels", "matching", "read", "score"]


def differs(settings: list[dict[str, Any]], name: str) -> bool:
    """Whether a parameter has more than one value, or is set in some settings only."""
    return len({as_text(setting.get(name, UNSET)) for setting in settings}) > 1


def read(
    source: str | Path | pd.DataFrame, traces: Traces | None = None
) -> tuple[pd.DataFrame, Traces | None]:
    """Give the table and the traces of a store; a table is taken as it is."""
    if isinstance(source, pd.DataFrame):
        return source, traces
    with Store(source) as store:
        return store.frame(), store.traces()


def score(source: str | Path | pd.DataFrame, *, references: References | None = None) -> pd.DataFrame:
    """Read the table and add each cell's scores and its solver's `label`.

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
    )
    return frame.assign(excess=scores.excess(frame))


def labels(frame: pd.DataFrame) -> pd.Series[str]:
    """Name each row's solver, with the parameters by which its settings in this table differ."""
    pairs = frame[["solver", "parameters"]].drop_duplicates()
    names = {}
    for solver, texts in pairs.groupby("solver")["parameters"]:
        for text, label in zip(texts, _labels_of_settings(str(solver), list(texts)), strict=True):
            names[solver, text] = label
    keys = zip(frame["solver"], frame["parameters"], strict=True)
    return pd.Series([names[key] for key in keys], frame.index, dtype="str")


def _labels_of_settings(solver: str, texts: list[str]) -> list[str]:
    settings: list[dict[str, Any]] = [json.loads(text) for text in texts]
    names = sorted({name for setting in settings for name in setting})
    differing = [name for name in names if differs(settings, name)]
    labels = []
    for setting in settings:
        shown = ", ".join(f"{name}={as_text(setting[name])}" for name in differing if name in setting)
        labels.append(f"{solver}({shown})" if shown else solver)
    return labels


def matching(frame: pd.DataFrame, **wanted: str | None) -> pd.Series[bool]:
    """By row, whether the named columns hold the wanted values; None wants nothing."""
    keep = pd.Series(data=True, index=frame.index)
    for column, value in wanted.items():
        if value is not None:
            keep &= frame[column] == value
    return keep


def as_text(value: Any) -> str:
    """The text that equal values of a parameter share."""
    return value if value is UNSET else json.dumps(value, sort_keys=True)


UNSET = "(unset)"  # never the text of a JSON value, which would be quoted
