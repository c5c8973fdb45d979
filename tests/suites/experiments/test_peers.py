"""The comparison with other packages: each is called as its users call it, and judged by our losses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qubopress.problems import Qubo
from qubopress.suites import cli
from qubopress.suites.experiments import peers

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def qubo() -> Qubo:
    return Qubo(np.triu(np.random.default_rng(3).standard_normal((12, 12))), 2.0)


@pytest.fixture(scope="module")
def best(qubo: Qubo) -> float:
    bits = (np.arange(2**12)[:, None] >> np.arange(12)) & 1
    return float(qubo.losses(bits).min())


@pytest.mark.slow
@pytest.mark.parametrize("name", [*peers.PEERS, *peers.OURS])
def test_every_contestant_finds_the_optimum_of_a_small_instance(name: str, qubo: Qubo, best: float) -> None:
    search = peers.PEERS.get(name) or peers.ours(name)
    assert qubo.loss(search(qubo, 0.2, 1)) == pytest.approx(best)


def test_the_lower_mean_loss_is_ahead_and_equal_ones_tie() -> None:
    assert peers._winners({"our sa": -3.0, "our tabu": -2.0, "neal": -2.5}) == {"ahead": "our sa"}
    assert peers._winners({"our sa": -3.0, "neal": -3.5, "openjij": -1.0}) == {"ahead": "neal"}
    assert peers._winners({"our sa": -3.0, "neal": -3.0 - 1e-12}) == {"ahead": "tie"}


def test_a_sweep_is_timed_beside_a_set_up_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[int]()

    def took(call: object, sweeps: int) -> float:
        calls.append(sweeps)
        noise = 0.2 * (-1) ** len(calls)
        return 2.5 + sweeps / 7000 + noise

    monkeypatch.setattr(peers, "_took", took)
    many = peers._enough_sweeps(lambda sweeps: None)
    assert many / 7000 > 2.0
    assert 1 / peers._seconds_per_sweep(lambda sweeps: None, many) == pytest.approx(7000, rel=0.2)


@pytest.mark.slow
def test_a_quick_run_writes_all_tables(tmp_path: Path, capsys: Captured) -> None:
    given = ["--quick", "--no-neurons", "--seconds", "0.1", "--seeds", "1", "--out", str(tmp_path)]
    assert cli.call(["experiment", "peers", *given]) == 0
    assert "mean loss at 0.1 s" in capsys.readouterr().out
    sweeps, to_mean, equal = (
        pd.read_csv(tmp_path / f"{name}.csv") for name in ("sweeps", "time-to-mean", "equal-time")
    )
    assert sweeps["solver"].tolist() == ["our sa", "neal", "openjij"]
    assert sweeps["ours as a multiple"][0] == 1.0
    assert (sweeps["sweeps per second"] > 0).all()
    assert to_mean["reached"].iloc[0] == 5
    assert set(peers.PEERS) <= set(equal.columns)
    assert {f"our {name}" for name in peers.OURS} <= set(equal.columns)
