"""What a solver had reached by each moment, from one table of traces: curves, integrals, times to target.

References:
    Berthold 2013, "Measuring the impact of primal heuristics" (primal integral); Rønnow et al. 2014,
    arXiv:1401.2910 (time to solution by repetition); Dolan and Moré 2002 (performance profiles);
    Brown, Cai and DasGupta 2001 (Jeffreys' interval).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..storage import traces as stored
from ..storage.budget_columns import budgets
from .scores import (
    CAP,
    CONFIDENCE,
    ENDED_BY_ITSELF,
    IMPUTED_EXCESS,
    PAR_FACTOR,
    PAR_TARGET,
    TARGETS,
    cutoff,
    normalised_excess,
)
from .statistics import LEVEL

__all__ = [
    "Shares",
    "Traces",
    "cut",
    "excess_curves",
    "hit_seconds",
    "improvements",
    "jeffreys",
    "penalised_seconds",
    "performance_profile",
    "primal_integral",
    "repetitions",
    "target_ecdf",
    "time_grid",
    "time_to_target",
    "timed",
]

Traces = Mapping[str, NDArray[np.float64]]
"""The (k, 2) seconds and losses of a cell, by its key."""

EARLIEST_SECONDS = 1e-4
"""Where a logarithmic time axis starts at the earliest."""

Shares = dict[str, tuple[NDArray[np.float64], int]]
"""By label: the sorted finite values (steps of an empirical distribution) and the number of all values."""

MARKED = "marked: schedule depends on the budget"
TOO_SHORT = "marked: ran for less"

BLOCK = 10_000
"""Cells whose improvements are looked at together."""

_NEEDED = ("cell", "instance_key", "ranked", "seconds", "loss", "reference", "baseline_loss")
_MATCH = ("label", "instance_key", "budget")
_HITS = {name: f"hit_{name}" for name in TARGETS}

HALVINGS = 50
"""Of a quarter of a circle, to find a quantile."""


def improvements(frame: pd.DataFrame, traces: Traces) -> pd.DataFrame:
    """Make the trace table of a scored table: everything about time below is read from it.

    Returns:
        One row an incumbent of a ranked cell, cell after cell in the order of time: `row` (the cell's place
        in the scored table), `seconds`, `loss` (the lowest so far) and its `excess`. A cell ends at its
        recorded loss, which was recomputed from its bits; no earlier incumbent counts as lower, whatever was
        claimed.
    """
    joined = stored.Traces.of(traces)
    rows = np.flatnonzero(frame["ranked"].to_numpy())
    begin, lengths = joined.spans(frame["cell"].iloc[rows])
    row = np.repeat(rows, lengths + 1)
    last = np.cumsum(lengths + 1) - 1
    within = np.ones(len(row), dtype=bool)
    within[last] = False
    # The points of a cell lie side by side in the traces, and before its end in the table.
    place = (np.arange(len(row)) - np.repeat(last - lengths - begin, lengths + 1))[within]
    seconds, loss = np.empty(len(row)), np.empty(len(row))
    final = frame["loss"].to_numpy()
    seconds[last] = frame["seconds"].fillna(cutoff(frame)).fillna(0.0).to_numpy()[rows]
    loss[last] = final[rows]
    seconds[within], loss[within] = joined.points[place].T
    order = np.lexsort((seconds, row)) if _falls(row, seconds) else slice(None)
    table = pd.DataFrame({"row": row, "seconds": seconds[order], "loss": loss[order]})
    if _falls(row, -table["loss"].to_numpy()):
        table["loss"] = table.groupby("row")["loss"].cummin()
    table["loss"] = np.maximum(table["loss"], final[row])
    reference, baseline = (frame[name].to_numpy()[table["row"]] for name in ("reference", "baseline_loss"))
    return table.assign(excess=normalised_excess(table["loss"], reference, baseline))


def _falls(row: NDArray[np.intp], values: NDArray[np.float64]) -> bool:
    """Whether a value is below the one before it in the same row."""
    return bool(((values[1:] < values[:-1]) & (row[1:] == row[:-1])).any())


def timed(frame: pd.DataFrame, traces: Traces | None) -> pd.DataFrame:
    """Add to a scored table what each cell did over time; all NaN where the traces are not at hand.

    Columns: `primal_integral`, `penalised_seconds`, and `hit_10`, `hit_1`, `hit_0.1` (`hit_seconds`).
    """
    if traces is None:
        return frame.assign(
            **dict.fromkeys(("primal_integral", "penalised_seconds", *_HITS.values()), np.nan)
        )
    # A table of all improvements of a large store would take more memory than the store.
    needed = frame[list(_NEEDED)].assign(budget_seconds=cutoff(frame))
    joined = stored.Traces.of(traces)
    blocks = [_over_time(needed[at : at + BLOCK], joined) for at in range(0, max(len(frame), 1), BLOCK)]
    frame = frame.assign(**pd.concat(blocks))
    return frame.assign(penalised_seconds=penalised_seconds(frame))


def _over_time(frame: pd.DataFrame, traces: Traces) -> pd.DataFrame:
    table = improvements(frame, traces)
    hits = {_HITS[name]: hit_seconds(frame, table, target) for name, target in TARGETS.items()}
    return pd.DataFrame({"primal_integral": primal_integral(frame, table), **hits})


def primal_integral(frame: pd.DataFrame, table: pd.DataFrame) -> pd.Series[float]:
    """Mean over each cell's budget of its excess so far, capped at CAP, and CAP before its first solution.

    Parameters:
        frame, table: a scored table and its `improvements`.

    A cell that is not ranked scores CAP; NaN where the instance has no baseline.
    """
    limits = cutoff(frame).fillna(0.0).to_numpy()
    row, limit = table["row"].to_numpy(), limits[table["row"]]
    start = np.minimum(table["seconds"].to_numpy(), limit)
    last = np.append(row[1:] != row[:-1], [True])[: len(row)]
    end = np.where(last, limit, np.append(start[1:], [0.0])[: len(row)])
    gained = (CAP - np.minimum(table["excess"].to_numpy(), CAP)) * (end - start)
    total = np.bincount(row, gained, minlength=len(frame))
    at_once = np.bincount(
        row[last], CAP - np.minimum(table["excess"].to_numpy()[last], CAP), minlength=len(frame)
    )
    mean = np.divide(total, limits, out=np.asarray(at_once, dtype=np.float64), where=limits > 0)
    return pd.Series(CAP - mean, frame.index).where(np.isfinite(frame["baseline_loss"]))


def hit_seconds(frame: pd.DataFrame, table: pd.DataFrame, target: float) -> pd.Series[float]:
    """When each cell first had an excess of at most `target`: infinite if never, NaN without a baseline."""
    reached = (table["excess"] <= target).to_numpy()
    row, times = table["row"].to_numpy()[reached], table["seconds"].to_numpy()[reached]
    seconds = np.full(len(frame), np.inf)
    seconds[row[::-1]] = times[::-1]  # the earliest of a cell is written last
    return pd.Series(seconds, frame.index).where(np.isfinite(frame["baseline_loss"]))


def time_to_target(frame: pd.DataFrame, hits: pd.Series[float]) -> pd.DataFrame:
    """Give TTT = t ln(1 − CONFIDENCE) / ln(1 − p), at least t, by label, instance and budget.

    A run is one cell, hence one seed. Of the n runs of a solver on an instance with a budget, k reach the
    target: p = k/n and t is the time after which all k had. Minimising over cut-offs t instead would choose
    the luckiest. If k = 0, t is the budget.

    Returns:
        `ttt`, `low`, `high`: the ends come from Jeffreys' interval of p (its lower end is 0 for k = 0, its
        upper end 1 for k = n). For k = 0, `ttt` and `high` are infinite and `low` is the lower bound to
        quote.
    """
    runs = frame[[*_MATCH]].assign(hit=hits, limit=cutoff(frame), reached=np.isfinite(hits))
    runs = runs[hits.notna()]
    runs["hit"] = runs["hit"].where(runs["reached"])
    groups = runs.groupby([*_MATCH], dropna=False)
    n, k = groups.size().to_numpy(), groups["reached"].sum().to_numpy()
    last, limit = groups["hit"].max(), groups["limit"].max()
    t = last.fillna(limit).fillna(0.0).to_numpy()
    p_low, p_high = jeffreys(k, n)
    ends = {"ttt": k / n, "low": p_high, "high": p_low}
    columns = {end: _times(t, repetitions(share)) for end, share in ends.items()}
    columns = {name: np.where(np.isnan(values), 0.0, values) for name, values in columns.items()}  # 0 · ∞
    return pd.DataFrame(columns, index=last.index)


def _times(t: Any, repetitions: Any) -> Any:
    """Seconds of so many repetitions: never is infinite, also of a run that nobody timed."""
    never = np.isinf(repetitions)
    return np.where(never, np.inf, t * np.where(never, 0.0, repetitions))


def repetitions(p: ArrayLike) -> NDArray[np.float64]:
    """Runs needed to succeed once with probability CONFIDENCE, at least one; infinite for p = 0."""
    p = np.asarray(p, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(np.maximum(1.0, np.log1p(-CONFIDENCE) / np.log1p(-p)))


def jeffreys(
    k: ArrayLike, n: ArrayLike, *, level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Jeffreys' interval of a probability after k of n successes; it holds 0 for k = 0 and 1 for k = n."""
    k, n = np.asarray(k), np.asarray(n)
    tail = (1 - level) / 2
    quantile = np.vectorize(_quantile, otypes=[np.float64])
    low = np.where(k == 0, 0.0, quantile(k, n, tail))
    high = np.where(k == n, 1.0, quantile(k, n, 1 - tail))
    return low, high


