"""Who is ranked against whom: the instances that solvers share, and the user who does nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from . import scores

__all__ = ["DO_NOTHING", "adapters", "common", "idle", "notes", "rows", "shortfalls", "unbeaten"]

DO_NOTHING = "do nothing"
"""Name of the row of one who takes the baseline; no solver's name has a space."""


def common(frame: pd.DataFrame) -> tuple[set[str], set[str]]:
    """Instances over which a board ranks, and the labels of the solvers that entered all of them.

    Of the sets that one solver entered, or two share, it is that with the most pairs of instance and solver.
    Who lied in a cell is not among the solvers.
    """
    keys = frame[~frame["label"].isin(liars(frame))].groupby("label")["instance_key"].unique()
    entered = {str(label): set(own) for label, own in keys.items()}
    if not entered:
        return set(frame["instance_key"].unique()), set()
    sets: set[frozenset[str]] = {frozenset(a & b) for a in entered.values() for b in entered.values()}

    def worth(shared: frozenset[str]) -> tuple[int, int, list[str]]:
        return len(shared) * sum(own >= shared for own in entered.values()), len(shared), sorted(shared)

    best: frozenset[str] = max((one for one in sets if one), key=worth)
    shared = set(best)
    return shared, {label for label, own in entered.items() if own >= shared}


def shortfalls(frame: pd.DataFrame, ranked: set[str], shared: set[str]) -> dict[str, str]:
    """Why each of the other solvers is not ranked."""
    others, lied = frame[~frame["label"].isin(ranked)], liars(frame)
    counts = others[others["instance_key"].isin(shared)].groupby("label")["instance_key"].nunique()
    return {
        str(label): f"lied in {lied[label]} of its cells"
        if label in lied
        else f"entered {counts.get(label, 0)} of the {len(shared)} instances ranked over"
        for label in others["label"].unique()
    }


def liars(frame: pd.DataFrame) -> dict[str, int]:
    """By label, in how many cells it claimed what its bits, or anybody's, refute: none of its word counts."""
    lied = frame.loc[frame["status"] == "LIED", "label"].value_counts()
    return {str(label): int(count) for label, count in lied.items()}


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
    return told.groupby(frame["label"]).agg(lambda texts: ", ".join(sorted({*texts.unique()} - {""})))


def notes(board: pd.DataFrame) -> list[str]:
    """What a reader must know of a board's instances before trusting its ranks."""
    about = {name: board.attrs.get(name, []) for name in ("instances", "common", "unbeaten", "unregistered")}
    every, told = len(about["instances"]), []
    if len(about["common"]) < every:
        told.append(f"Ranked over the {len(about['common'])} of {every} instances that its solvers share.")
    if flat := about["unbeaten"]:
        told.append(
            f"On {len(flat)} of {every} instances the baseline is the best loss known, "
            f"so doing nothing wins: {_some(flat)}."
        )
    if own := about["unregistered"]:
        told.append(
            f"On {len(own)} of {every} instances the registry has no reference: "
            "excess is relative to the best of this store alone, and 0 is not the best known."
        )
    return told


def _some(names: list[str], most: int = 4) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def rows(board: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a board for a page; a rank that there is not is None."""
    ranks = [None if pd.isna(rank) else int(rank) for rank in board["rank"]]
    return [row | {"rank": rank} for row, rank in zip(board.to_dict("records"), ranks, strict=True)]
