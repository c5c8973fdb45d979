"""Instances that come without a network: a user's file and random ones, from the spec to the store."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from warm import records, share_server

from qubopress import problems
from qubopress.problems import Capacity, InputError, MissingDataError, Qubo
from qubopress.suites import cli
from qubopress.suites.harness.survey import survey
from qubopress.suites.spec import InstanceSpec

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    share_server(monkeypatch)
    monkeypatch.chdir(tmp_path)


def instance_of(name: str, **parameters: object) -> problems.Instance:
    """The one instance of a formulation without a network."""
    seen: list[problems.Instance] = []

    def decide(_: int, instance: problems.Instance) -> object:
        seen.append(instance)
        return instance.baseline()

    problems.drive(problems.get(name), problems.bare_task(), parameters, decide)
    return seen[0]


def test_the_instance_of_a_file_is_the_one_that_was_saved() -> None:
    Capacity([[1.0, 2.0], [2.0, -3.0]], [1.0, 1.0], 1, 0.5).save("mine.npz")
    instance = instance_of("qubo", file="mine.npz")
    assert isinstance(instance, Capacity)
    assert instance.loss([1, 1]) == 2.5


def test_a_spec_of_a_file_goes_by_its_content_wherever_it_lies(tmp_path: Path) -> None:
    Qubo([[1.0]]).save("one.npz")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "two.npz").write_bytes(Path("one.npz").read_bytes())
    Qubo([[2.0]]).save("three.npz")
    specs = [InstanceSpec.of("qubo", file=file) for file in ("one.npz", "elsewhere/two.npz", "three.npz")]
    keys = [spec.key(spec.task()) for spec in specs]
    assert keys[0] == keys[1] != keys[2]
    assert [spec.name for spec in specs] == ["qubo/one.npz", "qubo/two.npz", "qubo/three.npz"]
    assert InstanceSpec.from_record("qubo", "", specs[1].everything) == specs[1]


def test_a_file_that_was_changed_meanwhile_is_refused() -> None:
    Qubo([[1.0]]).save("mine.npz")
    spec = InstanceSpec.of("qubo", file="mine.npz")
    Qubo([[2.0]]).save("mine.npz")
    with pytest.raises(InputError, match=r"mine\.npz must have the sha256 .*; name the right file"):
        survey(spec)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"file": "none.npz"}, "no instance file at .*none.npz; name one that exists"),
        ({}, "file must be the path of an instance, got ''"),
        ({"file": "."}, "no instance file at"),
        ({"file": "none.npz", "network": "digits-mlp"}, "problem qubo takes neither network nor prepare"),
    ],
)
def test_a_spec_without_its_file_is_refused_in_one_line(table: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        InstanceSpec.of("qubo", **table)


def test_a_missing_file_is_missing_data() -> None:
    with pytest.raises(MissingDataError, match="no instance file at"):
        problems.get("qubo").settings({"file": "none.npz"})


def test_a_random_qubo_depends_on_its_seed_alone() -> None:
    first, again, other = (instance_of("random-qubo", n=9, seed=seed) for seed in (1, 1, 2))
    assert isinstance(first, Qubo)
    assert isinstance(again, Qubo)
    assert isinstance(other, Qubo)
    np.testing.assert_array_equal(first.Q, again.Q)
    assert not np.array_equal(first.Q, other.Q)
    assert np.count_nonzero(first.Q) == 81


def test_a_sparse_random_qubo_has_about_the_degree_that_was_asked_for() -> None:
    instance = instance_of("random-qubo", kind="sparse", n=2000, degree=6)
    assert isinstance(instance, Qubo)
    assert instance.sparse
    assert instance.couplings.nnz / 2000 == pytest.approx(6, rel=0.02)
    assert set(np.abs(instance.linear)) == {1.0}
    assert set(np.abs(instance.couplings.data)) <= {0.5, 1.0, 1.5}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kind": "gauss"}, "kind must be one of gaussian, sparse, got 'gauss'"),
        ({"n": 1}, "n must"),
        ({"n": 30_000}, "n must"),
        ({"kind": "sparse", "n": 5, "degree": 5}, "degree must"),
        ({"seed": -1}, "seed must"),
    ],
)
def test_a_random_qubo_out_of_range_is_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        instance_of("random-qubo", **parameters)


def test_run_measures_and_verifies_an_instance_of_ones_own(capsys: Captured) -> None:
    Qubo(np.diag([1.0, -2.0, 3.0, -4.0])).save("mine.npz")
    call = ["run", "--instance", "mine.npz", "--seconds", "0.05", "--store", "r.db", "--solver", "one-flip"]
    call += ["--seeds", "1"]
    assert cli.call(call) == 0
    (record,) = records("r.db")
    assert (record.suite, record.problem, record.network) == ("own", "qubo", "")
    assert record.instance == "qubo/mine.npz"
    assert record.loss == -6.0
    assert record.metric is None
    assert cli.call(["verify", "--store", "r.db"]) == 0
    assert "1 of 1 records hold" in capsys.readouterr().out
    assert cli.call(["leaderboard", "--store", "r.db", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["solver"] == "one-flip"


def test_verify_says_when_the_file_is_gone(capsys: Captured) -> None:
    Qubo([[-1.0]]).save("mine.npz")
    cli.call(["run", "--instance", "mine.npz", "--seconds", "0.05", "--solver", "random"])
    Path("mine.npz").unlink()
    capsys.readouterr()
    assert cli.call(["verify"]) == 3
    assert re.search("cannot check record .*no instance file at", capsys.readouterr().out)


def test_verify_finds_a_false_loss_of_ones_own_instance(capsys: Captured) -> None:
    Qubo([[-1.0]]).save("mine.npz")
    cli.call(["run", "--instance", "mine.npz", "--seconds", "0.05", "--solver", "random"])
    with sqlite3.connect("results.db") as database:
        database.execute("UPDATE cell SET loss = -3.0")
    capsys.readouterr()
    assert cli.call(["verify"]) == 1
    assert "false record" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["run"], "run needs a suite or --instance FILE; see `qubopress list` for the suites"),
        (["run", "--instance", "none.npz"], "no instance file at"),
    ],
)
def test_a_run_without_instances_ends_in_one_line(call: list[str], message: str, capsys: Captured) -> None:
    assert cli.call(call) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1