@cache
def _quantile(k: int, n: int, share: float) -> float:
    """Where a share of Beta(k + ½, n - k + ½) lies below; scipy.special, which has it, takes .3 s to import.

    With x = sin² θ its density is sin^2k θ · cos^2(n-k) θ, a sum of n cosines, whose integral is exact.
    """
    size = 2 * n + 2
    places = np.arange(size) * (np.pi / size)
    logs = np.zeros(size)
    with np.errstate(divide="ignore"):
        logs += 2 * k * np.log(np.sin(places)) if k else 0.0
        logs += 2 * (n - k) * np.log(np.abs(np.cos(places))) if n > k else 0.0
    waves = np.fft.rfft(np.exp(logs - logs.max())).real
    twice = 2 * np.arange(1, len(waves))

    def beyond(angle: float) -> float:
        mass = waves[0] * angle + 2 * (waves[1:] * np.sin(twice * angle) / twice).sum()
        return float(mass - share * waves[0] * np.pi / 2)

    low, high = 0.0, np.pi / 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) > 0 else (middle, high)
    return float(np.sin(low) ** 2)


def penalised_seconds(frame: pd.DataFrame) -> pd.Series[float]:
    """Each cell's time to PAR_TARGET, or PAR_FACTOR budgets when it missed it; NaN without a baseline."""
    hits = frame[_HITS[PAR_TARGET]]
    return hits.mask(np.isinf(hits), PAR_FACTOR * cutoff(frame))


