"""Scores of a store in asv's format: asv reads them, and flags what got slower and what got worse."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from records import make_store

from qubopress.results.commits.asv_export import METRICS, export_asv
from qubopress.results.scoring.references import References
from qubopress.results.storage.errors import StoreError
from qubopress.suites import cli

NONE = References(0, "2026-01-01", {})
COMMITS = 12
PLANTED = 7
"""The commit, counted from the first, at which something got worse."""


@pytest.fixture
def commits(tmp_path: Path) -> list[str]:
    """A repository's commits, a minute apart, the oldest first."""
    root = tmp_path / "repo"
    root.mkdir()
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    for minute in range(COMMITS):
        when = f"2026-11-02T10:{minute:02d}:00+00:00"
        dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        command = [*git, "commit", "-q", "--allow-empty", "-m", str(minute)]
        subprocess.run(command, check=True, env=dates | {"PATH": "/usr/bin:/bin"})
    command = [*git, "rev-list", "--reverse", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def cells_of(commit: str, **changes: Any) -> list[dict[str, Any]]:
    """Two solvers with two seeds at a commit; the changes are made to sa."""
    shared: dict[str, Any] = {"commit": commit[:12], "status": "FINISHED", "restarts": 1, "loss": 3.0}
    shared |= {"counts": {"sweeps": 100}, "seconds": 1.0}
    return [
        {**shared, "cell": f"{commit} {solver} {seed}", "solver": solver, "seed": seed, **change}
        for solver, change in (("sa", changes), ("beam", {"loss": 2.0}))
        for seed in (0, 1)
    ]


def store_of(folder: Path, commits: list[str], **planted: Any) -> Path:
    """The same cells at each commit, sa's changed from PLANTED on."""
    cells = [
        cell
        for position, commit in enumerate(commits)
        for cell in cells_of(commit, **(planted if position >= PLANTED else {}))
    ]
    return make_store(folder / "r.db", cells)


def results_of(folder: Path, commit: str) -> dict[str, Any]:
    (path,) = folder.glob(f"*/{commit[:8]}-*.json")
    return dict(json.loads(path.read_text())["results"])


def regressions(folder: Path) -> dict[str, tuple[float, float]]:
    """What asv's own pages call a regression: before and after, by benchmark with its parameters."""
    config = {"version": 1, "project": "p", "repo": "repo", "branches": ["main"], "results_dir": "results"}
    config |= {"html_dir": "html", "benchmark_dir": "none", "environment_type": "virtualenv"}
    (folder / "asv.conf.json").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "asv", "publish"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((folder / "html/regressions.json").read_text())["regressions"]
    return {entry[0]: (entry[5], entry[4]) for entry in found}


def test_asv_publishes_an_export_and_flags_a_slowdown_and_a_loss_of_quality(
    tmp_path: Path, commits: list[str]
) -> None:
    store = store_of(tmp_path, commits, seconds=2.0, loss=4.0, counts={"sweeps": 200})
    done = export_asv(store, tmp_path / "results", repository=tmp_path / "repo", references=NONE)
    assert done.commits == tuple(commits)
    found = regressions(tmp_path)
    series = "('sa', 'rounding', '1 s, 1 restart')"
    assert set(found) == {
        f"suites.smoke.{name}{series}" for name in ("track_excess", "track_seconds", "track_count_sweeps")
    }
    assert found[f"suites.smoke.track_seconds{series}"] == pytest.approx((1.0, 2.0))
    assert found[f"suites.smoke.track_excess{series}"] == pytest.approx((1 + 1 / 8, 1 + 2 / 8))


def test_asv_flags_nothing_where_nothing_changed_or_all_got_better(
    tmp_path: Path, commits: list[str]
) -> None:
    store = store_of(tmp_path, commits, seconds=0.5, loss=2.5)
    export_asv(store, tmp_path / "results", repository=tmp_path / "repo", references=NONE)
    assert regressions(tmp_path) == {}


def test_points_on_other_seeds_than_the_newest_are_left_out(tmp_path: Path, commits: list[str]) -> None:
    cells = [*cells_of(commits[0])[:1], *cells_of(commits[1])]
    store = make_store(tmp_path / "r.db", cells)
    done = export_asv(store, tmp_path / "results", repository=tmp_path / "repo", references=NONE)
    assert (done.unlike, done.commits) == (1, (commits[1],))


def test_what_git_does_not_know_is_left_out_with_the_reason(tmp_path: Path, commits: list[str]) -> None:
    names = [f"{commits[0][:12]}+", "0" * 12, "--output=x", commits[1][:12]]
    cells = [{"commit": name, "cell": name, "finished_at": "2026-11-02T10:00:00+00:00"} for name in names]
    store = make_store(tmp_path / "r.db", cells)
    done = export_asv(store, tmp_path / "results", repository=tmp_path / "repo", references=NONE)
    assert done.commits == (commits[1],)
    assert done.left_out[names[0]] == "it had changes that are in no commit"
    assert [name for name, why in done.left_out.items() if "no commit of the repository" in why] == names[1:3]


def test_times_of_busy_machines_and_counts_of_used_up_budgets_are_no_points(
    tmp_path: Path, commits: list[str]
) -> None:
    busy = cells_of(commits[0])
    busy[0]["timing_grade"], busy[2]["status"] = False, "BUDGET"
    export_asv(make_store(tmp_path / "r.db", busy), tmp_path / "results", repository=tmp_path / "repo")
    results = results_of(tmp_path / "results", commits[0])
    # In asv's order: beam, then sa.
    assert results["suites.smoke.track_seconds"][0] == pytest.approx([1.0, np.nan], nan_ok=True)
    assert results["suites.smoke.track_count_sweeps"][0] == pytest.approx([np.nan, 100], nan_ok=True)
    assert results["suites.smoke.track_failed"][0] == [0, 0]


def test_asvs_own_benchmarks_stay_and_those_of_an_older_export_go(tmp_path: Path, commits: list[str]) -> None:
    listed = tmp_path / "results/benchmarks.json"
    listed.parent.mkdir()
    old = {"rounding.Time.time_solve": {"unit": "seconds"}, "suites.old.track_excess": {}, "version": 2}
    listed.write_text(json.dumps(old))
    export_asv(store_of(tmp_path, commits), listed.parent, repository=tmp_path / "repo")
    after = json.loads(listed.read_text())
    assert after.pop("version") == 2
    counted = "suites.smoke.track_count_sweeps"
    expected = {"rounding.Time.time_solve", counted, *(f"suites.smoke.{name}" for name in METRICS)}
    assert set(after) == expected
    listed.write_text("[")
    with pytest.raises(StoreError, match="must be asv's list of benchmarks; delete it"):
        export_asv(tmp_path / "r.db", listed.parent, repository=tmp_path / "repo")


def test_the_command_says_what_it_wrote_and_exits_3_for_nothing(
    tmp_path: Path,
    commits: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path / "repo")
    store = store_of(tmp_path, commits)
    assert cli.call(["export-asv", "--store", str(store), "--out", str(tmp_path / "results")]) == 0
    assert f"of {COMMITS} commits in" in capsys.readouterr().out
    other = make_store(tmp_path / "other.db", [{"commit": "0" * 12}])
    assert cli.call(["export-asv", "--store", str(other), "--out", str(tmp_path / "results")]) == 3
    assert "no commit of the repository" in capsys.readouterr().err


def bisected(folder: Path, store: Path, commits: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    sides = [commits[0][:12], commits[-1][:12]]
    assert cli.call(["compare", *sides, "--store", str(store), "--bisect"]) == 1
    return capsys.readouterr().err


def test_bisecting_names_the_first_bad_commit_and_those_that_nobody_measured(
    tmp_path: Path,
    commits: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path / "repo")
    store = store_of(tmp_path, commits, loss=6.0)
    said = bisected(tmp_path, store, commits, capsys)
    assert f"first bad commit {commits[PLANTED][:12]}: sa in rounding" in said
    with sqlite3.connect(store) as db:
        for commit in commits[PLANTED - 2 : PLANTED]:
            db.execute('DELETE FROM cell WHERE "commit" = ?', (commit[:12],))
    db.close()
    said = bisected(tmp_path, store, commits, capsys)
    doubt = f"or one of 2 unmeasured after {commits[PLANTED - 3][:12]}"
    assert f"first bad commit {commits[PLANTED][:12]}, {doubt}: sa in rounding" in said
    assert cli.call(["compare", "a.db", "b.db", "--bisect"]) == 2
    assert "--bisect takes two commits of one database" in capsys.readouterr().err


def test_what_can_be_negative_is_shifted_and_what_is_unknown_stays_so() -> None:
    better = pd.DataFrame({"excess": [-0.25, -0.25], "drop": [-0.09, 0.0], "float_metric": [0.9, -0.9]})
    assert METRICS["track_excess"].of(better) == 0.75
    assert METRICS["track_drop"].of(better) == pytest.approx(0.95)
    assert METRICS["track_excess"].of(better - 9.0) == 0.0
    assert np.isnan(METRICS["track_excess"].of(better * np.nan))
