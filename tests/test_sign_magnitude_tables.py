"""The tables of sign and magnitude say what was measured and judge claims by paired intervals."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import one_thread

from qubopress.problems.data import load_dataset
from qubopress.suites import sign_magnitude as tables

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


def test_the_two_tasks_share_no_class_and_no_sample() -> None:
    data = load_dataset("digits")
    first, second = tables.halves(data)
    assert set(first.train_targets) == set(second.train_targets) == set(range(5))
    assert len(first.train_targets) + len(second.train_targets) == len(data.train_targets)
    assert len(first.test_inputs) + len(second.test_inputs) == len(data.test_inputs)


def test_a_second_task_is_measured_on_every_fabrication(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = replace(tables.find_network("digits-mlp"), epochs=2)
    monkeypatch.setattr(tables, "find_network", lambda _: quick)
    rows = pd.DataFrame(tables.reuse_rows(0, density=0.5))
    assert len(rows) == rows["fabrication"].nunique() == 4
    assert rows[["first", "second"]].min().min() > 0.3
    zeros = rows[rows["fabrication"].str.contains("zeros")]
    assert zeros["first"].nunique() == 1


def test_a_summary_is_the_mean_over_seeds_with_its_interval() -> None:
    rows = pd.DataFrame(
        {"way": ["a", "a", "b", "b"], "at": 0, "seed": [0, 1, 0, 1], "v": [1.0, 3.0, 2.0, 2.0]}
    )
    found = tables.summary(rows, ["way", "at"], ["v"]).set_index("way")
    assert found.loc["a", "v"] == 2.0
    assert found.loc["a", "v low"] < 1.0 < 3.0 < found.loc["a", "v high"]
    assert found.loc["b", "v low"] == found.loc["b", "v high"] == 2.0
    assert (found["seeds"] == 2).all()


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [([0.10, 0.11, 0.09], "holds"), ([-0.10, -0.11, -0.09], "fails"), ([0.3, -0.2, 0.1], "open")],
)
def test_a_claim_holds_where_the_interval_of_paired_differences_is_above(differences, verdict) -> None:
    base = np.array([0.2, 0.5, 0.8])  # seeds differ by more than the ways do
    noise = pd.DataFrame(
        [
            {"network": "n", "noise": "no noise", "hardware": way, "seed": seed, "accuracy": value}
            for way, values in (("S+M", base + differences), ("S", base))
            for seed, value in enumerate(values)
        ]
    )
    reuse = pd.DataFrame(
        [
            {"fabrication": way, "density": 0.5, "seed": seed, "first": 1.0, "second": value}
            for way, values in (
                ("fixed random topology, midrise", base + differences),
                ("zeros of the first task", base),
            )
            for seed, value in enumerate(values)
        ]
    )
    found = tables.claims(noise, reuse)
    assert list(found["verdict"]) == [verdict] * 2
    np.testing.assert_allclose(found["difference"], np.mean(differences))


def test_claims_name_hardware_and_noise_that_there_are() -> None:
    names = {hardware.name for hardware in tables.HARDWARE}
    noises = {readout.text for readout in tables.NOISES}
    assert set(tables.BRIEF) <= names
    for claim in tables.CLAIMS:
        assert {claim.better, claim.worse} <= names
        assert claim.noise in noises


def test_the_command_writes_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = replace(tables.find_network("digits-mlp"), epochs=1)
    monkeypatch.setattr(tables, "find_network", lambda _: quick)
    monkeypatch.setattr(tables, "HARDWARE", (NEAREST,))
    tables.main(["--network", "digits-mlp", "--seeds", "2", "--out", str(tmp_path)])
    noise, reuse, claims = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("noise", "reuse", "claims"))
    assert len(noise) == len(tables.NOISES)
    assert (noise["seeds"] == 2).all()
    assert len(reuse) == 3 * 4
    assert set(claims["verdict"]) <= {"holds", "fails", "open"}
    assert "nearest level" in capsys.readouterr().out
