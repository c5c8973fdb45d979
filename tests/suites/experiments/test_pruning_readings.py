"""Choices are made on held-out calibration data alone, of as many settings each; verdicts follow pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qubopress.suites import cli
from qubopress.suites.experiments import pruning_readings
from qubopress.suites.experiments.pruning_readings import SETTINGS, Choice, Ground, claims

FEW = {
    "taylor": [{"normalise": over, "least": 1} for over in ("global", "layer")],
    "l1": [{"normalise": over, "least": 0.5} for over in ("global", "layer")],
    "hybrid": [{"alpha": alpha, "beta": 0.1, "normalise": "layer", "least": 1} for alpha in (0.0, 1.0)],
    "random": [{"seed": seed} for seed in range(2)],
}


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground.of("digits-cnn", draw=0, calibration=40)


def test_each_formulation_chooses_from_as_many_settings() -> None:
    assert {len(settings) for settings in SETTINGS.values()} == {36}


def test_every_mask_keeps_what_the_capacity_has_and_a_channel_of_each_group(ground: Ground) -> None:
    for problem, settings in SETTINGS.items():
        for setting in (settings[0], settings[-1]):
            x = ground.mask(problem, setting)
            assert x.sum() == ground.made.budget
            assert all(x[span].any() for span in ground.made.groups.spans())


def test_what_is_chosen_is_best_on_held_out_samples_and_the_judge_is_not_asked(ground: Ground) -> None:
    def never(_: object) -> float:
        raise AssertionError("the test data chose")

    blind = replace(ground, task=replace(ground.task, judge=never), scores={})
    for problem in ("taylor", "random"):
        made = Choice(problem).made(blind)
        masks = [blind.mask(problem, one) for one in SETTINGS[problem]]
        held = [blind.held(x, reestimate) for x in masks for reestimate in (True, False)]
        assert blind.held(made.x, made.reestimate) == max(held)
        assert (made.x == blind.mask(problem, made.setting)).all()
        assert 2 < made.judged == 2 * len({x.tobytes() for x in masks})


def test_equal_metrics_are_told_apart_by_the_loss(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ground, "held", lambda *_: 1.0)
    made = Choice("taylor").made(ground)
    losses = [
        ground.loss(ground.mask("taylor", one), again)
        for one in SETTINGS["taylor"]
        for again in (True, False)
    ]
    assert ground.loss(made.x, made.reestimate) == min(losses)


def test_the_held_out_metric_is_that_of_the_held_out_samples() -> None:
    ground = Ground.of("digits-resnet", draw=0, calibration=40)
    everything = np.ones(ground.made.groups.total, dtype=np.int8)
    right = ground.task.network(ground.task.held_inputs).argmax(dim=1) == ground.task.held_targets
    trained = float(right.double().mean())
    assert ground.held(everything, False) == pytest.approx(trained)
    ground.held(everything, True)  # leaves nothing behind in the network whose statistics stay
    assert replace(ground, scores={}).held(everything, False) == pytest.approx(trained)


def test_a_verdict_follows_the_interval_over_pairs_of_equal_draws() -> None:
    rows = [
        {"network": "n", "metric": "m", "stage": "as chosen", "draw": draw, "method": method, "value": value}
        for draw in range(6)
        for method in pruning_readings.METHODS
        # The draws differ by more than the methods: only pairs tell.
        for value in [10.0 * draw + {"hybrid": 1.0, "l1": 2.0}.get(method, 0.0)]
    ]
    table = claims(pd.DataFrame(rows)).set_index(["claim", "reading"])
    usual = "defaults, statistics re-estimated"
    assert table.loc[("hybrid above taylor", usual), "verdict"] == "holds"
    assert table.loc[("hybrid above l1", usual), "verdict"] == "refuted"
    assert table.loc[("hybrid above taylor", "chosen by the metric"), "verdict"] == "undecided"
    assert table.loc[("hybrid above taylor", usual), ["difference", "pairs"]].tolist() == [1.0, 6]


def test_a_network_is_measured_anew_and_the_rows_of_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning_readings, "SETTINGS", FEW)
    monkeypatch.setattr(pruning_readings, "STAGES", {"as chosen": {}})
    given = ["experiment", "pruning-readings", "--draws", "2", "--calibration", "20", "--out", str(tmp_path)]
    assert cli.call([*given, "--network", "digits-cnn"]) == 0
    rows = pd.read_csv(tmp_path / "rows.csv")
    pd.concat([rows, rows.assign(network="another")]).to_csv(tmp_path / "rows.csv", index=False)
    assert cli.call([*given, "--network", "digits-cnn"]) == 0
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert rows.groupby("network").size().to_dict() == {"digits-cnn": 28, "another": 28}
    means = pd.read_csv(tmp_path / "means.csv")
    assert set(means["method"]) == set(pruning_readings.METHODS)
    assert (means.loc[means["method"].str.endswith("chosen"), "judged"] >= 2).all()
    assert len(pd.read_csv(tmp_path / "claims.csv")) == 2 * len(pruning_readings.CLAIMS)
