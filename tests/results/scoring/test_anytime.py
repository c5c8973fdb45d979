"""Scores over time come from one trace table: integrals, times to target, distributions, cuts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from records import make_benchmark, make_store
from scipy import integrate, stats

from qubopress.results import Store, StoreError, leaderboard
from qubopress.results.scoring import anytime
from qubopress.results.scoring.scored_cells import score

FAILED: dict[str, Any] = {"status": "TIMEOUT", "loss": None, "seconds": None, "violation": None, "trace": ()}
BEST = {"solver": "best", "loss": 0.0, "trace": ((0.0, 0.0),), "seconds": 0.0}
"""Makes the reference 0 where the baseline is 10, so that an excess is a tenth of a loss."""


def timed(tmp_path: Path, cells: list[dict[str, Any]], **info: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The scored and timed table of some cells, and its trace table."""
    with Store(make_store(tmp_path / "s.db", cells, [info])) as store:
        frame, traces = score(store.frame()), store.traces()
    return anytime.timed(frame, traces), anytime.improvements(frame, traces)


# ---- the trace table


def test_the_trace_table_has_every_incumbent_in_time_and_ends_at_the_recorded_loss(tmp_path: Path) -> None:
    cells = [BEST, {"trace": ((0.1, 5.0), (0.2, 7.0), (0.4, 3.0)), "loss": 2.0, "seconds": 0.9}, FAILED]
    _, table = timed(tmp_path, cells)
    one = table[table["row"] == 1]
    assert one["seconds"].tolist() == [0.1, 0.2, 0.4, 0.9]
    assert one["loss"].tolist() == [5.0, 5.0, 3.0, 2.0]
    assert one["excess"].tolist() == [0.5, 0.5, 0.3, 0.2]
    assert set(table["row"]) == {0, 1}


def test_no_incumbent_counts_as_lower_than_the_recomputed_loss(tmp_path: Path) -> None:
    _, table = timed(tmp_path, [{"trace": ((0.1, -5.0),), "loss": 2.0, "seconds": 0.9}])
    assert table["loss"].tolist() == [2.0, 2.0]


def test_points_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    _, table = timed(tmp_path, [{"trace": ((0.4, 3.0), (0.1, 5.0)), "loss": 3.0, "seconds": 0.5}])
    assert table[["seconds", "loss"]].to_numpy().tolist() == [[0.1, 5.0], [0.4, 3.0], [0.5, 3.0]]


# ---- primal integral


def test_the_primal_integral_is_the_area_under_the_excess_over_the_budget(tmp_path: Path) -> None:
    cells = [BEST, {"trace": ((0.25, 30.0), (0.5, 4.0)), "loss": 2.0, "seconds": 0.75, "budget_seconds": 1.0}]
    frame, _ = timed(tmp_path, cells)
    assert frame["primal_integral"].tolist() == pytest.approx([0.0, 0.5 * 1 + 0.25 * 0.4 + 0.25 * 0.2])


def test_the_primal_integral_agrees_with_numerical_integration(tmp_path: Path) -> None:
    path = make_benchmark(tmp_path / "s.db", seeds=1)
    with Store(path) as store:
        traces = store.traces()
        frame = anytime.timed(score(store.frame()), traces)
    table = anytime.improvements(frame, traces)
    grid = np.linspace(0, 10, 200_001)
    for row in (2, 5, 40, 70):
        curve = np.minimum(anytime.excess_curves(frame, table, grid)[row], 1.0)
        area = integrate.trapezoid(curve, grid) / 10
        assert frame["primal_integral"].iloc[row] == pytest.approx(area, abs=1e-4)


def test_a_failure_has_the_worst_primal_integral_and_no_baseline_none(tmp_path: Path) -> None:
    frame, _ = timed(tmp_path, [BEST, FAILED, {"instance_key": "unknown"}])
    assert frame["primal_integral"][:2].tolist() == [0.0, 1.0]
    assert np.isnan(frame["primal_integral"][2])