def target_ecdf(frame: pd.DataFrame) -> Shares:
    """By label of a timed table: when its (cell, target) pairs were reached, and how many pairs it has."""
    pairs = frame.melt("label", list(_HITS.values()), value_name="hit").dropna(subset="hit")
    return _shares(pairs["hit"], pairs["label"])


def performance_profile(frame: pd.DataFrame) -> Shares:
    """By label of a timed table: its times to PAR_TARGET over the quickest solver's, and its matches.

    A match is an instance with a budget; a solver's time there is the median over its seeds, hence infinite
    (and left out of the ratios) if it reaches the target in fewer than half of them.
    """
    hits = frame[_HITS[PAR_TARGET]].clip(lower=EARLIEST_SECONDS)
    known = frame[[*_MATCH]].assign(hit=hits)[hits.notna()]
    medians = known.groupby([*_MATCH], dropna=False)["hit"].median()
    best = medians.groupby(level=[1, 2], dropna=False).transform("min")
    ratios = medians.where(np.isinf(medians), medians / best)
    return _shares(ratios, ratios.index.get_level_values("label"))


def cut(frame: pd.DataFrame, table: pd.DataFrame, seconds: float) -> pd.DataFrame:
    """Judge every cell of a scored table as if its budget had been `seconds`.

    A cell may be cut if its solver is anytime, or if it had ended by itself by then. One whose budget was
    `seconds` stands as it is. The column `cut` is empty for these and says MARKED or TOO_SHORT for
    the others. Of an anytime solver's runs with several budgets, the shortest that suffices is taken.
    `loss`, `seconds`, `budget_seconds` and `ranked` become those of the cut; a metric, which belongs to the
    final bits, is unknown where a cut loses these.
    """
    budget = frame["budget_seconds"].fillna(np.inf)
    by_itself = frame["budget_seconds"].isna() | frame["status"].isin(ENDED_BY_ITSELF)
    done = by_itself & (frame["seconds"] <= seconds)
    anytime = frame["anytime"].fillna(True).astype(bool)
    allowed = (budget == seconds) | (anytime & (budget > seconds)) | done
    why = np.where(allowed, "", np.where(anytime, TOO_SHORT, MARKED))
    reached = table[table["seconds"] <= seconds].groupby("row")["loss"].min()
    losses = np.full(len(frame), np.nan)
    losses[reached.index] = reached
    losses = np.where(budget == seconds, frame["loss"], losses)
    whole = losses == frame["loss"].to_numpy()
    shorter = frame.assign(
        cut=why,
        loss=losses,
        metric=frame["metric"].where(whole),
        drop=frame["drop"].where(whole),
        seconds=frame["seconds"].clip(upper=seconds),
        budget_seconds=seconds,
        ranked=frame["ranked"] & np.isfinite(losses),
    )
    shorter = shorter.assign(budget=budgets(shorter))
    order = shorter.assign(first=budget)[allowed].sort_values("first", kind="stable")
    keys = ["instance_key", "label", "seed", "commit", "machine"]
    repeated = order[order.duplicated(keys)].index
    return shorter.drop(index=repeated)


