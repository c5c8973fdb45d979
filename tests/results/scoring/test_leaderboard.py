"""Leaderboards rank solvers over instances, honestly; tables by parameter print the papers' figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from records import make_benchmark, make_store, multiply

from qubopress.results import Store, by_parameter, leaderboard, load
from qubopress.results.scoring.leaderboard import COLUMNS, leaderboards


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_benchmark(tmp_path_factory.mktemp("board") / "s.db")


def spread(solver: str, losses: list[float], **more: Any) -> list[dict[str, Any]]:
    """Cells of one solver, an instance each."""
    return [
        {"solver": solver, "instance_key": f"key-{i}", "loss": loss, **more} for i, loss in enumerate(losses)
    ]


def board_of(tmp_path: Path, cells: list[dict[str, Any]], instances: int = 8) -> pd.DataFrame:
    infos = [{"key": f"key-{i}", "name": f"instance {i}"} for i in range(instances)]
    return leaderboard(make_store(tmp_path / "s.db", cells, infos))


def test_a_board_has_one_row_a_solver_and_the_promised_columns(benchmark: Path) -> None:
    board = leaderboard(benchmark)
    assert tuple(board.columns[: len(COLUMNS)]) == COLUMNS
    assert board["solver"].is_unique
    assert len(board) == 11
    assert board["solver"][0] == "beam"
    assert board["excess"].is_monotonic_increasing
    assert board["rank"].is_monotonic_increasing
    assert (board[["excess_low", "excess"]].diff(axis=1)["excess"] >= 0).all()


def test_a_path_and_its_table_give_the_same_board(benchmark: Path) -> None:
    with Store(benchmark) as store:
        traces = store.traces()
    pd.testing.assert_frame_equal(leaderboard(benchmark), leaderboard(load(benchmark), traces=traces))


@pytest.mark.parametrize("at_seconds", [None, 2.0])
def test_each_suites_and_familys_board_is_its_leaderboard(benchmark: Path, at_seconds: float | None) -> None:
    boards = leaderboards(benchmark, at_seconds=at_seconds, do_nothing=True)
    assert list(boards) == [("paper-1", family) for family in ("analog", "pruning", "rounding")]
    for (suite, family), board in boards.items():
        wanted = {"suite": suite, "family": family, "at_seconds": at_seconds, "do_nothing": True}
        pd.testing.assert_frame_equal(board, leaderboard(benchmark, **wanted))


def test_a_table_without_its_traces_leaves_open_what_depends_on_them(benchmark: Path) -> None:
    board, whole = leaderboard(load(benchmark)), leaderboard(benchmark)
    timed = [name for name in COLUMNS if name.startswith(("ttt", "par", "primal"))]
    assert board[timed].isna().all(axis=None)
    pd.testing.assert_frame_equal(board.drop(columns=timed), whole.drop(columns=timed))


def test_statuses_and_imputed_cells_are_counted(tmp_path: Path) -> None:
    cells = spread("a", [2.0, 3.0]) + spread("b", [4.0, 4.0], status="OPTIMAL")
    cells += [{"solver": "b", "instance_key": "key-2", "loss": None, "status": "CRASHED"}]
    board = board_of(tmp_path, cells).set_index("solver")
    assert list(board.columns[len(COLUMNS) - 1 :]) == ["OPTIMAL", "BUDGET", "CRASHED"]
    assert board.loc["b", ["OPTIMAL", "BUDGET", "CRASHED", "imputed", "cells", "instances"]].tolist() == [
        2,
        0,
        1,
        1,
        3,
        3,
    ]
    assert board.loc["a", ["OPTIMAL", "BUDGET", "CRASHED", "imputed"]].tolist() == [0, 2, 0, 0]


def test_a_solver_with_several_settings_gets_a_row_for_each(tmp_path: Path) -> None:
    cells: list[dict[str, Any]] = [
        {"solver": "neal", "parameters": {"num_reads": 10, "num_sweeps": 1000}},
        {"solver": "neal", "parameters": {"num_reads": 20, "num_sweeps": 1000}},
        {"solver": "bifurcation", "parameters": {"mode": "discrete"}},
        {"solver": "bifurcation", "parameters": {}},
        {"solver": "beam", "parameters": {"width": 64}},
    ]
    names = set(leaderboard(make_store(tmp_path / "s.db", cells))["solver"])
    assert names == {
        "neal(num_reads=10)",
        "neal(num_reads=20)",
        'bifurcation(mode="discrete")',
        "bifurcation",
        "beam",
    }


def test_overlapping_intervals_share_the_leaders_rank(tmp_path: Path) -> None:
    near, wide, far = (
        [2.0, 2.1, 2.2, 2.3, 2.4, 2.5],
        [2.0, 2.1, 2.2, 3.0, 4.0, 5.0],
        [8.0, 8.1, 8.2, 8.3, 8.4, 8.5],
    )
    board = board_of(tmp_path, spread("near", near) + spread("wide", wide) + spread("far", far)).set_index(
        "solver"
    )
    assert board["rank"].to_dict() == {"near": 1, "wide": 1, "far": 3}
    assert board.loc["wide", "excess_low"] <= board.loc["near", "excess_high"]
    assert board.loc["far", "excess_low"] > board.loc["near", "excess_high"]


def test_one_cell_each_is_ranked_by_the_figure_alone(tmp_path: Path) -> None:
    board = board_of(tmp_path, spread("good", [2.0]) + spread("bad", [3.0]) + spread("equal", [2.0]))
    assert dict(zip(board["solver"], board["rank"], strict=True)) == {"equal": 1, "good": 1, "bad": 3}
    assert board["excess_low"].isna().all()


def test_a_solver_that_only_fails_scores_the_baseline(tmp_path: Path) -> None:
    cells = spread("good", [2.0, 2.0]) + spread("broken", [0.0, 0.0], status="FAILED")
    row = board_of(tmp_path, cells).set_index("solver").loc["broken"]
    assert row["excess"] == 1.0
    assert row["imputed"] == 2
    assert row["wins"] == 0
    assert np.isnan(row["seconds"])
    assert np.isnan(row["metric_drop"])


def test_instances_without_a_baseline_leave_the_excess_open(tmp_path: Path) -> None:
    board = leaderboard(make_store(tmp_path / "s.db", spread("a", [1.0]) + spread("b", [2.0]), infos=[]))
    assert board["excess"].isna().all()
    assert board["wins"].tolist() == [1, 0]


def test_the_metric_drop_is_not_averaged_over_different_metrics(benchmark: Path) -> None:
    assert leaderboard(benchmark)["metric_drop"].isna().all()
    drops = leaderboard(benchmark, family="rounding").set_index("solver")["metric_drop"]
    assert 0 < drops["sa"] < drops["round-to-nearest"]


def test_narrowing_keeps_the_references_of_the_whole_store(tmp_path: Path) -> None:
    cells = spread("a", [2.0], suite="old") + spread("b", [6.0], suite="new")
    path = make_store(tmp_path / "s.db", cells, [{"key": "key-0"}])
    board = leaderboard(path, suite="new")
    assert board["solver"].tolist() == ["b"]
    assert board["excess"].tolist() == [0.5]
    assert leaderboard(path, family="pruning").empty
    assert tuple(leaderboard(path, suite="none").columns) == COLUMNS


def test_a_solver_is_scored_over_the_instances_it_entered(tmp_path: Path) -> None:
    board = board_of(tmp_path, spread("all", [2.0, 3.0, 4.0]) + spread("one", [2.0])).set_index("solver")
    assert board["instances"].to_dict() == {"all": 3, "one": 1}


def test_what_fails_and_what_breaks_constraints_are_told_apart(tmp_path: Path) -> None:
    cells = spread("a", [2.0, 3.0]) + spread("b", [3.0])
    cells += [{"solver": "b", "instance_key": "key-1", "violation": 2.0, "status": "INFEASIBLE"}]
    nothing: dict[str, Any] = {"solver": "b", "loss": None, "violation": None, "seconds": None, "trace": ()}
    cells += [
        {**nothing, "instance_key": f"key-{i + 2}", "status": status}
        for i, status in enumerate(("TIMEOUT", "LIED", "SKIPPED"))
    ]
    board = board_of(tmp_path, cells).set_index("solver")
    assert board.loc["a", ["feasible", "failures", "imputed"]].tolist() == [1.0, 0, 0]
    assert board.loc["b", ["feasible", "failures", "imputed"]].tolist() == [0.5, 2, 4]


def test_cells_measured_beside_others_are_counted(tmp_path: Path) -> None:
    cells = spread("a", [2.0, 3.0]) + spread("b", [3.0]) + spread("b", [3.0], timing_grade=False, seed=1)
    board = board_of(tmp_path, cells).set_index("solver")
    assert board["timing_grade"].to_dict() == {"a": 1.0, "b": 0.5}


def test_a_store_of_ten_thousand_cells_is_ranked_as_a_small_one_is(tmp_path: Path) -> None:
    path = make_benchmark(tmp_path / "s.db", seeds=1)
    small = leaderboard(path)
    board = leaderboard(multiply(path, 101))
    assert board["cells"].sum() == 9_999
    assert board["ttt_10"].notna().all()
    assert board["excess"].is_monotonic_increasing
    assert board["solver"].tolist() == small["solver"].tolist()


def test_a_suite_that_is_not_there_has_no_rows(benchmark: Path) -> None:
    assert by_parameter(benchmark, "bits", suite="none").empty
