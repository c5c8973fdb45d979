"""One row a solver, ranked over instances; and one row a setting of a problem's parameter."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import scores
from .record import STATUSES
from .statistics import median_interval
from .store import StoreError, load

COLUMNS = (
    "rank",
    "solver",
    "excess",
    "excess_low",
    "excess_high",
    "wins",
    "instances",
    "cells",
    "seconds",
    "metric_drop",
    "imputed",
)


def leaderboard(
    source: str | Path | pd.DataFrame, *, suite: str | None = None, family: str | None = None
) -> pd.DataFrame:
    """Rank the solvers of a store, or of a table that `results.load` gave.

    References come from the whole source, so narrowing to a suite or family changes no cell's score.

    Returns
    -------
    One row a solver, best first; a solver with several parameter settings in the source gets a row for
    each, labelled `neal(num_reads=10)` by the parameters that differ. Empty when nothing matches.

    - `rank`, `solver`
    - `excess`, `excess_low`, `excess_high`: the median normalised excess over the (instance, seed) cells,
      with its 95 % interval (NaN for a single cell)
    - `wins`: pairs of instance and budget with the lowest median loss
    - `instances`, `cells`: how many it entered
    - `seconds`: shifted geometric mean over ranked cells
    - `metric_drop`: what the network's metric loses on average over ranked cells (NaN where these have
      different metrics)
    - `imputed`: cells scored as the baseline
    - a count for each status that occurs

    Ranks: solvers are sorted by excess (then wins, then name). The first leads a group. Whoever follows
    joins the leader's group as long as the two intervals overlap; the first whose does not leads the next
    group. A group's rank is the place of its leader, so after three that share rank 1 comes rank 4.
    A missing interval is the median alone.
    """
    frame = score(source)
    frame = frame[_matches(frame, suite=suite, family=family)]
    if frame.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    board = pd.DataFrame([_row(label, cells) for label, cells in frame.groupby("label", sort=True)])
    board["wins"] = board["solver"].map(scores.wins(frame, frame["label"])).astype(int)
    board = board.sort_values(["excess", "wins", "solver"], ascending=[True, False, True], ignore_index=True)
    board["rank"] = _shared_ranks(board)
    counts = pd.crosstab(frame["label"], frame["status"])
    counts = counts[[name for name in STATUSES if name in counts]].astype(int)
    return board[list(COLUMNS)].merge(counts, left_on="solver", right_index=True)


def by_parameter(
    source: str | Path | pd.DataFrame, parameter: str, *, suite: str | None = None
) -> pd.DataFrame:
    """Table an experiment over a parameter of the problem, such as bits: loss and metric by method.

    Returns
    -------
    One row a problem, network, value of the parameter (its column bears the parameter's name) and solver:
    means over the ranked cells of `loss`, `metric` and `drop` (of the metric, from the uncompressed
    network), `ratio` (the mean loss in units of the mean baseline loss; NaN unless that is positive),
    `float_metric`, `baseline_metric`, and the numbers of `cells` and of `imputed` ones, which enter no mean.
    Other parameters of the problem are averaged over.

    Raises StoreError when no instance has such a parameter, or it bears the name of another column.
    """
    if parameter in ("problem", "network", *_SETTING_COLUMNS):
        raise StoreError(
            f"the parameter must not be a column of the table, got {parameter!r}; use `load` instead"
        )
    frame = score(source)
    frame = frame[_matches(frame, suite=suite)]
    settings = [json.loads(text) if isinstance(text, str) else {} for text in frame["problem_parameters"]]
    known = sorted({name for setting in settings for name in setting})
    if not frame.empty and parameter not in known:
        raise StoreError(
            f"the instances must have a parameter {parameter!r}; theirs are {', '.join(known) or 'none'}"
        )
    values = pd.Series([setting.get(parameter) for setting in settings], frame.index, dtype=object)
    frame = frame.assign(value=values)[values.notna()]
    groups = frame.groupby(["problem", "network", frame["value"].map(_text), "label"], sort=False)
    rows = [_setting_row(parameter, cells) for _, cells in groups]
    table = pd.DataFrame(rows, columns=["problem", "network", parameter, *_SETTING_COLUMNS])
    return table.sort_values(
        ["problem", "network", parameter, "loss"], key=_sortable, ignore_index=True, kind="stable"
    )


def score(source: str | Path | pd.DataFrame) -> pd.DataFrame:
    """Read the table and add each cell's `ranked`, `excess`, `drop` and its solver's `label`."""
    frame = source if isinstance(source, pd.DataFrame) else load(source)
    return frame.assign(
        ranked=scores.ranked(frame),
        excess=scores.excess(frame),
        drop=scores.metric_drop(frame),
        label=labels(frame),
    )


def labels(frame: pd.DataFrame) -> "pd.Series[str]":
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
    differing = [
        name for name in names if len({_text(setting.get(name, _UNSET)) for setting in settings}) > 1
    ]
    labels = []
    for setting in settings:
        shown = ", ".join(f"{name}={_text(setting[name])}" for name in differing if name in setting)
        labels.append(f"{solver}({shown})" if shown else solver)
    return labels


def _row(label: str, cells: pd.DataFrame) -> dict[str, Any]:
    ranked = cells[cells["ranked"]]
    low, high = median_interval(cells["excess"], cells["instance_key"])
    return {
        "solver": label,
        "excess": cells["excess"].median(),
        "excess_low": low,
        "excess_high": high,
        "instances": cells["instance_key"].nunique(),
        "cells": len(cells),
        "seconds": scores.shifted_geometric_mean(ranked["seconds"]),
        "metric_drop": ranked["drop"].mean() if ranked["metric_name"].nunique() == 1 else np.nan,
        "imputed": len(cells) - len(ranked),
    }


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


def _setting_row(parameter: str, cells: pd.DataFrame) -> dict[str, Any]:
    ranked, first = cells[cells["ranked"]], cells.iloc[0]
    baseline = ranked["baseline_loss"].mean()
    row = {name: first[name] for name in ("problem", "network")} | {parameter: first["value"]}
    row |= {name: ranked[name].mean() for name in ("loss", "metric", "drop")}
    row |= {name: cells[name].mean() for name in ("float_metric", "baseline_metric")}
    row["ratio"] = row["loss"] / baseline if baseline > 0 else np.nan
    return row | {"solver": first["label"], "cells": len(cells), "imputed": len(cells) - len(ranked)}


def _shared_ranks(board: pd.DataFrame) -> list[int]:
    """Give the ranks of rows sorted by excess, as `leaderboard` states; an unknown excess comes last."""
    middle = board["excess"].fillna(np.inf)
    lows, highs = board["excess_low"].fillna(middle), board["excess_high"].fillna(middle)
    ranks = [1]
    for place in range(1, len(board)):
        leader = ranks[-1] - 1
        overlaps = lows[place] <= highs[leader] and lows[leader] <= highs[place]
        ranks.append(ranks[-1] if overlaps else place + 1)
    return ranks


def _matches(frame: pd.DataFrame, **wanted: str | None) -> "pd.Series[bool]":
    keep = pd.Series(data=True, index=frame.index)
    for column, value in wanted.items():
        if value is not None:
            keep &= frame[column] == value
    return keep


def _sortable(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Numbers in their order before texts in theirs, so that a column may hold both."""
    if column.dtype != object:
        return column
    kinds = sorted({_text(value): value for value in column}.items(), key=lambda item: _sort_key(item[1]))
    places = {text: place for place, (text, _) in enumerate(kinds)}
    return column.map(lambda value: places[_text(value)])


def _sort_key(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return (not number, float(value) if number else 0.0, _text(value))


def _text(value: Any) -> str:
    return value if value is _UNSET else json.dumps(value, sort_keys=True)


_UNSET = "(unset)"  # never the text of a JSON value, which would be quoted
