"""The scores of a store over commits in asv's result format, so that `asv publish` shows them beside its own.

A series is a suite, solver, family and budget; its points are commits. A point enters only if it was measured
on the instances and seeds of the newest one, since a mean over others would be no change of the solver's.
Everything is lower the better, because asv flags increases only.

Format: asv's `benchmarks.json` and result files, both of version 2 (asv 0.6, `asv/results.py`).
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..scoring import scores
from ..scoring.references import References, load_references
from ..scoring.scored_cells import score
from ..scoring.scores import ENDED_BY_ITSELF
from ..storage.budget_columns import budgets
from ..storage.errors import StoreError
from ..storage.store import Store
from ..storage.whole_files import write_whole
from .at_commits import at_commits
from .compare import KEY

__all__ = ["METRICS", "Commit", "Exported", "Metric", "commit_of", "export_asv"]

ENVIRONMENT = "qubopress-store"
"""What stands for asv's environment in the names of our result files."""

VERSION = "2"
"""Raise it when a metric is computed in another way: asv then shows no older points."""

PARAMETERS = ("solver", "family", "budget")
SERIES = ("suite", *PARAMETERS)


class Metric(NamedTuple):
    """A number of a series' cells at one commit: its unit, what it is, and how it is had; lower is better."""

    unit: str
    what: str
    of: Callable[[pd.DataFrame], float]


class Commit(NamedTuple):
    """A commit as git knows it: the whole hash, and milliseconds since 1970."""

    hash: str
    date: int


