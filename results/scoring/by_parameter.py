"""One row a setting of a problem's parameter, such as bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..storage.errors import StoreError
from .scored_cells import UNSET, Wanted, as_text, differs, matching, score

__all__ = ["by_parameter"]


def by_parameter(source: str | Path | pd.DataFrame, parameter: str, *, suite: Wanted = None) -> pd.DataFrame:
    """Table an experiment over a parameter of the problem, such as bits: loss and metric by method.

    Returns:
        One row a problem, network, value of the parameter (its column bears the parameter's name) and solver:
        means over the ranked cells of `loss`, `metric` and `drop` (of the metric, from the uncompressed
        network), `ratio` (the mean loss in units of the mean baseline loss; NaN unless that is positive),
        each of the network's other measures that occurs, under its own name, `float_metric`,
        `baseline_metric`, and the numbers of `cells` and of `imputed` ones, which enter no mean. Where other
        parameters of the same problem and network differ, a column `variant` names them and each combination
        has its own rows; seeds of draws are averaged over.

    Raises:
        StoreError: no instance has such a parameter, or it bears the name of another column.
    """
    if parameter in ("problem", "network", "variant", *_SETTING_COLUMNS):
        raise StoreError(
            f"the parameter must not be a column of the table, got {parameter!r}; use `load` instead"
        )
    frame = score(source)
    frame = frame[matching(frame, suite=suite)]
    settings = [json.loads(text) if isinstance(text, str) else {} for text in frame["problem_parameters"]]
    known = sorted({name for setting in settings for name in setting})
    if not frame.empty and parameter not in known:
        raise StoreError(
            f"the instances must have a parameter {parameter!r}; theirs are {', '.join(known) or 'none'}"
        )
    values = pd.Series([setting.get(parameter) for setting in settings], frame.index, dtype=object)
    frame = frame.assign(value=values, settings=settings)[values.notna()]
    frame = frame.assign(variant=_variants(frame, parameter))
    keys = ["problem", "network", "variant", frame["value"].map(as_text), "label"]
    measures = _measures(frame)
    rows = [
        _setting_row(parameter, cells, measures.loc[cells.index])
        for _, cells in frame.groupby(keys, sort=False)
    ]
    order = ["problem", "network", "variant", parameter]
    table = pd.DataFrame(rows, columns=[*order, *_SETTING_COLUMNS, *measures])
    table = table.sort_values([*order, "loss"], key=_sortable, ignore_index=True, kind="stable")
    return table if table["variant"].any() else table.drop(columns="variant")


def _measures(frame: pd.DataFrame) -> pd.DataFrame:
    """By row, the measures of the compressed networks, a column each; none that bears another's name."""
    found = pd.DataFrame([json.loads(text) for text in frame["measures"]], frame.index)
    return found[[name for name in found if name not in frame]].astype("float64")


def _variants(frame: pd.DataFrame, parameter: str) -> pd.Series[str]:
    """By row, the parameters in which its problem's settings on its network differ.

    The one tabled is none of them, nor are the seeds of draws.
    """
    found = pd.Series("", frame.index, dtype=object)
    for _, cells in frame.groupby(["problem", "network"], sort=False):
        settings: list[dict[str, Any]] = cells["settings"].tolist()
        names = sorted({name for setting in settings for name in setting} - {parameter})
        differing = [name for name in names if not name.endswith("seed") and differs(settings, name)]
        for index, setting in zip(cells.index, settings, strict=True):
            found[index] = ", ".join(f"{name}={setting.get(name, UNSET)}" for name in differing)
    return found


_SETTING_COLUMNS = (
    "solver",
    "loss",
    "ratio",
    "metric",
    "drop",
    "float_metric",
    "baseline_metric",
    "cells",
    "imputed",
)


def _setting_row(parameter: str, cells: pd.DataFrame, measures: pd.DataFrame) -> dict[str, Any]:
    ranked, first = cells[cells["ranked"]], cells.iloc[0]
    baseline = ranked["baseline_loss"].mean()
    row = {name: first[name] for name in ("problem", "network", "variant")} | {parameter: first["value"]}
    row |= {name: ranked[name].mean() for name in ("loss", "metric", "drop")}
    row |= {name: cells[name].mean() for name in ("float_metric", "baseline_metric")}
    row |= measures[cells["ranked"]].mean().to_dict()
    row["ratio"] = row["loss"] / baseline if baseline > 0 else np.nan
    return row | {"solver": first["label"], "cells": len(cells), "imputed": len(cells) - len(ranked)}


def _sortable(column: pd.Series[Any]) -> pd.Series[Any]:
    """Numbers in their order before texts in theirs, so that a column may hold both."""
    if column.dtype != object:
        return column
    kinds = sorted({as_text(value): value for value in column}.items(), key=lambda item: _sort_key(item[1]))
    places = {text: place for place, (text, _) in enumerate(kinds)}
    return column.map(lambda value: places[as_text(value)])


def _sort_key(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return (not number, float(value) if number else 0.0, as_text(value))
