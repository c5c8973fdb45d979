"""The scoring policy, all of it: what counts, against what, and what a failure costs.

Losses are compared on one scale per instance, the normalised excess: 0 is the best loss known, 1 is what
a practitioner gets without a solver. Losses may be negative; nothing here divides by one.
Every function takes the table that `results.load` gives.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .record import RANKED

TIE = 1e-9
"""Losses closer than this, relative to the larger of best loss and baseline, are the same loss:
we recompute losses in float64, where another order of the sums moves the last few of 15 digits."""

FEASIBLE = 1e-9
"""Largest violation that counts as none; sums of real costs are not exact."""

IMPUTED_EXCESS = 1.0
"""What a cell without a feasible, honest loss scores: the user would fall back on the baseline."""

SHIFT_SECONDS = 0.1
"""Shift of the geometric mean of times. Budgets run from a tenth of a second to minutes; below the shift
a difference is process noise and hardly moves the mean."""

POLICY = (
    "A cell is one solver run on one instance with one seed and one budget. It is ranked if it ended as "
    f"{', '.join(RANKED)} with a finite loss and no violated constraint (at most {FEASIBLE:g}). Losses are "
    "recomputed from the returned bits; a solver's own claim is only checked.",
    "The reference of an instance is the lowest ranked loss in the whole store, common to all solvers. "
    "Normalised excess is (loss - reference) / (baseline - reference): 0 is the best known, 1 is the "
    "baseline (round to nearest, greedy Taylor), above 1 is worse than not solving at all.",
    f"Every other cell is imputed at {IMPUTED_EXCESS:g}, because its user would fall back on the baseline, "
    "and is counted as imputed. Where nothing beats the baseline, a loss that equals it scores 0 and a "
    "worse one scores 1 plus its relative distance. An instance without a baseline has no excess.",
    "A solver's score is the median excess over its cells, with a 95 % bootstrap interval that resamples "
    "instances and then seeds within them. Solvers whose interval overlaps that of their group's leader "
    "share a rank. A win is the lowest median loss of an instance and budget; ties all win.",
    "Times are the solver's own clock over ranked cells, as a geometric mean shifted by "
    f"{SHIFT_SECONDS:g} s. The metric's drop is its distance from the uncompressed network in the harmful "
    "direction, averaged over ranked cells that share one metric.",
)
"""The policy in words, a paragraph an entry, as reports print it."""


def ranked(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Which cells have a feasible, honest, finite loss."""
    feasible = frame["violation"].le(FEASIBLE)  # an unknown violation (NaN) is not a kept constraint
    return frame["status"].isin(RANKED) & feasible & np.isfinite(frame["loss"])


def reference(frame: pd.DataFrame) -> "pd.Series[float]":
    """Give the lowest ranked loss of each row's instance; NaN where no cell of it is ranked."""
    losses = frame["loss"].where(ranked(frame))
    return losses.groupby(frame["instance_key"]).transform("min")


def normalised_excess(loss: ArrayLike, reference: ArrayLike, baseline: ArrayLike) -> NDArray[np.float64]:
    """(loss − reference) / (baseline − reference): 0 is the best known loss, 1 is the baseline's.

    Where the baseline is no worse than the reference (up to TIE) there is no such scale: nobody gained
    anything. A loss as good as the baseline then scores 0, being the best known, and one that is worse by d
    scores 1 + d / (d + |baseline|), hence in (1, 2]. The order of losses is kept.

    Parameters
    ----------
    loss, reference, baseline
        Of any shapes that broadcast; a NaN in one gives NaN.
    """
    loss, reference, baseline = (np.asarray(x, dtype=np.float64) for x in (loss, reference, baseline))
    scale = np.maximum(np.abs(reference), np.abs(baseline))
    gain = baseline - reference
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = (loss - reference) / gain
        behind = loss - baseline
        flat = np.where(behind <= TIE * scale, 0.0, 1.0 + behind / (behind + np.abs(baseline)))
    result = np.where(gain > TIE * scale, excess, flat)
    return np.where(np.isnan(loss + reference + baseline), np.nan, result)


def excess(frame: pd.DataFrame) -> "pd.Series[float]":
    """Give each cell's normalised excess; cells that are not ranked are imputed at the baseline's.

    A ranked loss worse than the baseline keeps its excess above 1. NaN where the instance has no baseline.
    """
    scored = normalised_excess(frame["loss"], reference(frame), frame["baseline_loss"])
    has_baseline = np.isfinite(frame["baseline_loss"])
    return pd.Series(scored, frame.index).where(ranked(frame), IMPUTED_EXCESS).where(has_baseline)


def metric_drop(frame: pd.DataFrame) -> "pd.Series[float]":
    """How far the metric lies from the uncompressed network's, positive when worse; NaN when unknown."""
    sign = np.where(frame["higher_is_better"].fillna(True).astype(bool), 1.0, -1.0)
    return sign * (frame["float_metric"] - frame["metric"])


def shifted_geometric_mean(seconds: ArrayLike, *, shift: float = SHIFT_SECONDS) -> float:
    """exp(mean(log(seconds + shift))) − shift over the finite entries; NaN when there are none."""
    times = np.asarray(seconds, dtype=np.float64)
    times = times[np.isfinite(times)]
    return float(np.exp(np.log(times + shift).mean()) - shift) if times.size else float("nan")


def wins(frame: pd.DataFrame, solver: "pd.Series[str]") -> "pd.Series[int]":
    """Count, for each label in `solver` (one a row), the pairs of instance and budget that it won.

    It wins where its median loss over seeds is the lowest, ties (up to TIE) included. A cell that is not
    ranked counts as an infinite loss, so a solver that mostly fails wins nothing.
    """
    match = [frame["instance_key"], frame["budget_seconds"].fillna(-1.0)]
    losses = frame["loss"].where(ranked(frame), np.inf)
    median = losses.groupby([*match, solver.rename("label")]).median()
    by_match = median.groupby(level=[0, 1])
    baseline = frame["baseline_loss"].abs().groupby(frame["instance_key"]).first().fillna(0.0)
    best = by_match.transform("min")
    scale = np.maximum(best.abs(), baseline.reindex(best.index.get_level_values(0)).to_numpy())
    won = np.isfinite(median) & (median <= best + TIE * scale)
    return won.groupby(level="label").sum().astype(int)
