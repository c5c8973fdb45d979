from __future__ import annotations

import dataclasses
import json
import re
import sqlite3
import zlib
from pathlib import Path

import pytest
from warm import records, share_server, write_suite

from qubopress import suites
from qubopress.problems import registry
from qubopress.results import Store, pack, unpack
from qubopress.suites import cli
from qubopress.suites.verification.stored_numbers import judge

SUITE = """
seconds = 0.2
restarts = 1

[[problem]]
name = "adaround"
network = "digits-mlp"
bits = 3

[[problem]]
name = "taylor"
network = "digits-cnn"

[[problem]]
name = "hybrid"
network = "digits-cnn"
refine = 4
prepare = "random"

[[solver]]
name = ["nearest-plane", "cp-sat", "random"]
"""


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("honest")
    with pytest.MonkeyPatch.context() as patch:
        share_server(patch)
        suites.run(write_suite(folder, SUITE), store=folder / "r.db", jobs=2)
    return folder / "r.db"


@pytest.fixture
def store(honest: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy.db"
    copy.write_bytes(honest.read_bytes())
    return copy


def edit(store: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(store) as db:
        assert db.execute(statement, values).rowcount > 0
    db.close()


def cell_of(store: Path, solver: str, problem: str = "taylor") -> str:
    (found,) = [one.cell for one in records(store) if (one.solver, one.problem) == (solver, problem)]
    return found


def false_records(store: Path) -> dict[str, str]:
    return {record.cell: one.reason for record, one in suites.verify(store) if one is not None}


def test_every_record_of_an_honest_run_holds(honest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = records(honest)
    assert {record.problem for record in kept} == {"adaround", "taylor", "hybrid"}
    assert "OPTIMAL" in {record.status for record in kept}
    assert cli.call(["verify", "--store", str(honest)]) == 0
    assert capsys.readouterr().out == f"{len(kept)} of {len(kept)} records hold\n"


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE cell SET loss = loss * 1.001 WHERE cell = ?", "stored trace ends at|stored loss is"),
        ("UPDATE cell SET loss = loss - 1, bound = NULL WHERE cell = ?", "stored trace ends|stored loss is"),
        ("UPDATE cell SET loss = NULL WHERE cell = ?", "claims a result without the bits"),
        ("UPDATE cell SET violation = 1 WHERE cell = ?", "stored violation is 1.0, the bits have 0"),
        ("UPDATE cell SET metric = metric + 0.05 WHERE cell = ?", "stored accuracy is"),
        ("UPDATE cell SET metric = NULL WHERE cell = ?", "stored accuracy is None"),
        ("UPDATE cell SET bound = loss + 1 WHERE cell = ?", "stored bound is .* above the loss"),
        ("UPDATE cell SET bound = 9e999 WHERE cell = ?", "stored bound is inf, above the loss"),
        (
            "UPDATE cell SET status = 'OPTIMAL', bound = loss - 1 WHERE cell = ?",
            "ended OPTIMAL, and its bound",
        ),
        ("UPDATE cell SET status = 'OPTIMAL', bound = NULL WHERE cell = ?", "and its bound is None"),
        (
            "UPDATE cell SET measures = json_set(measures, '$.parameters', 7) WHERE cell = ?",
            "parameters is 7",
        ),
        (
            "UPDATE cell SET measures = json_set(measures, '$.stored bytes', 7) WHERE cell = ?",
            "stored bytes is 7",
        ),
        ("UPDATE cell SET measures = json_remove(measures, '$.products') WHERE cell = ?", "products is nan"),
        ("UPDATE cell SET network = 'digits-mlp' WHERE cell = ?", "stored network is digits-mlp"),
        ("UPDATE cell SET family = 'rounding' WHERE cell = ?", "its instance has pruning"),
        ("UPDATE cell SET instance_key = 'x' WHERE cell = ?", "its instance is not described in the store"),
    ],
)
def test_an_edited_cell_is_false_and_named(
    store: Path, capsys: pytest.CaptureFixture[str], statement: str, reason: str
) -> None:
    cell = cell_of(store, "random")
    edit(store, statement, cell)
    assert cli.call(["verify", "--store", str(store)]) == 1
    found, last = capsys.readouterr().out.splitlines()
    assert found.startswith(f"false record {cell} (random on taylor/digits-cnn, seed 0): ")
    assert re.search(reason, found), found
    assert last.endswith(" records hold")


def test_a_record_of_before_its_bytes_were_measured_holds_and_is_retold_with_them(store: Path) -> None:
    cell = cell_of(store, "random")
    (before,) = [one for one in records(store) if one.cell == cell]
    edit(store, "UPDATE cell SET measures = json_remove(measures, '$.stored bytes') WHERE cell = ?", cell)
    (old,) = [one for one in records(store) if one.cell == cell]
    judged = judge(store)
    assert judged(old) is None
    assert old.measures.keys() < before.measures.keys()
    assert judged.retold(old).measures["stored bytes"] == before.measures["stored bytes"]


@pytest.mark.parametrize("change", ["flip", "garbage", "none", "bomb", "fewer"])
def test_edited_bits_are_false(store: Path, change: str) -> None:
    cell = cell_of(store, "random", "adaround")
    (record,) = [one for one in records(store) if one.cell == cell]
    stage = record.stages[0]
    assert stage.bits is not None
    x = unpack(stage.bits, stage.shape).copy()
    x[0] ^= 1  # one bit alone may belong to an input that is always zero
    blobs = {
        "flip": pack(x),
        "garbage": b"bnonsense",
        "none": None,
        "bomb": b"b" + zlib.compress(bytes(10_000_000)),
        "fewer": pack(x[:1]),
    }
    edit(
        store,
        "UPDATE stage SET bits = ? WHERE position = 0 AND cell = (SELECT id FROM cell WHERE cell = ?)",
        blobs[change],
        cell,
    )
    assert set(false_records(store)) == {cell}


def test_an_edited_loss_of_a_stage_or_a_missing_stage_is_false(store: Path) -> None:
    cell = cell_of(store, "random", "adaround")
    where = "WHERE position = 1 AND cell = (SELECT id FROM cell WHERE cell = ?)"
    edit(store, f"UPDATE stage SET loss = loss * 1.01 {where}", cell)
    assert "stored loss of stage 1 is" in false_records(store)[cell]
    edit(store, f"DELETE FROM stage {where}", cell)
    assert "it has 1 stages, and the instance has more" in false_records(store)[cell]


def test_an_edited_trace_is_false(store: Path) -> None:
    with Store(store, write=True) as kept:
        (record,) = [one for one in kept.records() if one.cell == cell_of(store, "random")]
        kept.add(dataclasses.replace(record, trace=((0.001, record.loss - 5.0),)), replace=True)
    assert "stored trace ends at" in false_records(store)[record.cell]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("baseline_loss", 1e6),
        ("stage_losses", "[1.0]"),
        ("baseline_metric", 0.1),
        ("float_metric", 0.5),
        ("variables", 7),
        ("higher_is_better", 0),
    ],
)
def test_an_edited_description_makes_its_records_false(store: Path, column: str, value: object) -> None:
    edit(store, f"UPDATE instance SET {column} = ? WHERE problem = 'taylor'", value)
    found = false_records(store)
    assert set(found) == {one.cell for one in records(store) if one.problem == "taylor"}
    assert all("its instance's stored" in reason for reason in found.values())


