"""The tables of sign and magnitude say what was measured and judge claims by paired intervals."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import one_thread

from qubopress.problems.datasets.dataset import load_dataset
from qubopress.suites import cli
from qubopress.suites.experiments import sign_magnitude as tables

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

NEAREST = tables.Hardware("nearest level", tables.QUBO, partial(tables.by_qubo, solver="round-to-nearest"))


def test_a_network_is_measured_at_every_noise_and_loses_by_the_strongest() -> None:
    hardware = tables.Hardware("all", tables.QUBO, partial(tables.by_qubo, solver="beam", topology="all"))
    rows = pd.DataFrame(tables.noise_rows(hardware, "digits-mlp", 0)).set_index("noise")
    assert list(rows.index) == [readout.text for readout in tables.NOISES]
    assert rows.index.is_unique
    assert set(rows["connections"]) == set(rows["weights"]) == {64 * 32 + 32 * 10}
    assert rows.loc["no noise", "accuracy"] > rows.loc["40 % additive", "accuracy"] + 0.1


def test_a_topology_that_is_fixed_is_all_that_is_fabricated() -> None:
    random, chosen = (
        tables.by_qubo("digits-mlp", 1, solver="round-to-nearest", topology=topology)
        for topology in ("random", "chosen")
    )
    for made in (random, chosen):
        assert made.connections == made.weights
        assert made.weights == pytest.approx(tables.DENSITY * 2368, rel=0.01)
    data = load_dataset("digits")
    better, worse = (
        tables.accuracy(made.network, data.test_inputs, data.test_targets) for made in (chosen, random)
    )
    assert better > worse


def test_the_halves_share_no_class_and_no_sample() -> None:
    data = load_dataset("digits")
    first, second = tables.halves()
    assert set(first.train_targets) == set(second.train_targets) == set(range(5))
    assert len(first.train_targets) + len(second.train_targets) == len(data.train_targets)
    assert len(first.test_inputs) + len(second.test_inputs) == len(data.test_inputs)


def test_pictures_of_both_data_sets_are_alike_in_size_and_number() -> None:
    digits, fashion = tables.both()
    assert fashion.train_inputs.shape == digits.train_inputs.shape
    assert len(fashion.train_inputs) == len(fashion.train_targets)
    assert len(fashion.test_inputs) == len(fashion.test_targets) == 10_000
    whole = load_dataset("fashion-mnist").test_inputs
    # The frame is dark: 28² of 32² pixels are the picture's.
    np.testing.assert_allclose(fashion.test_inputs.mean(), whole.mean() * (28 / 32) ** 2, rtol=1e-5)
    np.testing.assert_allclose(fashion.test_inputs[0, 0, 3, 5], whole[0, 0, 10:14, 18:22].mean(), rtol=1e-5)


def test_a_second_task_is_measured_on_every_fabrication(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = replace(tables.find_network("digits-mlp"), epochs=2)
    monkeypatch.setattr(tables, "find_network", lambda _: quick)
    rows = pd.DataFrame(tables.reuse_rows("digits 0–4, then 5–9", 0.5, 0))
    assert len(rows) == rows["fabrication"].nunique() == 4
    assert rows[["first", "second"]].min().min() > 0.3
    zeros = rows[rows["fabrication"].str.contains("zeros")]
    assert zeros["first"].nunique() == 1
    np.testing.assert_allclose(rows["both"], (rows["first"] + rows["second"]) / 2)


def test_learned_zeros_leave_as_many_weights_in_every_layer_as_the_random_topology() -> None:
    quick = replace(tables.find_network("digits-mlp"), epochs=1)
    random = tables.topology_of(quick, topology="random", density=0.1)
    made = tables.trained(
        quick,
        load_dataset("digits"),
        "learned zeros",
        exists=tables.topology_of(quick, topology="all"),
        shares=tables.shares(random),
        seed=0,
    )
    assert tables.shares(random)["fc1"] < tables.shares(random)["fc2"]
    for name, mask in random.items():
        assert made.network.get_parameter(f"{name}.weight").count_nonzero() == mask.sum()


def test_beam_leaves_less_loss_than_the_nearest_level_in_its_table() -> None:
    rows = pd.DataFrame(tables.solver_rows("digits-mlp", 3))
    loss = rows.pivot(index="topology", columns="solver", values="loss")
    assert set(loss.index) == {"random", "all"}
    assert (loss["beam"] < loss["round-to-nearest"]).all()
    assert (rows["loss"] > 0).all()


def test_a_summary_is_the_mean_over_seeds_with_its_interval() -> None:
    rows = pd.DataFrame(
        {"way": ["a", "a", "b", "b"], "at": 0, "seed": [0, 1, 0, 1], "v": [1.0, 3.0, 2.0, 2.0]}
    )
    found = tables.summary(rows, ["way", "at"], ["v"]).set_index("way")
    assert found.loc["a", "v"] == 2.0
    assert (found.loc["a", "v low"], found.loc["a", "v high"]) == (1.0, 3.0)
    assert found.loc["b", "v low"] == found.loc["b", "v high"] == 2.0
    assert (found["seeds"] == 2).all()


def by_seed(values: np.ndarray, **ways: str | float) -> list[dict[str, object]]:
    return [{**ways, "seed": seed, "value": value} for seed, value in enumerate(values)]


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.10, 0.11, 0.09], "holds"),
        ([-0.10, -0.11, -0.09], "refuted"),
        ([0.3, -0.2, 0.1], "undecided"),
        ([0.1], "one pair"),
    ],
)
def test_a_claim_holds_where_the_interval_of_paired_differences_is_above(differences, verdict) -> None:
    base = np.array([0.2, 0.5, 0.8])[: len(differences)]  # seeds differ by more than the ways do
    better = base + differences
    at = {"network": "n", "noise": "no noise"}
    noise = [*by_seed(better, hardware="S+M", **at), *by_seed(base, hardware="S", **at)]
    case = {"tasks": "both", "density": 0.5}
    reuse = [
        *by_seed(better, fabrication=tables.RANDOM, **case),
        *by_seed(base, fabrication=tables.ZEROS, **case),
    ]
    on = {"network": "n", "topology": "all"}
    decisions = [*by_seed(better, solver="beam", **on), *by_seed(base, solver="round-to-nearest", **on)]
    found = tables.claims(
        pd.DataFrame(noise).rename(columns={"value": "accuracy"}),
        pd.DataFrame(reuse).assign(second=lambda rows: rows["value"], both=lambda rows: rows["value"]),
        pd.DataFrame(decisions).assign(accuracy=lambda rows: rows["value"], loss=lambda rows: -rows["value"]),
    )
    assert list(found["verdict"]) == [verdict] * 5
    assert (found["pairs"] == len(differences)).all()
    np.testing.assert_allclose(found["difference"], np.mean(differences))


def test_a_claim_with_a_margin_holds_a_little_below() -> None:
    at = {"network": "n", "noise": "no noise"}
    base = np.array([0.90, 0.92, 0.91])
    found = {}
    for loss in (0.01, 0.03):
        noise = pd.DataFrame(
            [*by_seed(base - loss, hardware="S+M", **at), *by_seed(base, hardware="C+S+M", **at)]
        ).rename(columns={"value": "accuracy"})
        (row,) = tables._noise_claims(noise)
        found[loss] = row["verdict"]
    assert found == {0.01: "holds", 0.03: "refuted"}


def test_claims_name_hardware_and_noise_that_there_are() -> None:
    names = {hardware.name for hardware in tables.HARDWARE}
    noises = {readout.text for readout in tables.NOISES}
    assert set(tables.BRIEF) <= names
    for one in tables.CONTRASTS:
        assert {one.better, one.worse} <= names
        assert one.noise in noises


def test_the_command_writes_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = replace(tables.find_network("digits-mlp"), epochs=1)
    monkeypatch.setattr(tables, "find_network", lambda _: quick)
    monkeypatch.setattr(tables, "HARDWARE", (NEAREST,))
    chosen = ["--network", "digits-mlp", "--decide", "digits-mlp", "--tasks", "digits 0–4, then 5–9"]
    call = ["experiment", "sign-magnitude", *chosen, "--seeds", "2", "--out", str(tmp_path)]
    assert cli.call(call) == 0
    noise, reuse, solvers, claims = (
        pd.read_csv(tmp_path / f"{name}.csv") for name in ("noise", "reuse", "solvers", "claims")
    )
    assert len(noise) == len(tables.NOISES)
    assert (noise["seeds"] == 2).all()
    assert len(reuse) == len(tables.DENSITIES) * 4
    assert len(solvers) == 2 * 2
    assert set(claims["verdict"]) <= {"holds", "refuted", "undecided"}
    assert "nearest level" in capsys.readouterr().out
