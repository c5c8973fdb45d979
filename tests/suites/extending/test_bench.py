"""The bench measures on the spot, and scores by the baseline and the lowest loss."""

from __future__ import annotations

import pytest
from warm import SharedServer

from qubopress.results.storage.budget import Budget
from qubopress.suites.extending import bench
from qubopress.suites.extending.bench import Bench, scored
from qubopress.suites.harness.cell import Cell
from qubopress.suites.harness.survey import Survey
from qubopress.suites.spec import InstanceSpec, SolverSpec


def test_cells_are_measured_in_their_order_and_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "Supervisor", SharedServer)
    spec = InstanceSpec.of("random-qubo", n=12, seed=3)
    with Bench() as measuring:
        survey = measuring.survey([spec])[spec.label]
        assert isinstance(survey, Survey)
        solvers = ("exhaustive", "one-flip")
        budget = Budget(seconds=5.0, restarts=1)
        cells = [Cell("bench", spec, survey, SolverSpec(name, {}), 0, budget) for name in solvers]
        records = measuring.measure(cells)
    assert [one.solver for one in records] == list(solvers)
    table = scored(records, [survey])
    assert table["excess"].iloc[0] == 0.0
    assert (table["excess"] >= 0.0).all()
    lower = scored(records, [survey], {survey.info.key: table["loss"].min() - 1.0})
    assert (lower["excess"] > 0.0).all()


def test_an_instance_that_cannot_be_had_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "Supervisor", SharedServer)
    spec = InstanceSpec("adaround", "digits-mlp", parameters={"bits": 0})
    with Bench() as measuring:
        (reason,) = measuring.survey([spec]).values()
    assert isinstance(reason, str)
    assert "bits must" in reason
