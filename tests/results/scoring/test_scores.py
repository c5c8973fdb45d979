"""The scoring policy: references, excess, imputation, times, wins, intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import make_store

from qubopress.results import RANKED, load
from qubopress.results.scoring import scores
from qubopress.results.storage.record import STATUSES

LOSSES = st.floats(-1e6, 1e6)


def table(
    tmp_path: Path, cells: list[dict[str, Any]], infos: list[dict[str, Any]] | None = None
) -> pd.DataFrame:
    return load(make_store(tmp_path / "s.db", cells, infos))


# ---- reference and excess


def test_the_reference_is_the_lowest_feasible_honest_loss(tmp_path: Path) -> None:
    cells: list[dict[str, Any]] = [
        {"loss": 3.0},
        {"loss": 2.0, "status": "LIED"},
        {"loss": 1.0, "status": "INFEASIBLE", "violation": 1.0},
        {"loss": 0.5, "violation": 1.0},
        {"loss": 0.4, "violation": None},
        {"loss": float("-inf")},
        {"loss": 9.0, "instance_key": "other"},
    ]
    frame = table(tmp_path, cells)
    assert list(scores.reference(frame)) == [3.0] * 6 + [9.0]
    assert list(scores.ranked(frame)) == [True, False, False, False, False, False, True]


def test_the_registry_lowers_a_reference_and_never_raises_it(tmp_path: Path) -> None:
    frame = table(
        tmp_path, [{"loss": 3.0}, {"loss": 9.0, "instance_key": "other"}, {"instance_key": "third"}]
    )
    registry = {"key-1": 2.5, "other": 11.0, "unseen": 0.0}
    assert list(scores.reference(frame, registry)) == [2.5, 9.0, 2.0]
    assert list(scores.improves(frame, registry)) == [False, True, False]
    scored = scores.excess(frame.assign(reference=scores.reference(frame, registry)))
    assert scored[0] == 0.5 / 7.5


def test_a_tie_with_the_registry_does_not_improve_it(tmp_path: Path) -> None:
    frame = table(tmp_path, [{"loss": 3.0 - 1e-12}, {"loss": 1.0, "status": "LIED"}, {"loss": 2.9}])
    assert list(scores.improves(frame, {"key-1": 3.0})) == [False, False, True]


def test_a_cell_without_a_budget_is_judged_over_the_longest_such_run(tmp_path: Path) -> None:
    free: dict[str, Any] = {"budget_seconds": None, "restarts": 1}
    frame = table(tmp_path, [{}, {**free, "seconds": 3.0}, {**free, "seconds": None, "status": "CRASHED"}])
    assert list(scores.cutoff(frame)) == [1.0, 3.0, 3.0]


def test_the_policy_states_every_number_it_uses() -> None:
    text = " ".join(scores.POLICY)
    steps, jumps = scores.STEPS, scores.JUMPS
    for phrase in (
        f"geometric mean shifted by {scores.SHIFT_SECONDS:g} s",
        f"violated constraint (at most {scores.FEASIBLE:g})",
        f"imputed at {scores.IMPUTED_EXCESS:g}",
        f"at most {scores.CAP:g}, and {scores.CAP:g} before the first solution",
        "an excess of 0.1, 0.01, 0.001, for all",
        f"t ln(1 - {scores.CONFIDENCE:g}) / ln(1 - p)",
        f"charged {scores.PAR_FACTOR:g} budgets",
        f"of note from {steps['quality']:g}), time",
        f"(from {steps['time']:g}), counts",
        f"(from {steps['counts']:g}). A row",
        f"passes at {scores.ALPHA:g} and",
        f"{jumps['quality']:g}, a factor {jumps['time']:g}, a factor {jumps['counts']:g}.",
    ):
        assert phrase in text
    assert list(scores.TARGETS.values()) == [0.1, 0.01, 0.001]


@pytest.mark.parametrize("status", STATUSES)
def test_only_the_ranked_statuses_are_ranked(tmp_path: Path, status: str) -> None:
    frame = table(tmp_path, [{"status": status}])
    assert scores.ranked(frame).tolist() == [status in RANKED]


def test_excess_is_0_for_the_best_and_1_for_the_baseline() -> None:
    assert scores.normalised_excess([2.0, 10.0, 6.0, 18.0], 2.0, 10.0).tolist() == [0.0, 1.0, 0.5, 2.0]


def test_excess_does_not_mind_negative_losses() -> None:
    assert scores.normalised_excess([-5.0, -1.0, 3.0], -5.0, -1.0).tolist() == [0.0, 1.0, 2.0]
    assert scores.normalised_excess([-1.0, 1.0], -1.0, 0.0).tolist() == [0.0, 2.0]


@pytest.mark.parametrize("baseline", [2.0, 1.0, 0.0, -1.0, 2.0 + 1e-13])
def test_where_nothing_beats_the_baseline_only_its_equals_score_0(baseline: float) -> None:
    at_baseline, at_reference, worse = scores.normalised_excess([baseline, 2.0, 7.0], 2.0, baseline)
    assert at_baseline == 0.0
    assert at_reference == (
        0.0
        if abs(baseline - 2.0) < 1e-9
        else pytest.approx(1 + (2 - baseline) / (2 - baseline + abs(baseline)))
    )
    assert 1.0 < worse <= 2.0


@given(losses=st.lists(LOSSES, min_size=2, max_size=5), baseline=LOSSES)
def test_excess_keeps_the_order_of_losses(losses: list[float], baseline: float) -> None:
    ordered = np.sort(losses)
    excess = scores.normalised_excess(ordered, ordered[0], baseline)
    assert np.all(np.isfinite(excess))
    assert np.all(np.diff(excess) >= -1e-12)
    assert excess[0] >= 0.0


def test_an_unknown_number_gives_an_unknown_excess() -> None:
    assert np.isnan(scores.normalised_excess(np.nan, 1.0, 2.0))
    assert np.isnan(scores.normalised_excess(1.0, 1.0, np.nan))


def test_failures_are_imputed_at_the_baseline_and_bad_losses_are_not(tmp_path: Path) -> None:
    cells: list[dict[str, Any]] = [
        {"loss": 2.0},
        {"loss": 26.0},
        {"loss": None, "status": "TIMEOUT"},
        {"loss": None, "status": "SKIPPED"},
        {"loss": 1.0, "status": "LIED"},
        {"loss": 2.0, "instance_key": "without a baseline"},
    ]
    excess = scores.excess(table(tmp_path, cells))
    assert excess[:5].tolist() == [0.0, 3.0, 1.0, 1.0, 1.0]
    assert np.isnan(excess[5])


def test_the_metrics_drop_is_positive_when_it_got_worse(tmp_path: Path) -> None:
    infos = [{}, {"key": "fid", "higher_is_better": False, "float_metric": 14.0}]
    cells: list[dict[str, Any]] = [{"metric": 0.8}, {"metric": 20.0, "instance_key": "fid"}, {"metric": None}]
    drop = scores.metric_drop(table(tmp_path, cells, infos))
    assert drop[:2].tolist() == pytest.approx([0.07, 6.0])
    assert np.isnan(drop[2])


# ---- times and wins


def test_the_shifted_geometric_mean_lies_where_it_should() -> None:
    assert scores.shifted_geometric_mean([4.0, 4.0]) == pytest.approx(4.0)
    assert scores.shifted_geometric_mean([0.9, 9.9], shift=0.1) == pytest.approx(np.sqrt(10) - 0.1)
    assert scores.shifted_geometric_mean([1.0, np.nan, 1.0]) == pytest.approx(1.0)
    assert np.isnan(scores.shifted_geometric_mean([]))
    assert scores.shifted_geometric_mean([0.0, 0.0]) == pytest.approx(0.0)


def test_ties_all_win_and_medians_over_seeds_decide(tmp_path: Path) -> None:
    rows = [("a", 2.0), ("a", 2.0), ("a", 9.0), ("b", 2.0 + 1e-12), ("c", 1.0), ("c", 5.0), ("c", 5.0)]
    cells = [{"solver": solver, "loss": loss, "seed": seed} for seed, (solver, loss) in enumerate(rows)]
    frame = table(tmp_path, cells)
    assert scores.wins(frame, frame["solver"]).to_dict() == {"a": 1, "b": 1, "c": 0}


def test_each_budget_is_won_apart_and_failures_win_nothing(tmp_path: Path) -> None:
    cells: list[dict[str, Any]] = [
        {"solver": "quick", "budget_seconds": 1.0, "loss": 3.0},
        {"solver": "deep", "budget_seconds": 1.0, "loss": None, "status": "TIMEOUT"},
        {"solver": "quick", "budget_seconds": None, "loss": 3.0},
        {"solver": "deep", "budget_seconds": None, "loss": -2.0},
        {"solver": "deep", "instance_key": "hard", "loss": None, "status": "MEMORY"},
    ]
    frame = table(tmp_path, cells)
    assert scores.wins(frame, frame["solver"]).to_dict() == {"quick": 1, "deep": 1}


@pytest.mark.parametrize("constant", [0.0, 1e6, -1e9, 1e12, -1e12, 1e14, -1e14])
def test_a_constant_in_the_objective_changes_no_score(constant: float) -> None:
    losses = np.array([-400.0, -250.0, -100.0])
    shifted = scores.normalised_excess(losses + constant, -400.0 + constant, -100.0 + constant)
    assert shifted.tolist() == [0.0, 0.5, 1.0]
    assert scores.tie(-400.0 + constant, -100.0 + constant) < 150.0


def test_no_time_is_no_time() -> None:
    assert scores.shifted_geometric_mean([0.0, 0.0, 0.0]) == 0.0
