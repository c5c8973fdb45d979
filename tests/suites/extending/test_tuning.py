"""Tuning searches declared ranges on training instances alone, and reports on the others."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Annotated

import pytest
from warm import SharedServer, write_suite

from qubopress import problems, solvers
from qubopress.problems import InputError
from qubopress.solvers import Choice, Range, Run
from qubopress.suites import cli
from qubopress.suites.extending import bench, tuning

Captured = pytest.CaptureFixture[str]

SUITE = """
seconds = 0.1

[[problem]]
name = "adaround"
network = "digits-mlp"
bits = {bits}

[[solver]]
name = "nearest-plane"
"""

DAMPED = '''
import numpy as np
from typing import Annotated
from qubopress import problems, solvers


@solvers.solver("damped", accepts=problems.Rounding)
def damped(layer, run, *, share: Annotated[float, solvers.Range(0.0, 1.0)] = 0.0, up: bool = False):
    """Take the nearest plane's answer for a share of the neurons; round the rest down."""
    best = solvers.solve(layer, "nearest-plane", restarts=1).x
    x = layer.settle(np.zeros(layer.shape))
    x[: round(share * layer.n)] = best[: round(share * layer.n)]
    run.offer(x)
'''


@pytest.fixture(autouse=True)
def _shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "Supervisor", SharedServer)
    monkeypatch.chdir(tmp_path)


def suite(folder: Path, bits: str = "[2, 3]") -> str:
    return str(write_suite(folder, SUITE.format(bits=bits)))


def test_a_better_parameter_is_found_and_holds_on_instances_that_no_trial_saw(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "damped.py").write_text(DAMPED, encoding="utf-8")
    found = tuning.tune("damped", suite(tmp_path), trials=6, plugins=folder)
    assert found.changed
    assert found.parameters["share"] > 0.3
    training, held = found.table.to_dict("records")
    for row in (training, held):
        assert row["tuned"] < row["default"]
        assert row["difference"] == pytest.approx(row["tuned"] - row["default"])
    assert {training["part"], held["part"]} == {"training", "held-out"}
    assert training["names"] != held["names"]


def test_the_same_seed_gives_the_same_parameters_and_the_block_can_be_pasted(
    tmp_path: Path, capsys: Captured
) -> None:
    call = ["tune", "nearest-plane", "--suite", suite(tmp_path), "--trials", "4"]
    assert cli.call(call) == 0
    out, err = capsys.readouterr()
    assert "trial 4 of 4: excess" in err
    assert "split drawn with seed 0" in out
    block = out[out.index("[[solver]]") :]
    (table,) = tomllib.loads(block)["solver"]
    assert table.pop("name") == "nearest-plane"
    assert solvers.get("nearest-plane").settings(table) == table
    assert {"damping", "order"} <= set(table)
    assert cli.call([*call, "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert [row["part"] for row in json.loads(out)] == ["training", "held-out"]
    assert block.strip() in err


def test_the_split_is_drawn_by_the_seed_and_leaves_no_side_empty() -> None:
    names = [f"instance {i}" for i in range(10)]
    drawn = {seed: tuning.split(names, share=0.3, seed=seed) for seed in range(4)}
    for training, held in drawn.values():
        assert len(held) == 3
        assert sorted(training + held) == names
    assert len({tuple(held) for _, held in drawn.values()}) > 1
    assert drawn[1] == tuning.split(names[::-1], share=0.3, seed=1)
    assert [len(part) for part in tuning.split(names, share=0.001, seed=0)] == [9, 1]
    assert [len(part) for part in tuning.split(names, share=0.999, seed=0)] == [1, 9]
    with pytest.raises(InputError, match="there must be two instances"):
        tuning.split(["one"], share=0.5, seed=0)


def test_ranges_choices_and_switches_are_searched_and_nothing_else() -> None:
    @solvers.solver("many", accepts=problems.Qubo)
    def many(
        qubo: problems.Qubo,
        run: Run,
        *,
        steps: Annotated[int, Range(1, 9, log=True)] = 3,
        order: Annotated[str, Choice("up", "down")] = "up",
        greedy: bool = True,
        free: int = 7,
    ) -> None:
        """Nothing."""

    space = tuning.searched(solvers.get("many"))
    assert list(space) == ["steps", "order", "greedy"]
    optuna = tuning._optuna()
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    seen = {name: set() for name in space}
    for _ in range(40):
        trial = study.ask()
        for name, one in space.items():
            seen[name].add(one.check(tuning._suggest(trial, one)))
        study.tell(trial, 0.0)
    assert seen["order"] == {"up", "down"}
    assert seen["greedy"] == {False, True}
    assert seen["steps"] >= {1, 2, 3}


def test_a_real_suggestion_has_four_digits_and_stays_in_its_range() -> None:
    optuna = tuning._optuna()
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    one = solvers.Parameter("damping", 0.01, float, Range(0.123456, 0.123461))
    values = [tuning._suggest(study.ask(), one) for _ in range(5)]
    assert all(0.123456 <= value <= 0.123461 for value in values)
    wide = solvers.Parameter("width", 0.01, float, Range(1e-8, 1.0, log=True))
    assert all(value == float(f"{value:.4g}") for value in [tuning._suggest(study.ask(), wide)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("one-flip --suite own.toml", "one-flip must declare the range of a parameter to be tuned"),
        ("nearest-plain --suite own.toml", "no solver named 'nearest-plain'; did you mean 'nearest-plane'?"),
        ("nearest-plane --suite none.toml", "no suite file at none.toml"),
        ("nearest-plane --suite own.toml --trials 0", "--trials must be at least 1, got 0"),
        ("nearest-plane --suite own.toml --seed -1", "--seed must be at least 0, got -1"),
        ("nearest-plane --suite own.toml --held-out 1", "held-out must lie in (0, 1), got 1"),
        ("nearest-plane --suite own.toml --seconds-per-run 0", "seconds must be positive, got 0.0"),
        ("nearest-plane --suite own.toml --format xml", "--format must be one of"),
        ("nearest-plane", "Missing option '--suite'"),
    ],
)
def test_a_call_that_is_wrong_ends_in_one_line(
    tmp_path: Path, capsys: Captured, arguments: str, message: str
) -> None:
    suite(tmp_path)
    assert message in refused(capsys, "tune", *arguments.split())


def refused(capsys: Captured, *arguments: str) -> str:
    assert cli.call(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1, err
    return err


def test_a_suite_of_one_instance_for_the_solver_is_refused(tmp_path: Path, capsys: Captured) -> None:
    err = refused(capsys, "tune", "nearest-plane", "--suite", suite(tmp_path, "3"))
    assert "suite own must have two instances for nearest-plane, one to train on and one to hold out" in err


def test_without_optuna_the_cure_is_one_line(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    err = refused(capsys, "tune", "nearest-plane", "--suite", suite(tmp_path))
    assert "pip install 'qubopress[tune]'" in err
