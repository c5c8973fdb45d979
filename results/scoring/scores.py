"""The scoring policy, all of it: what counts, against what, and what a failure costs.

Losses are compared on one scale per instance, the normalised excess: 0 is the best loss known, 1 is what
a practitioner gets without a solver. Losses may be negative; nothing here divides by one.
Every function takes the table that `results.load` gives.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..storage.budget_columns import budgets
from ..storage.record import RANKED

__all__ = [
    "ALPHA",
    "CAP",
    "CONFIDENCE",
    "ENDED_BY_ITSELF",
    "FAILURES",
    "FEASIBLE",
    "IMPUTED_EXCESS",
    "JUMPS",
    "PAR_FACTOR",
    "PAR_TARGET",
    "POLICY",
    "SHIFT_SECONDS",
    "SMALLEST_GAIN",
    "STEPS",
    "TARGETS",
    "TIE",
    "cutoff",
    "excess",
    "improves",
    "metric_drop",
    "normalised_excess",
    "ranked",
    "reference",
    "registered",
    "shifted_geometric_mean",
    "tie",
    "wins",
]

TIE = 1e-9
"""Losses closer than this, relative to the way from best loss to baseline, are the same loss."""

NOISE = 1e-13
"""So are losses closer than this, relative to the larger of the two: we recompute losses in float64, where
another order of the sums moves the last of 15 digits. A large constant in the objective hides no more."""

SMALLEST_GAIN = 1e-200
"""A baseline nearer than this to the reference gives no scale to divide by."""

FEASIBLE = 1e-9
"""Largest violation that counts as none; sums of real costs are not exact."""

FAILURES = ("TIMEOUT", "MEMORY", "CRASHED", "FAILED", "LIED")
"""Endings that are the solver's fault; a SKIPPED cell is none, an INFEASIBLE one is counted apart."""

ENDED_BY_ITSELF = ("OPTIMAL", "TARGET", "FINISHED")
"""Endings whose work is the solver's own; one that used up its budget counts the machine's speed."""

IMPUTED_EXCESS = 1.0
"""What a cell without a feasible, honest loss scores: the user would fall back on the baseline."""

CAP = 1.0
"""Excess above this counts as this in the primal integral: the user has the baseline anyway."""

TARGETS = {"10": 0.1, "1": 0.01, "0.1": 0.001}
"""Excess to be reached, by its name in per cent of the way from the reference to the baseline. They are the
same for all solvers; a solver's own best is never its target, which would reward giving up early."""

CONFIDENCE = 0.99
"""Probability with which repeated runs must reach the target within the time to target."""

SHIFT_SECONDS = 0.1
"""Shift of the geometric mean of times. Budgets run from a tenth of a second to minutes; below the shift
a difference is process noise and hardly moves the mean."""

PAR_FACTOR = 10.0
PAR_TARGET = "1"
"""A cell that misses this target is charged PAR_FACTOR times its budget (PAR10)."""

ALPHA = 0.05
"""Level of the tests and intervals that compare two stores, after Holm's correction over all rows."""

STEPS = {"quality": 0.001, "time": 1.1, "counts": 1.01}
"""Smallest change worth a verdict: a difference of excess; a ratio of times; a ratio of counts."""

JUMPS = {"quality": 0.05, "time": 1.5, "counts": 1.1}
"""A change this large is a verdict without a test, however few the pairs, if no pair contradicts it."""