def test_what_comes_after_the_budget_does_not_count(tmp_path: Path) -> None:
    cells = [BEST, {"trace": ((0.5, 5.0), (1.5, 0.0)), "loss": 0.0, "seconds": 2.0}]
    frame, _ = timed(tmp_path, cells)
    assert frame["primal_integral"][1] == pytest.approx(0.5 + 0.5 * 0.5)


def test_a_cell_of_fixed_work_without_time_scores_what_it_reached(tmp_path: Path) -> None:
    cells = [
        {**BEST, "budget_seconds": None},
        {"loss": 5.0, "seconds": 0.0, "trace": (), "budget_seconds": None},
    ]
    frame, _ = timed(tmp_path, cells)
    assert frame["primal_integral"].tolist() == [0.0, 0.5]


# ---- time to target


def test_a_target_is_hit_when_the_excess_first_reaches_it(tmp_path: Path) -> None:
    cells = [BEST, {"trace": ((0.1, 1.0), (0.3, 0.1), (0.5, 0.02)), "loss": 0.02, "seconds": 0.6}, FAILED]
    frame, _ = timed(tmp_path, cells)
    assert frame[["hit_10", "hit_1", "hit_0.1"]].to_numpy().tolist() == [
        [0.0, 0.0, 0.0],
        [0.1, 0.3, np.inf],
        [np.inf, np.inf, np.inf],
    ]


@pytest.mark.parametrize(
    ("p", "runs"), [(0.5, np.log(0.01) / np.log(0.5)), (0.99, 1.0), (1.0, 1.0), (0.0, np.inf)]
)
def test_repetitions_reach_the_target_with_99_percent(p: float, runs: float) -> None:
    assert anytime.repetitions(p) == pytest.approx(runs)
    if 0 < p < 0.99:
        assert 1 - (1 - p) ** runs == pytest.approx(0.99)


