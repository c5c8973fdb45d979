"""Whether a lower loss is a better network: rank correlation of loss and metric over all solutions found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .scored_cells import Wanted, matching, score
from .statistics import median_interval

__all__ = ["FEWEST", "correlations", "within"]

FEWEST = 3
"""Different solutions of an instance below which a rank correlation says nothing."""

COLUMNS = ("family", "problem", "metric_name", "rho", "rho_low", "rho_high", "instances", "solutions")


def correlations(
    source: str | Path | pd.DataFrame, *, suite: Wanted = None, family: Wanted = None
) -> pd.DataFrame:
    """Correlate loss and metric, by family and metric, for its problems together (`problem` "") and alone.

    Within an instance it is Spearman's ρ between the loss and how far the metric lies from the uncompressed
    network's in the harmful direction, over the different ranked solutions: +1 says that a lower loss always
    is a better network, 0 that the loss says nothing of it. Instances differ in scale, so they are not mixed:
    `rho` is the median over instances, `rho_low` and `rho_high` its 95 % bootstrap interval over instances
    (NaN for a single one).

    Returns:
        One row a family, problem and metric that has an instance with at least FEWEST different solutions.
    """
    frame = source if isinstance(source, pd.DataFrame) and "drop" in source else score(source)
    frame = frame[matching(frame, suite=suite, family=family)]
    values = within(frame)
    rows = []
    for (name, metric), part in values.groupby(["family", "metric_name"]):
        groups = [("", part), *part.groupby("problem")]
        rows += [_row(name, problem, metric, cells) for problem, cells in groups]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def within(frame: pd.DataFrame) -> pd.DataFrame:
    """Give Spearman's ρ of each instance of a scored table: `family problem metric_name rho solutions`."""
    known = frame[frame["ranked"] & np.isfinite(frame["drop"])]
    known = known.drop_duplicates(["instance_key", "loss", "drop"])
    rows = []
    for key, cells in known.groupby("instance_key"):
        if len(cells) >= FEWEST and cells["loss"].nunique() > 1 and cells["drop"].nunique() > 1:
            from scipy import stats  # takes most of a second

            rho = float(stats.spearmanr(cells["loss"], cells["drop"]).statistic)
            first = cells.iloc[0]
            names = [first[name] for name in ("family", "problem", "metric_name")]
            rows.append((*names, key, rho, len(cells)))
    return pd.DataFrame(
        rows, columns=["family", "problem", "metric_name", "instance_key", "rho", "solutions"]
    )


def _row(family: Any, problem: Any, metric: Any, values: pd.DataFrame) -> tuple[Any, ...]:
    low, high = median_interval(values["rho"], values["instance_key"])
    return (
        family,
        problem,
        metric,
        values["rho"].median(),
        low,
        high,
        len(values),
        int(values["solutions"].sum()),
    )
