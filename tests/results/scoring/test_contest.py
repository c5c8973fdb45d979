"""A board ranks those who met the same instances, and shows what doing nothing is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from records import make_store
from repository import ROOT

from qubopress import suites
from qubopress.results import leaderboard, load_references
from qubopress.results.scoring.contest import DO_NOTHING, unbeaten
from qubopress.results.scoring.scored_cells import score
from qubopress.results.storage.cells_csv import read_cells


def spread(solver: str, losses: dict[int, float], **more: Any) -> list[dict[str, Any]]:
    """Cells of one solver by the number of the instance."""
    return [
        {"solver": solver, "instance_key": f"key-{i}", "instance": f"instance {i}", "loss": x, **more}
        for i, x in losses.items()
    ]


def board_of(folder: Path, cells: list[dict[str, Any]], **more: Any) -> pd.DataFrame:
    infos = [{"key": f"key-{i}", "name": f"instance {i}"} for i in range(7)]
    return leaderboard(make_store(folder / "s.db", cells, infos), **more)


def test_solvers_are_ranked_over_the_instances_that_they_share(tmp_path: Path) -> None:
    cells = spread("all", dict.fromkeys(range(7), 3.0)) + spread("every", dict.fromkeys(range(7), 4.0))
    cells += spread("easy", {0: 1.0, 1: 1.0})  # the best two of all cells, on two instances of its choice
    board = board_of(tmp_path, cells).set_index("solver")
    assert list(board.index) == ["all", "every", "easy"]
    assert board["rank"].tolist()[:2] == [1, 1]
    assert pd.isna(board.loc["easy", "rank"])
    assert board.loc["easy", "unranked"] == "entered 2 of the 7 instances ranked over"
    assert board.loc[["all", "every"], "unranked"].tolist() == ["", ""]


def test_where_nobody_entered_all_what_most_share_is_ranked(tmp_path: Path) -> None:
    cells = spread("a", {0: 2.0, 1: 2.0, 2: 9.0}) + spread("b", {0: 3.0, 1: 3.0, 3: 1.0})
    board = board_of(tmp_path, cells).set_index("solver")
    assert board["instances"].tolist() == [3, 3]
    assert board["excess"].tolist() == [0.0, pytest.approx(1 / 8)]
    assert board["rank"].to_dict() == {"a": 1, "b": 2}
    assert board.attrs["common"] == ["instance 0", "instance 1"]


def test_who_lied_in_one_cell_has_no_rank_for_any(tmp_path: Path) -> None:
    cells = spread("honest", {0: 3.0, 1: 3.0}) + spread("other", {0: 4.0, 1: 4.0})
    cells += spread("liar", {0: 1.0}) + spread("liar", {1: 1.0}, status="LIED")
    board = board_of(tmp_path, cells).set_index("solver")
    assert pd.isna(board.loc["liar", "rank"])
    assert board.loc["liar", "unranked"] == "lied in 1 of its cells"
    assert board.loc[["honest", "other"], "rank"].notna().all()
    assert list(board.index) == ["honest", "other", "liar"]


def test_a_board_of_liars_has_rows_and_no_rank(tmp_path: Path) -> None:
    board = board_of(tmp_path, spread("liar", {0: 1.0, 1: 1.0}, status="LIED"))
    assert board["solver"].tolist() == ["liar"]
    assert board["rank"].isna().all()


def test_a_shape_that_few_take_does_not_cost_the_others_their_rank(tmp_path: Path) -> None:
    cells = [cell for name in "abcd" for cell in spread(name, {0: 2.0, 1: 3.0})]
    cells += spread("black box", {0: 4.0, 1: 4.0, 2: 4.0})
    board = board_of(tmp_path, cells).set_index("solver")
    assert board["rank"].notna().all()
    assert board.attrs["common"] == ["instance 0", "instance 1"]
    assert board.loc["black box", "instances"] == 3


def test_solvers_that_share_nothing_are_not_ranked_against_each_other(tmp_path: Path) -> None:
    board = board_of(tmp_path, spread("a", {0: 2.0}) + spread("b", {1: 1.0})).set_index("solver")
    assert board.loc["b", "rank"] == 1
    assert board.loc["a", "unranked"] == "entered 0 of the 1 instances ranked over"


def test_doing_nothing_has_a_row_that_scores_the_baseline(tmp_path: Path) -> None:
    cells = spread("good", {0: 2.0, 1: 2.0}) + spread("bad", {0: 12.0, 1: 12.0})
    board = board_of(tmp_path, cells, do_nothing=True).set_index("solver")
    assert list(board.index) == ["good", DO_NOTHING, "bad"]
    row = board.loc[DO_NOTHING]
    assert (row["excess"], row["rank"], row["wins"], row["instances"]) == (1.0, 2, 0, 2)
    assert row["primal_integral"] == 1.0
    assert row["par10"] == 10.0
    assert row["metric_drop"] == pytest.approx(0.07)
    assert DO_NOTHING not in board_of(tmp_path / "..", cells).get("solver", pd.Series()).tolist()


def test_where_the_baseline_is_the_best_known_doing_nothing_wins_and_the_board_says_so(
    tmp_path: Path,
) -> None:
    board = board_of(tmp_path, spread("zeros", {0: 10.0, 1: 5.0}), do_nothing=True)
    assert board.attrs["unbeaten"] == ["instance 0"]
    assert board.set_index("solver")["wins"].to_dict() == {"zeros": 2, DO_NOTHING: 1}
    assert board.attrs["unregistered"] == ["instance 0", "instance 1"]


def test_a_board_names_the_adapter_that_brought_a_solver_there(tmp_path: Path) -> None:
    cells = spread("zeros", {0: 2.0}, adapter="field-search") + spread("zeros", {1: 2.0}, adapter="penalty")
    cells += spread("swap", {0: 2.0, 1: 2.0})
    board = board_of(tmp_path, cells).set_index("solver")
    assert board["adapter"].to_dict() == {"zeros": "field-search, penalty", "swap": ""}


def test_a_cell_that_ended_by_itself_may_be_cut_behind_its_end(tmp_path: Path) -> None:
    cells = spread("quick", {0: 2.0}, anytime=False, status="FINISHED", seconds=0.001, trace=((0.001, 2.0),))
    cells += spread("planned", {0: 1.0}, anytime=False)
    board = board_of(tmp_path, cells, at_seconds=0.5).set_index("solver")
    assert board["cut"].to_dict() == {"quick": "", "planned": "marked: schedule depends on the budget"}
    assert board.loc["quick", "excess"] == pytest.approx(1 / 9)


# ---- what is published

SEPARABLE = ("l1", "taylor")
"""Formulations without terms between channels: greedy is optimal, so they are compared and rank nobody."""

PUBLISHED = sorted((ROOT / "results" / "data").glob("*/records.csv"))


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.parent.name)
def test_a_published_board_has_no_instance_that_nobody_can_win(path: Path) -> None:
    cells = score(read_cells(path))
    flat = set(unbeaten(cells))
    of = cells.drop_duplicates("instance").set_index("instance")["problem"]
    assert all(of[name] in SEPARABLE for name in flat), flat
    if cells["solver"].nunique() > 2:
        assert not flat


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.parent.name)
def test_every_instance_whose_bits_are_published_has_a_reference(path: Path) -> None:
    cells = read_cells(path)
    keys = set(cells.loc[cells["rejudgeable"], "instance_key"])
    assert keys <= load_references().instances.keys()


def test_smoke_has_references_below_its_baselines() -> None:
    known = {one.name: one for one in load_references().instances.values()}
    for spec in suites.load("smoke").instances:
        one = known[spec.name]
        assert one.baseline is not None
        assert one.value < one.baseline - one.tie, spec.name
