"""Claims: pairs alike in all but the choice, intervals over pairs, verdicts in the good direction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import make_store

from qubopress.results import StoreError
from qubopress.results.scoring.paired_choices import PairedChoice, Side, judged

CLAIM = PairedChoice("new above old", Side("new"), Side("old"))


def store_of(
    path: Path, old: list[float], new: list[float], *, higher: bool = True, network: str = "mlp"
) -> Path:
    """Cells of two formulations, one pair a calibration seed."""
    infos, cells = list[dict[str, Any]](), list[dict[str, Any]]()
    for problem, values in (("old", old), ("new", new)):
        for seed, value in enumerate(values):
            key = f"{problem}-{seed}"
            parameters = {"keep": 0.5, "calibration_seed": seed, "own": problem}
            common = {"problem": problem, "network": network, "family": "pruning"}
            infos.append({**common, "key": key, "parameters": parameters, "higher_is_better": higher})
            cells.append({**common, "cell": key, "instance_key": key, "metric": value})
    return make_store(path, cells, infos)


@pytest.mark.parametrize(
    ("higher", "verdict"), [(True, "holds"), (False, "refuted")], ids=["accuracy", "distance"]
)
def test_a_claim_holds_in_the_good_direction_of_the_metric(
    tmp_path: Path, higher: bool, verdict: str
) -> None:
    path = store_of(tmp_path / "s.db", [0.5, 0.6, 0.7], [0.6, 0.7, 0.9], higher=higher)
    (row,) = judged(path, [CLAIM]).to_dict("records")
    assert row["verdict"] == verdict
    assert row["pairs"] == 3
    assert row["difference"] == pytest.approx(0.4 / 3 if higher else -0.4 / 3)
    assert row["low"] <= row["difference"] <= row["high"]
    assert (row["worse"], row["better"]) == pytest.approx((0.6, 2.2 / 3))


def test_a_difference_of_both_signs_is_undecided_and_one_pair_says_nothing(tmp_path: Path) -> None:
    both = store_of(tmp_path / "both.db", [0.5, 0.6], [0.4, 0.8])
    assert judged(both, [CLAIM])["verdict"].tolist() == ["undecided"]
    one = judged(store_of(tmp_path / "one.db", [0.5], [0.4]), [CLAIM])
    assert one["verdict"].tolist() == ["one pair"]
    assert np.isnan(one["low"][0])


def test_only_equal_settings_are_paired(tmp_path: Path) -> None:
    path = store_of(tmp_path / "s.db", [0.5, 0.6, 0.7], [0.6])
    assert judged(path, [CLAIM])["pairs"].tolist() == [1]


def test_a_refinement_is_paired_with_its_own_start(tmp_path: Path) -> None:
    infos = [
        {
            "key": f"k{seed}",
            "parameters": {"refine": 8, "calibration_seed": seed, "prepare": "swap"},
            "baseline_metric": 0.5,
        }
        for seed in range(3)
    ]
    cells = [
        {"cell": info["key"], "instance_key": info["key"], "solver": "protes", "metric": 0.6}
        for info in infos
    ]
    claim = PairedChoice("refined above start", Side(solver="protes"), Side(solver="start"))
    (row,) = judged(make_store(tmp_path / "s.db", cells, infos), [claim]).to_dict("records")
    assert (row["worse"], row["better"], row["verdict"]) == (0.5, 0.6, "holds")


def refits(path: Path, plain: list[float], refitted: list[float]) -> Path:
    """Cells of one formulation, with and without a refit, and what a fine-tune makes of them."""
    infos, cells = list[dict[str, Any]](), list[dict[str, Any]]()
    for refit, values in ((False, plain), (True, refitted)):
        for seed, value in enumerate(values):
            key, parameters = f"{refit}-{seed}", {"keep": 0.5, "calibration_seed": seed, "refit": refit}
            infos.append({"problem": "new", "key": key, "parameters": parameters, "higher_is_better": True})
            measures = {"accuracy after fine-tune": 0.5 + (not refit) * (0.1 + 0.01 * seed), "products": 9.0}
            cells.append(
                {
                    "problem": "new",
                    "cell": key,
                    "instance_key": key,
                    "metric": value,
                    "metric_name": "accuracy",
                    "measures": measures,
                }
            )
    return make_store(path, cells, infos)


def test_a_side_is_told_by_its_parameters_and_a_measure_may_stand_for_the_metric(tmp_path: Path) -> None:
    path = refits(tmp_path / "s.db", [0.5, 0.6, 0.7], [0.6, 0.7, 0.9])
    with_refit, without = {"refit": True}, {"refit": False}
    claims = [
        PairedChoice(f"refit {after}", Side("new", "", with_refit, after), Side("new", "", without, after))
        for after in ("", "after fine-tune")
    ]
    rows = judged(path, claims)
    assert rows["metric"].tolist() == ["accuracy", "accuracy after fine-tune"]
    assert rows["verdict"].tolist() == ["holds", "refuted"]
    assert rows["difference"].tolist() == pytest.approx([0.4 / 3, -0.11])
    assert rows["pairs"].tolist() == [3, 3]


def test_a_parameter_or_a_measure_that_a_cell_lacks_puts_it_on_neither_side(tmp_path: Path) -> None:
    path = refits(tmp_path / "s.db", [0.5, 0.6], [0.6, 0.7])
    for lacking in (Side("new", parameters={"other": 1}), Side("new", after="after all")):
        with pytest.raises(StoreError, match="must hold cells of both sides of a claim"):
            judged(path, [PairedChoice("none", lacking, Side("new"))])


def test_a_store_without_both_sides_is_refused(tmp_path: Path) -> None:
    path = store_of(tmp_path / "s.db", [0.5, 0.6], [])
    with pytest.raises(StoreError, match="must hold cells of both sides of a claim"):
        judged(path, [CLAIM])