@dataclass(frozen=True)
class Exported:
    """What came of an export.

    Attributes:
        points: numbers written, over all metrics and series.
        commits: those written, by whole hash, the oldest first.
        left_out: commits that git does not know as they are, with the reason.
        unlike: series at a commit that were measured on other instances or seeds than the newest.
    """

    points: int
    commits: tuple[str, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    unlike: int = 0


def export_asv(
    store: str | Path,
    folder: str | Path,
    *,
    repository: str | Path = ".",
    references: References | None = None,
) -> Exported:
    """Write a store's scores into asv's folder of results; what asv itself wrote there stays.

    Where a cell was measured more than once at a commit, the last time counts. Times enter only where all
    cells of a point were measured alone.

    Raises:
        StoreError: the store cannot be read, the folder not written, or its `benchmarks.json` is none.
    """
    folder = Path(folder)
    with Store(store) as opened:
        environments = opened.environments()
    frame = at_commits(store).reset_index(drop=True)
    commits, left_out = _commits(frame["commit"].unique(), Path(repository))
    scored = _scored(frame, references or load_references())
    points = scored[scored["commit"].isin(list(commits))]
    kept = _alike(points, commits)
    metrics = _metrics(kept)
    described = [one for suite, cells in kept.groupby("suite") for one in _benchmarks(suite, cells, metrics)]
    _describe(folder / "benchmarks.json", {one["name"]: one for one in described})
    pythons = {(commit, machine): versions.get("python", "") for commit, machine, versions in environments}
    written = 0
    for (commit, machine), cells in kept.groupby(["commit", "machine"]):
        results = _results(cells, described, metrics)
        written += sum(not isnan(value) for values, *_ in results.values() for value in values)
        _write(folder, commits[commit], machine, pythons.get((commit, machine), ""), results)
    dates = sorted((commits[name] for name in kept["commit"].unique()), key=lambda one: one.date)
    return Exported(written, tuple(one.hash for one in dates), left_out, _count(points) - _count(kept))


# ---- commits


def _commits(names: Any, repository: Path) -> tuple[dict[str, Commit], dict[str, str]]:
    """What git knows of each commit named in a store, and why it knows nothing of the others."""
    known, unknown = {}, {}
    for name in map(str, names):
        found = commit_of(name, repository)
        if isinstance(found, Commit):
            known[name] = found
        else:
            unknown[name] = found
    return known, unknown


def commit_of(name: str, repository: Path) -> Commit | str:
    """The commit that a store names, or why git does not know it as it is."""
    if name.endswith("+"):
        return "it had changes that are in no commit"
    # A store may be a stranger's; nothing but a hash or our own version reaches git.
    if re.fullmatch(r"[0-9a-f]{7,40}|v\d[\w.]*", name):
        command = ["git", "-C", str(repository), "show", "-s", "--format=%H %ct", f"{name}^{{commit}}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode == 0:
            whole, seconds = done.stdout.split()
            return Commit(whole, 1000 * int(seconds))
    return f"it is no commit of the repository in {repository}"


# ---- scores


def _scored(frame: pd.DataFrame, registry: References) -> pd.DataFrame:
    """Each cell's last measurement at its commit, with its series and excess."""
    frame = frame.assign(budget=budgets(frame))
    identity = frame[["suite", "commit", "machine", *KEY]]
    last = frame["finished_at"].sort_values(kind="stable").index
    frame = frame.loc[~identity.loc[last].duplicated(keep="last").sort_index()]
    settings = [_setting(json.loads(text)) for text in frame["parameters"]]
    names = zip(frame["solver"], settings, strict=True)
    series = frame.assign(
        solver=[f"{name} {setting}".strip() for name, setting in names],
    )
    return score(series, references=registry)


def _setting(parameters: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(parameters.items()))


def _alike(points: pd.DataFrame, commits: Mapping[str, Commit]) -> pd.DataFrame:
    """The points whose instances and seeds are those of the newest point of their series."""
    if points.empty:
        return points
    measured = {
        key: frozenset(zip(cells["instance_key"], cells["seed"], strict=True))
        for key, cells in points.groupby([*SERIES, "commit", "machine"])
    }
    newest: dict[Any, Any] = {}
    for key in sorted(measured, key=lambda key: commits[key[len(SERIES)]].date):
        newest[key[: len(SERIES)]] = measured[key]
    keys = points[[*SERIES, "commit", "machine"]].itertuples(index=False, name=None)
    return points[[measured[key] == newest[key[: len(SERIES)]] for key in keys]]


def _count(points: pd.DataFrame) -> int:
    return len(points[[*SERIES, "commit", "machine"]].drop_duplicates())


def _metrics(cells: pd.DataFrame) -> dict[str, Metric]:
    """What is tracked, by the last part of the benchmark's name."""
    counted = sorted({name for text in cells["counts"].unique() for name in json.loads(text)})
    return METRICS | {
        f"track_count_{_identifier(name)}": Metric(name, f"Mean number of {name}", _counter(name))
        for name in counted
    }


def _seconds(cells: pd.DataFrame) -> float:
    alone = bool(cells["timing_grade"].astype(bool).all() and cells["ranked"].any())
    return scores.shifted_geometric_mean(cells.loc[cells["ranked"], "seconds"]) if alone else float("nan")


def _counter(name: str) -> Callable[[pd.DataFrame], float]:
    def mean(cells: pd.DataFrame) -> float:
        """NaN unless every cell ended by itself: one that used up its budget counts the machine's speed."""
        if not cells["status"].isin(ENDED_BY_ITSELF).all():
            return float("nan")
        return float(pd.Series([json.loads(text).get(name) for text in cells["counts"]], dtype=float).mean())

    return mean


def _shifted(value: float) -> float:
    """1 + value, 0 at the least: asv's threshold is a share of a number, so that below 0 there is none."""
    return float(np.maximum(0.0, 1.0 + value))


METRICS = {
    "track_excess": Metric(
        "1 + excess",
        "Mean normalised excess: 1 is the best known, 2 the baseline",
        lambda c: _shifted(c["excess"].mean()),
    ),
    "track_seconds": Metric("seconds", "Shifted geometric mean of the solver's own seconds", _seconds),
    "track_drop": Metric(
        "1 + share",
        "Mean loss of the network's own metric as a share of the float network's: 1 is none",
        lambda c: _shifted((c["drop"] / c["float_metric"].abs()).mean()),
    ),
    "track_failed": Metric("share", "Share of cells that are not ranked", lambda c: 1 - c["ranked"].mean()),
    "track_peak_bytes": Metric("bytes", "Mean peak memory of a cell", lambda c: c["peak_bytes"].mean()),
}


# ---- asv's files


def _benchmarks(suite: str, cells: pd.DataFrame, metrics: dict[str, Metric]) -> Iterator[dict[str, Any]]:
    """What asv must know of a suite's metrics before it shows a number."""
    values = [[repr(value) for value in sorted(cells[name].unique())] for name in PARAMETERS]
    for name, metric in metrics.items():
        yield {
            "name": f"{_prefix(suite)}{name}",
            "code": f"{metric.what}; from the records of the suite {suite}, lower is better.",
            "param_names": list(PARAMETERS),
            "params": values,
            "timeout": 0.0,
            "type": "track",
            "unit": metric.unit,
            "version": VERSION,
        }


def _results(
    cells: pd.DataFrame, described: list[dict[str, Any]], metrics: dict[str, Metric]
) -> dict[str, list[Any]]:
    """Each benchmark's values, its parameters and its version, as `COLUMNS` has them."""
    found: dict[str, list[Any]] = {}
    for suite, of_suite in cells.groupby("suite"):
        groups = {tuple(map(repr, key)): group for key, group in of_suite.groupby(list(PARAMETERS))}
        for one in described:
            prefix, _, name = one["name"].rpartition(".")
            if f"{prefix}." == _prefix(suite):
                values = [_value(metrics[name], groups.get(key)) for key in _product(one["params"])]
                if not all(map(isnan, values)):
                    found[one["name"]] = [values, one["params"], VERSION]
    return found


def _product(params: list[list[str]]) -> pd.MultiIndex:
    """Every combination in asv's order, the last parameter first to change."""
    return pd.MultiIndex.from_product(params)


def _value(metric: Metric, cells: pd.DataFrame | None) -> float:
    """NaN, which asv takes as skipped, where nothing was measured; null would be a failure to it."""
    return float("nan") if cells is None else float(metric.of(cells))


COLUMNS = ["result", "params", "version"]


def _describe(path: Path, ours: dict[str, dict[str, Any]]) -> None:
    """Put our benchmarks beside asv's own; those of an older export that are no more go."""
    try:
        before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        others = {
            name: one for name, one in before.items() if name != "version" and not name.startswith(PREFIX)
        }
    except (OSError, ValueError, AttributeError) as error:
        raise StoreError(f"{path} must be asv's list of benchmarks; delete it: {error}") from None
    _save(path, {**others, **ours}, version=2)


def _write(folder: Path, commit: Commit, machine: str, python: str, results: dict[str, list[Any]]) -> None:
    """One result file, and what asv must know of the machine."""
    name = _slug(machine)
    _save(folder / name / "machine.json", {"machine": name, "cpu": machine}, version=1)
    content = {
        "commit_hash": commit.hash,
        "date": commit.date,
        "env_name": ENVIRONMENT,
        "env_vars": {},
        "params": {"machine": name, "cpu": machine, "python": python},
        "python": python,
        "requirements": {},
        "result_columns": COLUMNS,
        "results": results,
        "durations": {},
    }
    _save(folder / name / f"{commit.hash[:8]}-{ENVIRONMENT}.json", content, version=2)


def _save(path: Path, content: dict[str, Any], *, version: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path.parent} must be a folder that can be made: {error.strerror}") from None
    write_whole(path, json.dumps({**content, "version": version}, indent=1))


PREFIX = "suites."


def _prefix(suite: str) -> str:
    """The beginning of the names of a suite's benchmarks; asv makes folders of the parts."""
    return f"{PREFIX}{_identifier(suite)}."


def _identifier(text: str) -> str:
    return re.sub(r"\W", "_", text)


def _slug(machine: str) -> str:
    """A name for the machine that may be a folder's."""
    return re.sub(r"[^A-Za-z0-9]+", "-", machine).strip("-").lower() or "unknown"