def test_edited_parameters_of_an_instance_are_false(store: Path) -> None:
    with Store(store) as kept:
        (info,) = [one for one in kept.instances() if one.problem == "adaround"]
    changed = json.dumps({**info.parameters, "bits": 4})
    edit(store, "UPDATE instance SET parameters = ? WHERE problem = 'adaround'", changed)
    assert "its instance is another one here" in false_records(store)[cell_of(store, "random", "adaround")]


def test_another_version_of_the_formulation_is_told_apart(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = registry.get("taylor").version
    registry._REGISTRY["taylor"] = dataclasses.replace(registry.get("taylor"), version=7)
    verdicts = {record.problem: one for record, one in suites.verify(store)}
    assert (verdicts["adaround"], verdicts["hybrid"]) == (None, None)
    assert verdicts["taylor"] is not None
    assert verdicts["taylor"].elsewhere
    assert verdicts["taylor"].reason == f"it was made by version {made} of taylor, here is version 7"
    assert cli.call(["verify", "--store", str(store)]) == 3
    assert "cannot check record" in capsys.readouterr().out


def test_what_a_plugin_made_cannot_be_checked_without_it(store: Path) -> None:
    del registry._REGISTRY["hybrid"]
    verdicts = [one for record, one in suites.verify(store) if record.problem == "hybrid"]
    assert verdicts
    assert all(
        one is not None and one.elsewhere and "no problem named 'hybrid'" in one.reason for one in verdicts
    )


def test_parameters_from_hell_end_no_verification(store: Path) -> None:
    edit(store, "UPDATE instance SET parameters = ? WHERE problem = 'taylor'", '{"keep": [1], "network": {}}')
    verdicts = {record.problem: one for record, one in suites.verify(store)}
    assert verdicts["taylor"] is not None
    assert verdicts["adaround"] is None
