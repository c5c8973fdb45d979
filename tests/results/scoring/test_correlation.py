"""The rank correlation of loss and metric is taken within instances and pooled over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import make_benchmark, make_store

from qubopress.results import correlations


def solutions(key: str, metrics: list[float], **more: Any) -> list[dict[str, Any]]:
    """Solutions of one instance, each of a higher loss than the one before."""
    return [
        {"instance_key": key, "loss": float(i), "metric": metric, "seed": i, **more}
        for i, metric in enumerate(metrics)
    ]


def test_a_metric_that_falls_with_the_loss_correlates_fully(tmp_path: Path) -> None:
    table = correlations(make_store(tmp_path / "s.db", solutions("key-1", [0.9, 0.8, 0.3])))
    assert table[["family", "problem", "metric_name"]].to_numpy().tolist() == [
        ["rounding", "", "accuracy"],
        ["rounding", "adaround", "accuracy"],
    ]
    assert table["rho"].tolist() == [1.0, 1.0]
    assert table["rho_low"].isna().all()


def test_a_lower_is_better_metric_counts_in_its_own_direction(tmp_path: Path) -> None:
    info = {"higher_is_better": False, "metric_name": "FID"}
    cells = solutions("key-1", [10.0, 20.0, 40.0], metric_name="FID")
    assert correlations(make_store(tmp_path / "s.db", cells, [info]))["rho"].tolist() == [1.0, 1.0]


def test_instances_are_pooled_by_their_median_not_mixed(tmp_path: Path) -> None:
    infos = [{"key": key} for key in "abc"]
    cells = (
        solutions("a", [0.9, 0.8, 0.7]) + solutions("b", [0.5, 0.4, 0.3]) + solutions("c", [0.1, 0.2, 0.3])
    )
    row = correlations(make_store(tmp_path / "s.db", cells, infos)).iloc[0]
    assert row[["rho", "instances", "solutions"]].tolist() == [1.0, 3, 9]
    assert row["rho_low"] == -1.0


def test_the_same_solution_found_twice_counts_once(tmp_path: Path) -> None:
    cells = solutions("key-1", [0.9, 0.8, 0.7, 0.95]) + solutions("key-1", [0.9, 0.8, 0.7], solver="again")
    row = correlations(make_store(tmp_path / "s.db", cells)).iloc[0]
    assert row["solutions"] == 4
    assert row["rho"] == pytest.approx(0.2 - 0.4)


def test_what_is_not_ranked_or_too_little_says_nothing(tmp_path: Path) -> None:
    cells = solutions("key-1", [0.9, 0.8]) + solutions("key-1", [0.1] * 9, status="INFEASIBLE", violation=1.0)
    assert correlations(make_store(tmp_path / "s.db", cells)).empty
    assert correlations(make_store(tmp_path / "e.db", [])).empty
    assert correlations(make_store(tmp_path / "f.db", solutions("key-1", [0.5] * 5))).empty


def test_a_benchmark_correlates_by_family(tmp_path: Path) -> None:
    path = make_benchmark(tmp_path / "s.db")
    table = correlations(path)
    whole = table[table["problem"] == ""].set_index("family")
    assert set(whole.index) == {"rounding", "pruning", "analog"}
    assert (whole["rho"] > 0.8).all()
    assert (
        whole.loc["rounding", "rho_low"] <= whole.loc["rounding", "rho"] <= whole.loc["rounding", "rho_high"]
    )
    assert set(correlations(path, family="analog")["family"]) == {"analog"}
    assert np.isfinite(table["rho"]).all()
