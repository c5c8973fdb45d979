"""One row a solver, ranked over instances; and one row a setting of a problem's parameter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..storage.budget import LIMITS
from ..storage.errors import StoreError
from ..storage.record import STATUSES
from . import contest, scores
from .anytime import Traces, cut, improvements, time_to_target, timed
from .references import References, load_references
from .scored_cells import Wanted, labels, matching, read, score
from .statistics import median_interval

__all__ = ["COLUMNS", "board", "leaderboard", "leaderboards"]

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
    "primal_integral",
    *(f"ttt_{name}{end}" for name in scores.TARGETS for end in ("", "_low", "_high")),
    "par10",
    "feasible",
    "failures",
    "timing_grade",
    "improves_reference",
    "references",
    "imputed",
    "adapter",
    "unranked",
)


def leaderboard(
    source: str | Path | pd.DataFrame,
    *,
    suite: Wanted = None,
    family: Wanted = None,
    at_seconds: float | None = None,
    traces: Traces | None = None,
    references: References | None = None,
    do_nothing: bool = False,
) -> pd.DataFrame:
    """Rank the solvers of a store, or of a table that `results.load` gave.

    References come from the registry and the whole source, so narrowing to a suite or family changes no
    cell's score.

    Ranks: solvers are sorted by excess (then wins, then name). The first leads a group. Whoever follows
    joins the leader's group as long as the two intervals overlap; the first whose does not leads the next
    group. A group's rank is the place of its leader, so after three that share rank 1 comes rank 4.
    A missing interval is the median alone.

    Ranked are the solvers that entered the same instances, over these (`contest.common`); whoever entered
    fewer stands below them, scored over its own, without a rank; so does a solver that lied in a cell.

    Columns:

    - `rank`, `solver`
    - `excess`, `excess_low`, `excess_high`: the median normalised excess over the (instance, seed) cells,
      with its 95 % interval (NaN for a single cell)
    - `wins`: pairs of instance and budget with the lowest median loss
    - `instances`, `cells`: how many it entered
    - `seconds`: shifted geometric mean over ranked cells
    - `metric_drop`: what the network's metric loses on average over ranked cells (NaN where these have
      different metrics)
    - `primal_integral`: mean over cells
    - `ttt_10`, `ttt_1`, `ttt_0.1`, each with `_low` and `_high`: median over instances and budgets of the
      seconds to 10 %, 1 %, 0.1 % of the way from reference to baseline and of their interval's ends; where
      `ttt` is infinite, `_low` is a lower bound
    - `par10`: mean seconds to the 1 % target, ten budgets where it was missed
    - `feasible`: share of the solutions that keep the constraints; `failures`: cells that failed
    - `timing_grade`: share of cells measured beside no other work
    - `improves_reference`: cells better than the registry; `references`: the registry's version
    - `imputed`: cells scored as the baseline
    - `adapter`: how it was brought to instances of a shape that it does not take itself
    - `unranked`: empty, or why it has no rank
    - a count for each status that occurs
    - `cut`, with `at_seconds`: empty, or why the solver is not ranked

    Parameters:
        source: a store, or a table that `results.load` gave.
        suite, family: count the cells of these only.
        at_seconds: judge every cell as if that had been its budget (`anytime.cut`). Solvers whose schedule
            depends on the budget, and whose budget was another, stand below the ranking; the column `cut`
            says so.
        traces: of the source's cells where it is a table (`Store.traces`); without them all that depends on
            the course of a run is NaN. A store brings its own.
        references: registry of best known losses; the package's own unless given.
        do_nothing: add a row for one who takes the baseline of every instance.

    Returns:
        One row a solver, best first; a solver with several parameter settings or budgets in the source gets a
        row for each, labelled `neal(2 s, num_reads=10)` by what differs. Empty when nothing matches. Its
        `attrs` hold the "instances", the "common" ones that it ranks over, those "unbeaten" by anybody, and
        those "unregistered", whose excess is relative to this source alone: names of instances.
    """
    judged = _Judged.of(source, traces, references, at_seconds)
    return judged.board(matching(judged.frame, suite=suite, family=family), do_nothing)


def leaderboards(
    source: str | Path | pd.DataFrame,
    *,
    suite: Wanted = None,
    family: Wanted = None,
    at_seconds: float | None = None,
    traces: Traces | None = None,
    references: References | None = None,
    do_nothing: bool = False,
) -> dict[tuple[str, str], pd.DataFrame]:
    """A `leaderboard` for each suite and family, which are no rivals; the source is read and scored once."""
    judged = _Judged.of(source, traces, references, at_seconds)
    asked = judged.frame[matching(judged.frame, suite=suite, family=family)]
    return {
        (str(one), str(of)): judged.board(judged.frame.index.isin(cells.index), do_nothing)
        for (one, of), cells in asked.groupby(["suite", "family"])
    }


_UNSCORED = (
    *("problem", "network", "message", "finished_at", "energy", "bound", "peak_bytes"),
    *("counts", "limits", "measures", "problem_parameters", "variables"),
)
"""What no board looks at."""


@dataclass(frozen=True)
class _Judged:
    """The cells of a source, scored over all of it."""

    frame: pd.DataFrame
    traces: Traces | None
    references: References
    at_seconds: float | None

    @classmethod
    def of(
        cls,
        source: str | Path | pd.DataFrame,
        traces: Traces | None,
        references: References | None,
        at_seconds: float | None,
    ) -> _Judged:
        frame, traces = read(source, traces, without=_UNSCORED)
        references = references or load_references()
        frame = timed(score(frame, references=references), traces)
        if at_seconds is not None:
            # The seconds of a budget are what is cut.
            frame = frame.assign(label=labels(frame, limits=LIMITS[1:]))
        else:
            frame = frame.drop(columns=["cell", "parameters"])
        return cls(frame, traces, references, at_seconds)

    def board(self, asked: Any, do_nothing: bool) -> pd.DataFrame:
        """The board of the cells that are asked for."""
        frame = self.frame[asked]
        if self.at_seconds is None:
            return board(frame, self.references, do_nothing=do_nothing)
        return _cut_board(frame, self.traces, self.references, self.at_seconds, do_nothing)


def board(frame: pd.DataFrame, references: References, *, do_nothing: bool = False) -> pd.DataFrame:
    """Make the leaderboard of a table that has been scored and timed."""
    if frame.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    shared, ranked = contest.common(frame)
    if do_nothing:
        frame = pd.concat([frame, contest.idle(frame[frame["instance_key"].isin(shared)])])
    cells = frame[frame["instance_key"].isin(shared) | ~frame["label"].isin(ranked | {contest.DO_NOTHING})]
    entered = dict(list(frame.groupby("label")))
    board = pd.DataFrame([_row(label, own, entered[label]) for label, own in cells.groupby("label")])
    board["wins"] = board["solver"].map(scores.wins(cells, cells["label"])).astype(int)
    board["references"] = references.version
    board["adapter"] = board["solver"].map(contest.adapters(frame))
    why = contest.shortfalls(frame, ranked | {contest.DO_NOTHING}, shared)
    board["unranked"] = [why.get(label, "") for label in board["solver"]]
    board = board.merge(_times_to_targets(cells), left_on="solver", right_index=True)
    board = board.assign(below=board["unranked"] != "")
    order = ["below", "excess", "wins", "solver"]
    board = board.sort_values(order, ascending=[True, True, False, True], ignore_index=True)
    board["rank"] = _ranks(board)
    ended = frame[frame["label"] != contest.DO_NOTHING]
    counts = pd.crosstab(ended["label"], ended["status"]).reindex(board["solver"], fill_value=0)
    counts = counts[[name for name in STATUSES if name in counts]].astype(int)
    board = board[list(COLUMNS)].merge(counts, left_on="solver", right_index=True)
    board.attrs = _about(frame, shared, references)
    return board


def _about(frame: pd.DataFrame, shared: set[str], references: References) -> dict[str, list[str]]:
    """What a reader of the board must know of its instances, by name."""
    one = frame.drop_duplicates("instance_key").sort_values("instance")
    keys, names = one["instance_key"], one["instance"].astype(str)
    return {
        "instances": list(names),
        "common": list(names[keys.isin(shared)]),
        "unbeaten": contest.unbeaten(frame),
        "unregistered": list(names[~keys.isin(list(references.instances))]),
    }


def _cut_board(
    frame: pd.DataFrame, traces: Traces | None, references: References, seconds: float, do_nothing: bool
) -> pd.DataFrame:
    """Rank those that may be cut, and name the others below them."""
    if traces is None:
        raise StoreError("cutting the budget needs the traces; give the store's path, or its traces too")
    if not 0 < seconds < np.inf:
        raise StoreError(f"at_seconds must be positive, got {seconds:g}; give a finite budget to judge at")
    _refuse_longer(frame, seconds)
    shorter = cut(frame, improvements(frame, traces), seconds)
    kept = shorter[shorter["cut"] == ""]
    kept = kept.assign(excess=scores.excess(kept))
    ranked = board(timed(kept, traces), references, do_nothing=do_nothing)
    about, ranked = ranked.attrs, ranked.assign(cut="")
    others = shorter[~shorter["label"].isin(kept["label"])]
    marked = others.groupby("label")["cut"].max().rename_axis("solver").reset_index()
    if len(marked):
        whole = [name for name in ranked if name in ("rank", *_COUNTED, *STATUSES)]
        ranked = pd.concat([ranked.astype(dict.fromkeys(whole, "Int64")), marked], ignore_index=True)
    ranked.attrs = about
    return ranked


def _refuse_longer(frame: pd.DataFrame, seconds: float) -> None:
    """StoreError when no cell was given so long."""
    longest = frame["budget_seconds"].fillna(np.inf).max()
    if seconds > longest:
        raise StoreError(
            f"at_seconds must be at most the longest budget, {longest:g} s, got {seconds:g}; "
            "run for longer first"
        )


def _row(label: str, cells: pd.DataFrame, entered: pd.DataFrame) -> dict[str, Any]:
    """Scores over the cells that are ranked over, counts over all that the solver entered."""
    ranked, answered = cells[cells["ranked"]], int(entered["ranked"].sum())
    low, high = median_interval(cells["excess"], cells["instance_key"])
    broken = int((entered["status"] == "INFEASIBLE").sum())
    return {
        "solver": label,
        "excess": cells["excess"].median(),
        "excess_low": low,
        "excess_high": high,
        "instances": entered["instance_key"].nunique(),
        "cells": len(entered),
        "seconds": scores.shifted_geometric_mean(ranked["seconds"]),
        "metric_drop": ranked["drop"].mean() if ranked["metric_name"].nunique() == 1 else np.nan,
        "primal_integral": cells["primal_integral"].mean(),
        "par10": cells["penalised_seconds"].mean(),
        "feasible": answered / (answered + broken) if answered + broken else np.nan,
        "failures": int(entered["status"].isin(scores.FAILURES).sum()),
        "timing_grade": float(cells["timing_grade"].astype(float).mean()),
        "improves_reference": int(cells["improves"].sum()),
        "imputed": len(entered) - answered,
    }


_COUNTED = ("wins", "instances", "cells", "failures", "improves_reference", "references", "imputed")


def _times_to_targets(frame: pd.DataFrame) -> pd.DataFrame:
    """By label: the median over instances and budgets of each time to target and of its interval's ends."""
    medians: dict[str, Any] = {}
    for name in scores.TARGETS:
        times = time_to_target(frame, frame[f"hit_{name}"]).groupby(level="label").median()
        ends = {"ttt": f"ttt_{name}", "low": f"ttt_{name}_low", "high": f"ttt_{name}_high"}
        medians |= {ends[end]: times[end] for end in times}
    return pd.DataFrame(medians).reindex(frame["label"].unique())


def _ranks(board: pd.DataFrame) -> Any:
    """Ranks of the rows that have one, which come first."""
    placed = board[~board["below"]]
    ranks = _shared_ranks(placed)
    if len(placed) == len(board):
        return ranks
    return pd.array([*ranks, *[pd.NA] * (len(board) - len(placed))], dtype="Int64")


def _shared_ranks(board: pd.DataFrame) -> list[int]:
    """Give the ranks of rows sorted by excess, as `leaderboard` states; an unknown excess comes last."""
    middle = board["excess"].fillna(np.inf)
    lows, highs = board["excess_low"].fillna(middle), board["excess_high"].fillna(middle)
    ranks = [1][: len(board)]
    for place in range(1, len(board)):
        leader = ranks[-1] - 1
        overlaps = lows[place] <= highs[leader] and lows[leader] <= highs[place]
        ranks.append(ranks[-1] if overlaps else place + 1)
    return ranks
