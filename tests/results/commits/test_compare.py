"""A comparison pairs cells, judges quality, time and counts apart, and calls only what it can show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import make_store
from scipy import stats

from qubopress.results import Outcome, Store, StoreError, Verdict, compare
from qubopress.results.scoring.statistics import holm

INFOS = [{"key": f"key-{i}", "name": f"instance {i}"} for i in range(8)]


def cells(
    change: float = 0.0, *, seeds: int = 3, noise: int | None = None, **more: Any
) -> list[dict[str, Any]]:
    """Eight instances × seeds of one solver, its losses around 4 (excess 0.4) and `change` above."""
    rng = np.random.default_rng(noise)
    rows = [
        {"instance_key": f"key-{i}", "instance": f"instance {i}", "seed": s, **more}
        for i in range(8)
        for s in range(seeds)
    ]
    best = [
        {"instance_key": f"key-{i}", "instance": f"instance {i}", "solver": "best", "loss": 0.0}
        for i in range(8)
    ]
    return best + [{"loss": 4.0 + change + 0.3 * rng.normal() * (noise is not None), **row} for row in rows]


def stores(tmp_path: Path, base: list[dict[str, Any]], head: list[dict[str, Any]]) -> tuple[Path, Path]:
    return make_store(tmp_path / "base.db", base, INFOS), make_store(tmp_path / "head.db", head, INFOS)


def verdict(
    tmp_path: Path, base: list[dict[str, Any]], head: list[dict[str, Any]], measure: str = "quality"
) -> str:
    rows = compare(*stores(tmp_path, base, head)).rows
    (row,) = rows[(rows["solver"] == "sa") & (rows["measure"] == measure)].to_dict("records")
    return str(row["verdict"])


# ---- outcomes


def test_a_store_is_no_regression_of_itself(tmp_path: Path) -> None:
    base, head = stores(tmp_path, cells(), cells())
    found = compare(base, head)
    assert found.outcome is Outcome.CLEAN
    assert found.matched == 32
    assert set(found.rows["verdict"]) == {"same"}


def test_worse_losses_are_a_regression_that_names_solver_and_family(tmp_path: Path) -> None:
    found = compare(*stores(tmp_path, cells(noise=1), cells(1.0, noise=2)))
    assert found.outcome is Outcome.REGRESSION
    assert found.regressions()[["solver", "family", "measure"]].to_numpy().tolist() == [
        ["sa", "rounding", "quality"]
    ]
    assert int(found.outcome) == 1


def test_stores_with_nothing_in_common_say_so(tmp_path: Path) -> None:
    found = compare(*stores(tmp_path, cells(suite="a"), cells(seeds=1, solver="other")[8:]))
    assert found.outcome is Outcome.NOTHING_MATCHED
    assert int(found.outcome) == 3
    assert set(found.rows["verdict"]) == {"unpaired"}


def test_another_budget_seed_or_parameter_is_no_pair(tmp_path: Path) -> None:
    for place, change in enumerate(
        ({"budget_seconds": 2.0}, {"parameters": {"a": 1}}, {"seed": 77}, {"restarts": 4})
    ):
        folder = tmp_path / str(place)
        folder.mkdir()
        found = compare(*stores(folder, [{"solver": "sa"}], [{"solver": "sa", **change}]))
        assert found.outcome is Outcome.NOTHING_MATCHED


def test_cells_without_a_budget_pair_too(tmp_path: Path) -> None:
    free = {"budget_seconds": None, "restarts": 2}
    assert compare(*stores(tmp_path, [free], [free])).matched == 1


def test_a_solver_on_one_side_only_is_unpaired_and_harmless(tmp_path: Path) -> None:
    found = compare(*stores(tmp_path, cells(), [*cells(), {"solver": "new", "instance_key": "key-0"}]))
    assert found.rows.set_index("solver").loc["new", "verdict"] == Verdict.UNPAIRED
    assert found.outcome is Outcome.CLEAN


# ---- quality


def test_noise_is_no_verdict(tmp_path: Path) -> None:
    wrong = 0
    for seed in range(20):
        folder = tmp_path / str(seed)
        folder.mkdir()
        wrong += verdict(folder, cells(noise=seed, seeds=1), cells(noise=100 + seed, seeds=1)) in (
            "worse",
            "better",
        )
    assert wrong <= 1


def test_better_losses_are_better(tmp_path: Path) -> None:
    assert verdict(tmp_path, cells(noise=1), cells(-1.0, noise=2)) == "better"


def test_a_small_but_steady_change_is_called(tmp_path: Path) -> None:
    assert verdict(tmp_path, cells(noise=1), cells(0.05, noise=1)) == "worse"


def test_a_change_below_the_step_is_the_same(tmp_path: Path) -> None:
    assert verdict(tmp_path, cells(noise=1), cells(0.005, noise=1)) == "same"


def test_a_large_change_of_few_pairs_is_called_only_if_none_contradicts_it(tmp_path: Path) -> None:
    base, worse, mixed = (
        [*cells()[:8], *rows] for rows in (cells()[8:10], cells(3.0)[8:10], [cells(3.0)[8], cells(-1.0)[9]])
    )
    for name, head, expected in (("a", worse, "worse"), ("b", mixed, "unclear")):
        (tmp_path / name).mkdir()
        assert verdict(tmp_path / name, base, head) == expected


def test_a_new_failure_counts_at_the_baseline(tmp_path: Path) -> None:
    failed = {"status": "CRASHED", "loss": None, "seconds": None, "violation": None, "trace": ()}
    head = [{**cell, **failed} if cell.get("solver") != "best" else cell for cell in cells()]
    found = compare(*stores(tmp_path, cells(), head))
    row = found.rows[(found.rows["solver"] == "sa") & (found.rows["measure"] == "quality")].iloc[0]
    assert row["verdict"] == "worse"
    assert row["effect"] == pytest.approx(0.6)


def test_the_effect_lies_in_its_interval_and_the_worst_instance_is_named(tmp_path: Path) -> None:
    head = cells(0.5, noise=3)
    head[-1]["loss"] = 9.5
    rows = compare(*stores(tmp_path, cells(noise=2), head)).rows
    row = rows[(rows["solver"] == "sa") & (rows["measure"] == "quality")].iloc[0]
    assert row["low"] < row["effect"] < row["high"]
    assert row["worst_instance"] == "instance 7"
    assert row[["pairs", "better", "worse", "equal"]].tolist()[0] == 24


def test_the_last_time_a_cell_was_measured_counts(tmp_path: Path) -> None:
    old = {"loss": 9.0, "finished_at": "2026-11-01T10:00:00+00:00", "solver": "sa"}
    new = {"loss": 2.0, "solver": "sa"}
    found = compare(*stores(tmp_path, [{"loss": 2.0, "solver": "sa"}], [new, old]))
    assert found.matched == 1
    assert found.outcome is Outcome.CLEAN


# ---- time


def test_slower_runs_are_a_regression_of_time_alone(tmp_path: Path) -> None:
    found = compare(*stores(tmp_path, cells(seconds=1.0), cells(seconds=2.0)))
    assert found.regressions()[["solver", "measure"]].to_numpy().tolist() == [["sa", "time"]]
    assert found.regressions()["effect"].tolist() == pytest.approx([2.0])


@pytest.mark.parametrize("change", [{"machine": "lab-2"}, {"timing_grade": False}])
def test_times_of_other_machines_or_of_busy_ones_are_not_compared(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    rows = compare(*stores(tmp_path, cells(seconds=1.0), cells(seconds=2.0, **change))).rows
    assert "time" not in rows[rows["solver"] == "sa"]["measure"].tolist()
    assert "quality" in rows[rows["solver"] == "sa"]["measure"].tolist()


# ---- counts


def test_more_work_for_the_same_end_is_a_regression_of_counts(tmp_path: Path) -> None:
    few, many = ({"status": "FINISHED", "counts": {"flips": n, "nodes": 5}} for n in (100, 150))
    found = compare(*stores(tmp_path, cells(**few), cells(**many)))
    assert found.regressions()[["solver", "measure"]].to_numpy().tolist() == [["sa", "counts: flips"]]
    assert verdict_of(found, "counts: nodes") == "same"


def verdict_of(found: Any, measure: str) -> str:
    rows = found.rows[(found.rows["solver"] == "sa") & (found.rows["measure"] == measure)]
    return str(rows["verdict"].iloc[0])


def test_the_work_of_runs_that_used_up_their_budget_is_not_compared(tmp_path: Path) -> None:
    few, many = ({"status": "BUDGET", "counts": {"flips": n}} for n in (100, 900))
    rows = compare(*stores(tmp_path, cells(**few), cells(**many))).rows
    assert not rows["measure"].str.startswith("counts").any()


# ---- commits, text, errors


def test_two_commits_of_one_store_are_compared(tmp_path: Path) -> None:
    old, new = cells(commit="aaa111"), cells(2.0, commit="bbb222")
    store = make_store(tmp_path / "s.db", old + new, INFOS)
    assert compare("aaa", "bbb", store=store).outcome is Outcome.REGRESSION
    assert compare("aaa", "aaa111", store=store).outcome is Outcome.CLEAN
    with pytest.raises(StoreError, match="exactly one commit 'ccc', got 0; it holds 0123abc, aaa111"):
        compare("ccc", "bbb", store=store)


def test_a_commit_whose_run_resumed_every_cell_counts_as_measured(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s.db", cells(commit="aaa111"), INFOS)
    with Store(store, write=True) as opened:
        opened.resume(opened.statuses(), "bbb222")
    found = compare("aaa", "bbb", store=store)
    assert found.outcome is Outcome.CLEAN
    assert found.matched == 24
    assert any("24 of 24 pairs are one measurement on both sides" in note for note in found.notes)


def test_what_a_commit_measured_anew_is_compared_with_what_it_resumed(tmp_path: Path) -> None:
    old, new = cells(commit="aaa111"), cells(2.0, commit="bbb222")
    store = make_store(tmp_path / "s.db", [*old, *new[8:]], INFOS)
    with Store(store, write=True) as opened:
        for commit in ("aaa111", "bbb222"):
            opened.resume([f"cell-{place}" for place in range(8)], commit)
    found = compare("aaa", "bbb", store=store)
    assert found.outcome is Outcome.REGRESSION
    assert set(found.regressions()["solver"]) == {"sa"}
    assert any("8 of 32 pairs are one measurement" in note for note in found.notes)


def test_narrowing_to_a_family_or_suite_leaves_the_rest_out(tmp_path: Path) -> None:
    base, head = stores(tmp_path, cells(), cells(2.0))
    assert compare(base, head, family="rounding").outcome is Outcome.REGRESSION
    assert compare(base, head, family="pruning").outcome is Outcome.NOTHING_MATCHED


def test_the_markdown_names_what_got_worse_and_folds_the_rest(tmp_path: Path) -> None:
    text = compare(*stores(tmp_path, cells(seconds=1.0), cells(2.0, seconds=1.0))).to_markdown()
    first = text.split("<details>")[0]
    assert "| **worse** | `sa` | `rounding` | `quality` | +0.2" in first
    assert "`best`" not in first
    assert "registry version" in text
    assert "32 pairs of cells" in text


def test_a_hostile_name_stays_a_name_in_markdown(tmp_path: Path) -> None:
    head = [{**cell, "family": "a|b`<script>\n# x"} for cell in cells(2.0)]
    base = [{**cell, "family": "a|b`<script>\n# x"} for cell in cells()]
    text = compare(*stores(tmp_path, base, head)).to_markdown()
    assert "`a¦b'<script> # x`" in text
    assert "\n# x" not in text


def test_holm_corrects_as_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []


def test_the_p_value_is_wilcoxons(tmp_path: Path) -> None:
    base, head = cells(noise=4)[8:], cells(0.2, noise=5)[8:]
    change = [(h["loss"] - b["loss"]) / 10 for b, h in zip(base, head, strict=True)]
    rows = compare(*stores(tmp_path, cells(noise=4), cells(0.2, noise=5))).rows
    row = rows[(rows["solver"] == "sa") & (rows["measure"] == "quality")].iloc[0]
    assert row["p"] == pytest.approx(min(1.0, 4 * stats.wilcoxon(change).pvalue))


# ---- what so many pairs can show

SOLVERS = ("sa", "tabu", "beam", "neal")


def few(change: float, solvers: tuple[str, ...] = SOLVERS, **more: Any) -> list[dict[str, Any]]:
    """Six pairs of each solver, a little worse each in another measure."""
    rows = [
        {"instance_key": f"key-{i}", "instance": f"instance {i}", "solver": name, **more}
        for name in solvers
        for i in range(6)
    ]
    best = [{**row, "solver": "best", "loss": 0.0} for row in rows[:6]]
    return best + [{"loss": 4.0 + change * (1 + 0.1 * n), **row} for n, row in enumerate(rows)]


def test_a_fall_that_no_solver_can_show_alone_shows_in_all_of_them(tmp_path: Path) -> None:
    found = compare(*stores(tmp_path, few(0.0), few(0.1)))
    verdicts = found.rows.query("measure == 'quality'").set_index("solver")["verdict"]
    assert verdicts["all solvers"] == "worse"
    assert {verdicts[name] for name in SOLVERS} == {"unclear"}
    assert found.outcome is Outcome.REGRESSION
    assert "6 pairs give at best p = 0.031, times" in found.notes[0]
    assert "pairs on a row can be called" in found.notes[0]


def test_one_solver_has_no_row_of_all(tmp_path: Path) -> None:
    base, head = few(0.0, ("sa",))[6:], few(0.1, ("sa",))[6:]
    assert set(compare(*stores(tmp_path, base, head)).rows["solver"]) == {"sa"}


def test_times_that_rise_together_are_told_with_a_warning(tmp_path: Path) -> None:
    busy = [{**row, "seconds": 2.0} for row in few(0.0)]
    found = compare(*stores(tmp_path, few(0.0), busy))
    assert any("Both sides are of one commit" in note for note in found.notes)
    other = [{**row, "commit": "ffff"} for row in busy]
    (tmp_path / "other").mkdir()
    found = compare(*stores(tmp_path / "other", few(0.0), other))
    assert any("solvers rose together: look at the machine's load" in note for note in found.notes)


def test_times_beside_other_work_are_left_out_aloud(tmp_path: Path) -> None:
    found = compare(*stores(tmp_path, few(0.0), few(0.0, timing_grade=False)))
    assert "time" not in set(found.rows["measure"])
    assert any(note.startswith("Times of 30 of 30 pairs are left out") for note in found.notes)


@pytest.mark.parametrize("pairs", [1, 2, 5, 6, 9])
def test_the_least_p_is_that_of_the_test(pairs: int) -> None:
    from qubopress.results.commits.compare import least_p

    assert least_p(pairs) == pytest.approx(stats.wilcoxon(np.arange(1.0, pairs + 1), method="exact").pvalue)
