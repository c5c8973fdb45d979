"""One row a solver, ranked over instances; and one row a setting of a problem's parameter."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..storage.record import STATUSES
from ..storage.store import Store, StoreError
from . import scores
from .anytime import Traces, cut, improvements, time_to_target, timed
from .references import References, load_references
from .statistics import median_interval

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
)


def leaderboard(
    source: str | Path | pd.DataFrame,
    *,
    suite: str | None = None,
    family: str | None = None,
    at_seconds: float | None = None,
    traces: Traces | None = None,
    references: References | None = None,
) -> pd.DataFrame:
    """Rank the solvers of a store, or of a table that `results.load` gave.

    References come from the registry and the whole source, so narrowing to a suite or family changes no
    cell's score.

    Parameters
    ----------
    suite, family
        Count these cells only.
    at_seconds
        Judge every cell as if that had been its budget (`anytime.cut`). Solvers whose schedule depends on the
        budget, and whose budget was another, stand below the ranking; the column `cut` says so.
    traces
        Of the source's cells where it is a table (`Store.traces`); without them all that depends on the
        course of a run is NaN. A store brings its own.
    references
        Registry of best known losses; the package's own unless given.

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
    - `primal_integral`: mean over cells
    - `ttt_10`, `ttt_1`, `ttt_0.1`, each with `_low` and `_high`: median over instances and budgets of the
      seconds to 10 %, 1 %, 0.1 % of the way from reference to baseline and of their interval's ends; where
      `ttt` is infinite, `_low` is a lower bound
    - `par10`: mean seconds to the 1 % target, ten budgets where it was missed
    - `feasible`: share of the solutions that keep the constraints; `failures`: cells that failed
    - `timing_grade`: share of cells measured beside no other work
    - `improves_reference`: cells better than the registry; `references`: the registry's version
    - `imputed`: cells scored as the baseline
    - a count for each status that occurs
    - `cut`, with `at_seconds`: empty, or why the solver is not ranked

    Ranks: solvers are sorted by excess (then wins, then name). The first leads a group. Whoever follows
    joins the leader's group as long as the two intervals overlap; the first whose does not leads the next
    group. A group's rank is the place of its leader, so after three that share rank 1 comes rank 4.
    A missing interval is the median alone.
    """
    frame, traces = read(source, traces)
    references = references or load_references()
    frame = timed(score(frame, references=references), traces)
    frame = frame[_matches(frame, suite=suite, family=family)]
    if at_seconds is None:
        return board(frame, references)
    return _cut_board(frame, traces, references, at_seconds)


def board(frame: pd.DataFrame, references: References) -> pd.DataFrame:
    """Make the leaderboard of a table that has been scored and timed."""
    if frame.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    board = pd.DataFrame([_row(label, cells) for label, cells in frame.groupby("label", sort=True)])
    board["wins"] = board["solver"].map(scores.wins(frame, frame["label"])).astype(int)
    board["references"] = references.version
    board = board.merge(_times_to_targets(frame), left_on="solver", right_index=True)
    board = board.sort_values(["excess", "wins", "solver"], ascending=[True, False, True], ignore_index=True)
    board["rank"] = _shared_ranks(board)
    counts = pd.crosstab(frame["label"], frame["status"])
    counts = counts[[name for name in STATUSES if name in counts]].astype(int)
    return board[list(COLUMNS)].merge(counts, left_on="solver", right_index=True)


def _cut_board(
    frame: pd.DataFrame, traces: Traces | None, references: References, seconds: float
) -> pd.DataFrame:
    """Rank those that may be cut, and name the others below them."""
    if traces is None:
        raise StoreError("cutting the budget needs the traces; give the store's path, or its traces too")
    if not 0 < seconds < np.inf:
        raise StoreError(f"at_seconds must be positive, got {seconds:g}; give a finite budget to judge at")
    shorter = cut(frame, improvements(frame, traces), seconds)
    kept = shorter[shorter["cut"] == ""]
    kept = kept.assign(excess=scores.excess(kept))
    ranked = board(timed(kept, traces), references).assign(cut="")
    others = shorter[~shorter["label"].isin(kept["label"])]
    marked = others.groupby("label")["cut"].max().rename_axis("solver").reset_index()
    if marked.empty:
        return ranked
    whole = [name for name in ranked if name in ("rank", *_COUNTED, *STATUSES)]
    return pd.concat([ranked.astype(dict.fromkeys(whole, "Int64")), marked], ignore_index=True)


def by_parameter(
    source: str | Path | pd.DataFrame, parameter: str, *, suite: str | None = None
) -> pd.DataFrame:
    """Table an experiment over a parameter of the problem, such as bits: loss and metric by method.

    Returns
    -------
    One row a problem, network, value of the parameter (its column bears the parameter's name) and solver:
    means over the ranked cells of `loss`, `metric` and `drop` (of the metric, from the uncompressed
    network), `ratio` (the mean loss in units of the mean baseline loss; NaN unless that is positive), each of
    the network's other measures that occurs, under its own name,
    `float_metric`, `baseline_metric`, and the numbers of `cells` and of `imputed` ones, which enter no mean.
    Where other parameters of the same problem and network differ, a column `variant` names them and each
    combination has its own rows; seeds of draws are averaged over.

    Raises StoreError when no instance has such a parameter, or it bears the name of another column.
    """
    if parameter in ("problem", "network", "variant", *_SETTING_COLUMNS):
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
    frame = frame.assign(value=values, settings=settings)[values.notna()]
    frame = frame.assign(variant=_variants(frame, parameter))
    keys = ["problem", "network", "variant", frame["value"].map(_text), "label"]
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


def _variants(frame: pd.DataFrame, parameter: str) -> "pd.Series[str]":
    """By row, the parameters in which its problem's settings on its network differ.

    The one tabled is none of them, nor are the seeds of draws.
    """
    found = pd.Series("", frame.index, dtype=object)
    for _, cells in frame.groupby(["problem", "network"], sort=False):
        settings: list[dict[str, Any]] = cells["settings"].tolist()
        names = sorted({name for setting in settings for name in setting} - {parameter})
        differing = [name for name in names if not name.endswith("seed") and _differs(settings, name)]
        for index, setting in zip(cells.index, settings, strict=True):
            found[index] = ", ".join(f"{name}={setting.get(name, _UNSET)}" for name in differing)
    return found


def _differs(settings: list[dict[str, Any]], name: str) -> bool:
    return len({_text(setting.get(name, _UNSET)) for setting in settings}) > 1


def read(
    source: str | Path | pd.DataFrame, traces: Traces | None = None
) -> tuple[pd.DataFrame, Traces | None]:
    """Give the table and the traces of a store; a table is taken as it is."""
    if isinstance(source, pd.DataFrame):
        return source, traces
    with Store(source) as store:
        return store.frame(), store.traces()


def score(source: str | Path | pd.DataFrame, *, references: References | None = None) -> pd.DataFrame:
    """Read the table and add each cell's scores and its solver's `label`.

    The scores are `ranked`, `reference` (of its instance, registry included), `excess`, `drop` and
    `improves` (whether it is better than the registry).
    """
    frame = source if isinstance(source, pd.DataFrame) else read(source)[0]
    registry = (references or load_references()).losses
    frame = frame.assign(
        ranked=scores.ranked(frame),
        reference=scores.reference(frame, registry),
        improves=scores.improves(frame, registry),
        drop=scores.metric_drop(frame),
        label=labels(frame),
    )
    return frame.assign(excess=scores.excess(frame))


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
    differing = [name for name in names if _differs(settings, name)]
    labels = []
    for setting in settings:
        shown = ", ".join(f"{name}={_text(setting[name])}" for name in differing if name in setting)
        labels.append(f"{solver}({shown})" if shown else solver)
    return labels


def _row(label: str, cells: pd.DataFrame) -> dict[str, Any]:
    ranked = cells[cells["ranked"]]
    low, high = median_interval(cells["excess"], cells["instance_key"])
    broken = int((cells["status"] == "INFEASIBLE").sum())
    return {
        "solver": label,
        "excess": cells["excess"].median(),
        "excess_low": low,
        "excess_high": high,
        "instances": cells["instance_key"].nunique(),
        "cells": len(cells),
        "seconds": scores.shifted_geometric_mean(ranked["seconds"]),
        "metric_drop": ranked["drop"].mean() if ranked["metric_name"].nunique() == 1 else np.nan,
        "primal_integral": cells["primal_integral"].mean(),
        "par10": cells["penalised_seconds"].mean(),
        "feasible": len(ranked) / (len(ranked) + broken) if len(ranked) + broken else np.nan,
        "failures": int(cells["status"].isin(scores.FAILURES).sum()),
        "timing_grade": float(cells["timing_grade"].astype(float).mean()),
        "improves_reference": int(cells["improves"].sum()),
        "imputed": len(cells) - len(ranked),
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