def test_jeffreys_interval_is_that_of_the_beta_posterior() -> None:
    low, high = anytime.jeffreys(3, 10)
    assert stats.beta.cdf([low, high], 3.5, 7.5).tolist() == pytest.approx([0.025, 0.975])
    for n in (1, 2, 30, 1000, 5000):
        k = np.unique([0, 1, n // 3, n - 1, n])
        low, high = anytime.jeffreys(k, n)
        assert stats.beta.cdf(low[k > 0], k[k > 0] + 0.5, (n - k + 0.5)[k > 0]) == pytest.approx(0.025)
        assert stats.beta.cdf(high[k < n], k[k < n] + 0.5, (n - k + 0.5)[k < n]) == pytest.approx(0.975)
    assert anytime.jeffreys(0, 5)[0] == 0.0
    assert anytime.jeffreys(5, 5)[1] == 1.0


def test_jeffreys_interval_covers_about_as_often_as_it_says() -> None:
    k = np.arange(21)
    low, high = anytime.jeffreys(k, 20)
    for p in (0.1, 0.3, 0.5):
        assert 0.9 <= stats.binom.pmf(k, 20, p)[(low <= p) & (p <= high)].sum() <= 0.985


def test_time_to_target_takes_all_successes_and_the_share_of_runs(tmp_path: Path) -> None:
    quick, slow = ({"trace": ((t, 0.05),), "loss": 0.05, "solver": "sa"} for t in (0.1, 0.4))
    never = {"trace": ((0.1, 3.0),), "loss": 3.0, "solver": "sa"}
    frame, _ = timed(
        tmp_path, [BEST, *({**one, "seed": s} for s, one in enumerate([quick, slow, never, never]))]
    )
    row = anytime.time_to_target(frame, frame["hit_1"]).loc["sa"].iloc[0]
    p_low, p_high = anytime.jeffreys(2, 4)
    assert row["ttt"] == pytest.approx(0.4 * np.log(0.01) / np.log(0.5))
    assert row[["low", "high"]].tolist() == pytest.approx(
        [0.4 * np.log(0.01) / np.log(1 - p_high), 0.4 * np.log(0.01) / np.log(1 - p_low)]
    )


def test_a_target_never_reached_gives_a_lower_bound_and_no_blank(tmp_path: Path) -> None:
    cells: list[dict[str, Any]] = [
        BEST,
        *({"loss": 9.0, "solver": "sa", "seed": s, "budget_seconds": 2.0} for s in range(3)),
    ]
    frame, _ = timed(tmp_path, cells)
    row = anytime.time_to_target(frame, frame["hit_1"]).loc["sa"].iloc[0]
    assert row["ttt"] == row["high"] == np.inf
    assert row["low"] == pytest.approx(2.0 * np.log(0.01) / np.log(1 - anytime.jeffreys(0, 3)[1]))


def test_one_run_that_succeeds_says_little_of_the_upper_end(tmp_path: Path) -> None:
    cells = [BEST, {"solver": "sa", "loss": 0.0, "trace": ((0.2, 0.0),), "seconds": 0.2}]
    frame, _ = timed(tmp_path, cells)
    row = anytime.time_to_target(frame, frame["hit_1"]).loc["sa"].iloc[0]
    assert row["ttt"] == row["low"] == 0.2
    assert row["high"] > 20 * 0.2


def test_the_board_shows_times_to_target_of_the_median_instance(tmp_path: Path) -> None:
    infos = [{"key": f"key-{i}"} for i in range(3)]
    cells: list[dict[str, Any]] = []
    for i in range(3):
        cells += [{**BEST, "instance_key": f"key-{i}"}]
        loss = 0.0 if i else 9.0
        cells += [
            {
                "instance_key": f"key-{i}",
                "solver": "sa",
                "loss": loss,
                "trace": ((0.1 * i, loss),),
                "seconds": 1.0,
            }
        ]
    board = leaderboard(make_store(tmp_path / "s.db", cells, infos)).set_index("solver")
    assert board.loc["sa", "ttt_1"] == pytest.approx(0.2)
    assert board.loc["sa", "par10"] == pytest.approx((10.0 + 0.1 + 0.2) / 3)
    assert board.loc["best", ["ttt_1", "par10"]].tolist() == [0.0, 0.0]


# ---- distributions


def test_the_ecdf_counts_every_cell_and_target(tmp_path: Path) -> None:
    cells = [
        BEST,
        {"trace": ((0.1, 1.0), (0.3, 0.1)), "loss": 0.1, "solver": "sa"},
        {**FAILED, "solver": "sa"},
    ]
    frame, _ = timed(tmp_path, cells)
    times, pairs = anytime.target_ecdf(frame)["sa"]
    assert times.tolist() == [0.1, 0.3]
    assert pairs == 6


def test_a_profile_compares_with_the_quickest_solver_of_each_match(tmp_path: Path) -> None:
    infos = [{"key": key} for key in ("a", "b")]
    cells: list[dict[str, Any]] = []
    for key, solver, seconds in (("a", "x", 0.1), ("a", "y", 0.3), ("b", "x", 0.8), ("b", "y", 0.2)):
        end = {"loss": 0.0, "trace": ((seconds, 0.0),), "seconds": seconds}
        cells.append({"instance_key": key, "solver": solver, **end})
    with Store(make_store(tmp_path / "s.db", cells, infos)) as store:
        frame = anytime.timed(score(store.frame()), store.traces())
    profile = anytime.performance_profile(frame)
    assert profile["x"][0].tolist() == pytest.approx([1.0, 4.0])
    assert profile["y"][0].tolist() == pytest.approx([1.0, 3.0])
    assert profile["y"][1] == 2


def test_a_match_that_nobody_solves_stays_below_every_profile(tmp_path: Path) -> None:
    frame, _ = timed(tmp_path, [{**FAILED, "solver": "x"}, {**FAILED, "solver": "y"}])
    assert [(len(ratios), n) for ratios, n in anytime.performance_profile(frame).values()] == [(0, 1), (0, 1)]


# ---- curves


def test_before_its_first_solution_a_cell_counts_as_the_baseline(tmp_path: Path) -> None:
    frame, table = timed(tmp_path, [{"loss": 2.0, "seconds": 1.0, "trace": ((0.1, 6.0),)}, FAILED])
    curves = anytime.excess_curves(frame, table, np.array([0.01, 0.1, 1.0]))
    np.testing.assert_array_equal(curves, [[1.0, 0.5, 0.0], [1.0, 1.0, 1.0]])


def test_a_time_grid_spans_first_solution_to_last_end(tmp_path: Path) -> None:
    _, table = timed(tmp_path, [{"seconds": 2.0, "trace": ((0.01, 6.0),)}, FAILED])
    assert anytime.time_grid(table, points=5)[[0, -1]].tolist() == pytest.approx([0.01, 2.0])
    assert len(anytime.time_grid(table.iloc[:0])) > 1


# ---- cutting the budget afterwards

FALLING: dict[str, Any] = {"trace": ((0.1, 6.0), (0.4, 4.0), (0.8, 2.0)), "loss": 2.0, "seconds": 0.9}


def cut_board(tmp_path: Path, cells: list[dict[str, Any]], seconds: float) -> pd.DataFrame:
    return leaderboard(make_store(tmp_path / "s.db", [BEST, *cells]), at_seconds=seconds).set_index("solver")


def test_a_cut_reads_off_what_an_anytime_solver_had_by_then(tmp_path: Path) -> None:
    board = cut_board(tmp_path, [{**FALLING, "solver": "beam"}], 0.5)
    assert board.loc["beam", "excess"] == pytest.approx(0.4)
    assert board.loc["beam", "primal_integral"] == pytest.approx((0.1 + 0.3 * 0.6 + 0.1 * 0.4) / 0.5)
    assert board.loc["beam", "seconds"] == pytest.approx(0.5)
    assert (board["cut"] == "").all()


def test_a_solver_without_a_solution_by_then_scores_the_baseline(tmp_path: Path) -> None:
    board = cut_board(tmp_path, [{**FALLING, "solver": "beam"}], 0.05)
    assert board.loc["beam", ["excess", "imputed", "primal_integral"]].tolist() == [1.0, 1, 1.0]


def test_a_solver_whose_schedule_depends_on_the_budget_is_marked_and_not_ranked(tmp_path: Path) -> None:
    board = cut_board(tmp_path, [{**FALLING, "solver": "neal", "anytime": False}], 0.5)
    assert board.loc["neal", "cut"] == "marked: schedule depends on the budget"
    assert board.loc["neal", ["rank", "excess", "wins"]].isna().all()
    assert board.index[-1] == "neal"
    assert board.loc["best", "rank"] == 1


def test_a_run_whose_own_budget_is_asked_for_stands_whatever_its_schedule(tmp_path: Path) -> None:
    cells = [
        {**FALLING, "solver": "neal", "anytime": False, "budget_seconds": budget, "seed": seed}
        for seed, budget in enumerate((0.5, 1.0))
    ]
    board = cut_board(tmp_path, cells, 0.5)
    assert board.loc["neal", ["cells", "cut"]].tolist() == [1, ""]
    assert board.loc["neal", "excess"] == pytest.approx(0.2)


def test_of_several_budgets_the_shortest_that_suffices_is_cut(tmp_path: Path) -> None:
    cells = [{**FALLING, "solver": "beam", "budget_seconds": b} for b in (8.0, 0.2, 2.0)]
    assert cut_board(tmp_path, cells, 0.5).loc["beam", "cells"] == 1


def test_a_run_that_was_too_short_is_marked_and_a_finished_one_is_not(tmp_path: Path) -> None:
    fixed = {"budget_seconds": None, "restarts": 1, "status": "FINISHED", "seconds": 0.9, "anytime": False}
    cells = [{**FALLING, "solver": "beam"}, {**FALLING, "solver": "ldlq", **fixed}]
    board = cut_board(tmp_path, cells, 3.0)
    assert board.loc["beam", "cut"] == "marked: ran for less"
    assert board.loc["ldlq", "cut"] == ""


def test_references_stay_those_of_the_whole_runs(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [{**FALLING, "solver": "beam"}])
    assert leaderboard(path, at_seconds=0.5)["excess"].tolist() == pytest.approx([2 / 8])


def test_a_cut_without_traces_or_time_is_refused(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [FALLING])
    with Store(path) as store, pytest.raises(StoreError, match="needs the traces"):
        leaderboard(store.frame(), at_seconds=1.0)
    with pytest.raises(StoreError, match="must be positive, got 0"):
        leaderboard(path, at_seconds=0)
