"""Claims: whether one choice leaves a better network than another, on pairs alike in all else.

A claim names two choices, such as two formulations or two solvers. Cells of both are paired by network,
draw of calibration data and every other parameter; replicates are averaged first. What is claimed holds where
the 95 % bootstrap interval of the mean difference lies above 0, is refuted where it lies below.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..storage.errors import StoreError
from .scored_cells import score
from .statistics import mean_interval

__all__ = ["PairedChoice", "Side", "judged", "side_by_side", "verdict"]

SHARED = ("keep", "capacity", "refine", "finetune", "calibration", "calibration_seed", "bits", "prepare")
"""Parameters that say how much is compressed and on which data; the others are a formulation's own."""

COLUMNS = (
    "claim",
    "network",
    "metric",
    "worse",
    "better",
    "difference",
    "low",
    "high",
    "pairs",
    "verdict",
)


@dataclass(frozen=True)
class Side:
    """One of the two choices.

    Attributes:
        problem, solver: names; "" for any. The solver "start" is the point that a refinement began at.
        parameters: of the formulation, those that tell the two apart; a cell without one is on neither side.
        after: of a measure of the compressed network that stands for its metric, what follows the metric's
            name, such as "after fine-tune"; "" for the metric itself.
    """

    problem: str = ""
    solver: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    after: str = ""


@dataclass(frozen=True)
class PairedChoice:
    """That `better` leaves a better network than `worse`."""

    text: str
    better: Side
    worse: Side


def judged(source: str | Path | pd.DataFrame, claims: list[PairedChoice]) -> pd.DataFrame:
    """Judge claims on the ranked cells of a store, network by network.

    Returns:
        One row a claim and network that has pairs: the means `worse` and `better`, the mean `difference` in
        the good direction with its interval `low`, `high` over pairs, the number of `pairs`, and the
        `verdict`.

    Raises:
        StoreError: no claim has a pair in the source.
    """
    frame = score(source)
    frame = frame[frame["ranked"]]
    rows = [row for claim in claims for row in _rows(claim, frame)]
    if not rows:
        raise StoreError(
            "the store must hold cells of both sides of a claim, got none; run the suite that has them"
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(claim: PairedChoice, frame: pd.DataFrame) -> list[dict[str, Any]]:
    better, worse = (_means(side, frame) for side in (claim.better, claim.worse))
    pairs = better.merge(worse, on=["network", "metric", "sign", "setting"], suffixes=("_better", "_worse"))
    return [
        _row(claim.text, str(network), str(metric), cells)
        for (network, metric), cells in pairs.groupby(["network", "metric"])
    ]


def _means(side: Side, frame: pd.DataFrame) -> pd.DataFrame:
    """Mean value by network and what both formulations must agree in."""
    start = side.solver == "start"
    for column, wanted in (("problem", side.problem), ("solver", "" if start else side.solver)):
        frame = frame[frame[column] == wanted] if wanted else frame
    if start:
        frame = frame[frame["problem_parameters"].str.contains('"prepare"', regex=False)]
    mine = [_has(json.loads(text), side.parameters) for text in frame["problem_parameters"]]
    frame = frame[np.array(mine, dtype=bool)]
    metric = frame["metric_name"] + (f" {side.after}" if side.after else "")
    table = frame.assign(
        setting=[_setting(json.loads(text)) for text in frame["problem_parameters"]],
        value=frame["baseline_metric"] if start else _values(frame, metric),
        sign=np.where(frame["higher_is_better"].astype(bool), 1.0, -1.0),
        metric=metric,
    ).dropna(subset="value")
    return table.groupby(["network", "metric", "sign", "setting"], as_index=False)["value"].mean()


def _setting(parameters: dict[str, Any]) -> str:
    return json.dumps({name: parameters[name] for name in SHARED if name in parameters}, sort_keys=True)


def _has(parameters: dict[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(name in parameters and parameters[name] == value for name, value in wanted.items())


def _values(frame: pd.DataFrame, metric: pd.Series[str]) -> pd.Series[float]:
    """The metric of each cell, or the measure of that name where it has another; NaN where it has none."""
    measures = [
        json.loads(text).get(name, np.nan) for text, name in zip(frame["measures"], metric, strict=True)
    ]
    plain = metric == frame["metric_name"]
    return frame["metric"].where(plain, pd.Series(measures, index=frame.index, dtype="float64"))


def _row(text: str, network: str, metric: str, cells: pd.DataFrame) -> dict[str, Any]:
    better, worse = cells["value_better"], cells["value_worse"]
    differences = (cells["sign"] * (better - worse)).to_numpy()
    found = side_by_side(better, worse, differences, np.arange(len(differences)))
    return {"claim": text, "network": network, "metric": metric, **found}


def side_by_side(
    better: Any, worse: Any, differences: Any, groups: ArrayLike, *, margin: float = 0.0
) -> dict[str, Any]:
    """Means of two sides and of their differences, its interval, and whether that lies above the margin.

    Parameters:
        better, worse: arrays or series of the two sides' values.
        differences: (pairs,) of the pairs that both have.
        groups: (pairs,) which belong together.
        margin: by how much the better side must lie above.
    """
    low, high = mean_interval(differences, groups)
    return {
        "worse": worse.mean(),
        "better": better.mean(),
        "difference": differences.mean(),
        "low": low,
        "high": high,
        "pairs": len(differences),
        "verdict": verdict(low - margin, high - margin),
    }


def verdict(low: float, high: float) -> str:
    """What the interval of a difference says of it; NaN is that of a single pair."""
    if np.isnan(low):
        return "one pair"
    if low > 0:
        return "holds"
    return "refuted" if high < 0 else "undecided"