POLICY = (
    "A cell is one solver run on one instance with one seed and one budget. It is ranked if it ended as "
    f"{', '.join(RANKED)} with a finite loss and no violated constraint (at most {FEASIBLE:g}). Losses are "
    "recomputed from the returned bits; a solver's own claim is only checked.",
    "The reference of an instance is the lower of the best known loss in the registry and the lowest ranked "
    "loss in the whole store, common to all solvers. "
    "Normalised excess is (loss - reference) / (baseline - reference): 0 is the best known, 1 is the "
    "baseline (round to nearest, greedy Taylor), above 1 is worse than not solving at all.",
    f"Every other cell is imputed at {IMPUTED_EXCESS:g}, because its user would fall back on the baseline, "
    "and is counted as imputed. Where nothing beats the baseline, a loss that equals it scores 0 and a "
    "worse one scores 1 plus its relative distance. An instance without a baseline has no excess.",
    "A solver's score is the median excess over its cells, with a 95 % bootstrap interval that resamples "
    "instances and then seeds within them. Solvers whose interval overlaps that of their group's leader "
    "share a rank. A board ranks over the instances that its solvers share; whoever did not enter all of "
    'these, or lied in a cell, stands below, without a rank. The row "do nothing" takes every baseline. '
    "A win is the lowest median loss of an instance and budget; ties all win.",
    "The primal integral is the mean over the budget of the excess reached so far, at most "
    f"{CAP:g}, and {CAP:g} before the first solution. It is averaged over cells.",
    f"Targets are an excess of {', '.join(f'{value:g}' for value in TARGETS.values())}, for all solvers "
    f"alike. The time to target is t ln(1 - {CONFIDENCE:g}) / ln(1 - p), at least t: on one instance and "
    "budget, p is the share of runs (one a seed) that reach the target and t the time after which all of "
    "those had, since choosing a luckier cut-off afterwards would flatter. Its interval is Jeffreys' 95 % "
    "interval of p at the same t, so a single run has a wide one. Where no run reaches the target, t is the "
    "budget and the upper end of p gives a lower bound, shown as > x. A board gives the median over "
    "instances and budgets of the time and of both ends.",
    f"PAR{PAR_FACTOR:g} is the mean time to an excess of {TARGETS[PAR_TARGET]:g}, a cell that misses it "
    f"being charged {PAR_FACTOR:g} budgets. A cell without a budget is charged the longest run of its "
    "instance without one.",
    "Times are the solver's own clock over ranked cells, as a geometric mean shifted by "
    f"{SHIFT_SECONDS:g} s. Times of cells that ran beside other work are marked. "
    "The metric's drop is its distance from the uncompressed network in the harmful "
    "direction, averaged over ranked cells that share one metric.",
    "A shorter budget may be read off afterwards only for solvers whose path does not depend on the budget. "
    "The others keep out of such a ranking and are marked.",
    "Two stores are compared in pairs of equal instance, solver, parameters, seed and budget. Quality is the "
    f"difference of excess (of note from {STEPS['quality']:g}), time the ratio of seconds between cells "
    f"measured alone on the same machine (from {STEPS['time']:g}), counts the ratio of machine-independent "
    f"work of cells that ended by themselves (from {STEPS['counts']:g}). A row is worse or better if a "
    f"paired Wilcoxon test, after Holm's correction over all rows, passes at {ALPHA:g} and the bootstrap "
    "interval excludes no change; or if no pair contradicts a change of at least "
    f"{JUMPS['quality']:g}, a factor {JUMPS['time']:g}, a factor {JUMPS['counts']:g}.",
)
"""The policy in words, a paragraph an entry, as reports print it."""


def ranked(frame: pd.DataFrame) -> pd.Series[bool]:
    """Which cells have a feasible, honest, finite loss."""
    feasible = frame["violation"].le(FEASIBLE)  # an unknown violation (NaN) is not a kept constraint
    return frame["status"].isin(RANKED) & feasible & np.isfinite(frame["loss"])


def reference(frame: pd.DataFrame, registry: Mapping[str, float] | None = None) -> pd.Series[float]:
    """Give the best known loss of each row's instance; NaN where none is.

    It is the lowest ranked loss of the table, or the registry's (a loss by instance key) where that is lower.
    """
    losses = frame["loss"].where(ranked(frame))
    best = losses.groupby(frame["instance_key"]).transform("min")
    return np.fmin(best, registered(frame, registry or {}))


def registered(frame: pd.DataFrame, registry: Mapping[str, float]) -> pd.Series[float]:
    """Give the registry's loss of each row's instance; NaN where it has none."""
    return frame["instance_key"].map(dict(registry)).astype("float64")


def improves(frame: pd.DataFrame, registry: Mapping[str, float]) -> pd.Series[bool]:
    """Which ranked cells lie below the registry's best known loss, by more than a tie."""
    known = registered(frame, registry)
    return ranked(frame) & (frame["loss"] < known - tie(known, frame["baseline_loss"]))


