"""How hard a problem is: correlation, and which solvers are beaten by it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from warm import SharedServer

from qubopress.suites import cli
from qubopress.suites.conformance import problem_claims
from qubopress.suites.extending import bench, hardness
from qubopress.suites.spec import InstanceSpec

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    problem_claims._refusals.cache_clear()


def test_the_correlation_is_that_of_loss_and_harm() -> None:
    better = [(1.0, 0.9), (2.0, 0.8), (3.0, 0.5), (3.0, 0.5)]
    assert hardness._correlation(better, higher_is_better=True) == (pytest.approx(1.0), 3)
    assert hardness._correlation(better, higher_is_better=False) == (pytest.approx(-1.0), 3)
    rho, solutions = hardness._correlation([(1.0, 0.9), (2.0, 0.9), (3.0, 0.9)], higher_is_better=True)
    assert np.isnan(rho)
    assert solutions == 3


@pytest.mark.slow
def test_the_solutions_that_are_drawn_come_with_loss_and_metric() -> None:
    spec = InstanceSpec.of("taylor", network="digits-mlp")
    points = list(hardness._drawn(spec, ""))
    assert len(points) == hardness.DRAWN
    losses, metrics = np.array(points).T
    assert losses[0] == losses.min()
    assert losses[: hardness.DRAWN // 2].mean() < losses[hardness.DRAWN // 2 :].mean()
    assert ((metrics >= 0) & (metrics <= 1)).all()


@pytest.mark.slow
def test_the_check_of_a_problem_says_which_solvers_find_it_hard(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "Supervisor", SharedServer)
    call = ["check", "hybrid", "--network", "digits-mlp", "--seconds", "0.1", "--format", "json"]
    assert cli.call(call) == 0
    rows = json.loads(capsys.readouterr().out)
    by_kind = {
        kind: [row for row in rows if row["kind"] == kind] for kind in ("claim", "correlation", "solver")
    }
    assert [row["name"] for row in by_kind["claim"]] == [claim.text for claim in problem_claims.CLAIMS]
    (correlation,) = by_kind["correlation"]
    assert -1 <= correlation["value"] <= 1
    assert "solutions of hybrid/digits-mlp" in correlation["note"]
    excess = {row["name"]: row["value"] for row in by_kind["solver"]}
    assert list(excess.values()) == sorted(excess.values())
    assert excess["swap"] == 0 < excess["random"]
