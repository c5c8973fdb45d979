"""Who is ranked against whom: the instances that solvers share, and the user who does nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import scores

__all__ = ["DO_NOTHING", "adapters", "common", "idle", "shortfalls", "unbeaten"]

DO_NOTHING = "do nothing"
"""Name of the row of one who takes the baseline; no solver's name has a space."""


def common(frame: pd.DataFrame) -> tuple[set[str], set[str]]:
    """Instances over which a board ranks, and the labels of the solvers that entered all of them.

    Of the sets that one solver entered, or two share, it is that with the most pairs of instance and solver.
    """
    entered = {str(label): set(keys) for label, keys in frame.groupby("label")["instance_key"]}
    sets = {frozenset(a & b) for a in entered.values() for b in entered.values()} - {frozenset()}

    def worth(shared: frozenset[str]) -> tuple[int, int, list[str]]:
        return len(shared) * sum(own >= shared for own in entered.values()), len(shared), sorted(shared)

    shared = set(max(sets, key=worth))
    return shared, {label for label, own in entered.items() if own >= shared}


def shortfalls(frame: pd.DataFrame, ranked: set[str], shared: set[str]) -> dict[str, str]:
    """Why each of the other solvers is not ranked."""
    others = frame[~frame["label"].isin(ranked)]
    counts = others[others["instance_key"].isin(shared)].groupby("label")["instance_key"].nunique()
    return {
        str(label): f"entered {counts.get(label, 0)} of the {len(shared)} instances ranked over"
        for label in others["label"].unique()
    }


def idle(frame: pd.DataFrame) -> pd.DataFrame:
    """Cells of one who takes the baseline of every instance at once, scored and timed as the others are."""
    cells = frame.drop_duplicates("instance_key")
    cells = cells[np.isfinite(cells["baseline_loss"])]
    names = {"solver": DO_NOTHING, "label": DO_NOTHING, "setting": DO_NOTHING, "adapter": ""}
    ending = {
        "status": "FINISHED",
        "violation": 0.0,
        "seconds": np.nan,
        "timing_grade": True,
        "improves": False,
    }
    lazy = cells.assign(**names, **ending, loss=cells["baseline_loss"], metric=cells["baseline_metric"])
    excess = scores.normalised_excess(lazy["loss"], lazy["reference"], lazy["baseline_loss"])
    lazy = lazy.assign(ranked=True, excess=excess, drop=scores.metric_drop(lazy))
    return lazy.assign(**_over_time(lazy))


def _over_time(lazy: pd.DataFrame) -> dict[str, pd.Series[float]]:
    """What no time changes; NaN where the others' is not known."""
    known = lazy["primal_integral"].notna()
    hits = {
        f"hit_{name}": pd.Series(np.where(lazy["excess"] <= target, 0.0, np.inf), lazy.index).where(known)
        for name, target in scores.TARGETS.items()
    }
    missed = scores.PAR_FACTOR * scores.cutoff(lazy)
    penalised = missed.where(~np.isfinite(hits[f"hit_{scores.PAR_TARGET}"]), 0.0).where(known)
    integral = lazy["excess"].clip(upper=scores.CAP).where(known)
    return {"primal_integral": integral, "penalised_seconds": penalised, **hits}


def unbeaten(frame: pd.DataFrame) -> list[str]:
    """Names of the instances whose baseline is the best loss known: a tie there is no achievement."""
    cells = frame.drop_duplicates("instance_key")
    same = np.maximum(scores.tie(cells["reference"], cells["baseline_loss"]), scores.SMALLEST_GAIN)
    return sorted(cells.loc[cells["baseline_loss"] - cells["reference"] <= same, "instance"].astype(str))


def adapters(frame: pd.DataFrame) -> pd.Series[str]:
    """By label, how it was brought to the instances that it does not take itself."""
    told = frame.get("adapter", pd.Series("", frame.index)).fillna("").astype(str)
    return told.groupby(frame["label"]).agg(lambda texts: ", ".join(sorted(set(texts) - {""})))