def tie(reference: ArrayLike, baseline: ArrayLike) -> NDArray[np.float64]:
    """How far two losses of an instance may lie apart and still be the same; NaN baselines count as 0."""
    known, base = np.asarray(reference, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    base = np.where(np.isnan(base), 0.0, base)
    with np.errstate(invalid="ignore", over="ignore"):
        way, size = np.abs(base - known), np.fmax(np.abs(known), np.abs(base))
    return np.asarray(np.fmax(TIE * way, NOISE * size))


def normalised_excess(loss: ArrayLike, reference: ArrayLike, baseline: ArrayLike) -> NDArray[np.float64]:
    """(loss − reference) / (baseline − reference): 0 is the best known loss, 1 is the baseline's.

    Where the baseline is no worse than the reference (up to `tie`) there is no such scale: nobody gained
    anything. A loss as good as the baseline then scores 0, being the best known, and one that is worse by d
    scores 1 + d / (d + |baseline|), hence in (1, 2]. The order of losses is kept.

    Parameters:
        loss, reference, baseline: of any shapes that broadcast; a NaN in one gives NaN.
    """
    loss, reference, baseline = (np.asarray(x, dtype=np.float64) for x in (loss, reference, baseline))
    same = np.maximum(tie(reference, baseline), SMALLEST_GAIN)
    gain = baseline - reference
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        excess = (loss - reference) / gain
        behind = loss - baseline
        flat = np.where(behind <= same, 0.0, 1.0 + behind / (behind + np.abs(baseline)))
    result = np.where(gain > same, excess, flat)
    return np.where(np.isnan(loss + reference + baseline), np.nan, result)


def excess(frame: pd.DataFrame) -> pd.Series[float]:
    """Give each cell's normalised excess; cells that are not ranked are imputed at the baseline's.

    A ranked loss worse than the baseline keeps its excess above 1. NaN where the instance has no baseline.
    A column `reference` is used where the table has one.
    """
    best = frame["reference"] if "reference" in frame else reference(frame)
    scored = normalised_excess(frame["loss"], best, frame["baseline_loss"])
    has_baseline = np.isfinite(frame["baseline_loss"])
    return pd.Series(scored, frame.index).where(ranked(frame), IMPUTED_EXCESS).where(has_baseline)


def cutoff(frame: pd.DataFrame) -> pd.Series[float]:
    """Seconds over which each cell is judged: its budget, or the longest run of its instance without one."""
    free = frame["seconds"].where(frame["budget_seconds"].isna())
    longest = free.groupby(frame["instance_key"]).transform("max")
    return frame["budget_seconds"].fillna(longest)


def metric_drop(frame: pd.DataFrame) -> pd.Series[float]:
    """How far the metric lies from the uncompressed network's, positive when worse; NaN when unknown."""
    sign = np.where(frame["higher_is_better"].fillna(True).astype(bool), 1.0, -1.0)
    return sign * (frame["float_metric"] - frame["metric"])


def shifted_geometric_mean(seconds: ArrayLike, *, shift: float = SHIFT_SECONDS) -> float:
    """exp(mean(log(seconds + shift))) − shift over the finite entries; NaN when there are none."""
    times = np.asarray(seconds, dtype=np.float64)
    times = times[np.isfinite(times)]
    return float(shift * np.expm1(np.log1p(times / shift).mean())) if times.size else float("nan")


def wins(frame: pd.DataFrame, solver: pd.Series[str]) -> pd.Series[int]:
    """Count, for each label in `solver` (one a row), the pairs of instance and budget that it won.

    It wins where its median loss over seeds is the lowest, ties (`tie`) included. A cell that is not
    ranked counts as an infinite loss, so a solver that mostly fails wins nothing.
    """
    match = [frame["instance_key"], budgets(frame)]
    losses = frame["loss"].where(ranked(frame), np.inf)
    median = losses.groupby([*match, solver.rename("label")]).median()
    by_match = median.groupby(level=[0, 1])
    baseline = frame["baseline_loss"].groupby(frame["instance_key"]).first()
    best = by_match.transform("min")
    of = baseline.reindex(best.index.get_level_values(0)).to_numpy()
    won = np.isfinite(median) & (median <= best + tie(best, of))
    return won.groupby(level="label").sum().astype(int)