def excess_curves(
    frame: pd.DataFrame, table: pd.DataFrame, times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Excess of every cell of a scored table at every time: (cells, times).

    Before its first solution, and for a cell that is not ranked always, a user has the baseline.
    """
    seconds, excess = table["seconds"].to_numpy(), table["excess"].to_numpy()
    latest = np.zeros((len(frame), len(times) + 1), dtype=np.int32)
    # Of a cell's incumbents that show from one time on, the last stays.
    latest[table["row"], np.searchsorted(times, seconds)] = np.arange(1, len(table) + 1)
    np.maximum.accumulate(latest, axis=1, out=latest)
    return np.append(IMPUTED_EXCESS, excess)[latest[:, :-1]]


def time_grid(table: pd.DataFrame, *, points: int = 140) -> NDArray[np.float64]:
    """Times, evenly spaced in their logarithm, from the first incumbent of any cell to the last."""
    seconds: Any = table["seconds"] if len(table) else [EARLIEST_SECONDS]
    first = max(float(np.min(seconds)), EARLIEST_SECONDS)
    return np.geomspace(first, max(float(np.max(seconds)), first * 10), points)


def _shares(values: pd.Series[float], labels: Any) -> Shares:
    groups = values.groupby(labels)
    return {str(label): (np.sort(part[np.isfinite(part)].to_numpy()), len(part)) for label, part in groups}
