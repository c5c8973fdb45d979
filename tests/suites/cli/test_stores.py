"""Stores are merged and exported without losing or joining a measurement."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from calls import call, refused
from records import make_record, make_store
from warm import records

from qubopress import results
from qubopress.results import Store

Captured = pytest.CaptureFixture[str]


pytestmark = pytest.mark.usefixtures("here")


def merged(*stores: Path, out: str = "new.db") -> list[results.Record]:
    assert call("merge", out, *stores) == 0
    return records(Path(out))


def test_merging_keeps_every_cell_with_bits_traces_and_instances(benchmark: Path, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other.db", [{"cell": "other"}])
    kept = merged(benchmark, other)
    assert [one.to_json() for one in kept] == [one.to_json() for one in records(benchmark) + records(other)]
    with Store(tmp_path / "new.db") as new, Store(benchmark) as old:
        assert len(new.traces()) == len(old.traces()) + 1
        assert len(new.instances()) == len(old.instances()) + 1


def test_a_cell_that_two_stores_share_is_one(tmp_path: Path, capsys: Captured) -> None:
    a = make_store(tmp_path / "a.db", [{}, {}])
    b = make_store(tmp_path / "b.db", [{}, {}, {}])
    assert len(merged(a, b)) == 3
    assert capsys.readouterr().out == "3 cells of 2 stores in new.db, 2 were the same\n"


def test_a_merge_keeps_at_which_commits_a_cell_was_resumed(tmp_path: Path) -> None:
    a, b = make_store(tmp_path / "a.db", [{}]), make_store(tmp_path / "b.db", [{"commit": "fedc987"}])
    for path, commit in ((a, "later"), (b, "latest")):
        with Store(path, write=True) as store:
            store.resume(["cell-0"], commit)
    first, second = merged(a, b)
    with Store("new.db") as new:
        assert new.resumed() == {"later": [first.cell], "latest": [second.cell]}


@pytest.mark.parametrize(
    "change",
    [
        {"machine": "lab-2"},
        {"commit": "fedc987"},
        {"versions": {"numpy": "2.5"}},
        {"finished_at": "2026-11-03T10:00:00+00:00"},
    ],
)
def test_two_measurements_of_one_cell_are_both_kept(tmp_path: Path, change: dict[str, Any]) -> None:
    a = make_store(tmp_path / "a.db", [{}])
    b = make_store(tmp_path / "b.db", [{**change, "loss": 3.0, "trace": ((0.5, 3.0),)}])
    first, second = merged(a, b)
    assert first == records(a)[0]
    assert dataclasses.replace(second, cell="cell-0") == records(b)[0]
    assert re.fullmatch(r"cell-0@[0-9a-f]{12}", second.cell)
    assert len(results.leaderboard("new.db")) == 1


def test_merging_again_adds_nothing_in_whatever_order(tmp_path: Path) -> None:
    a = make_store(tmp_path / "a.db", [{}])
    b = make_store(tmp_path / "b.db", [{"machine": "lab-2"}])
    c = make_store(tmp_path / "c.db", [{"machine": "lab-3"}])
    whole = merged(a, b, c)
    assert len(whole) == 3
    assert merged(tmp_path / "new.db", c, b, a, out="again.db") == whole
    turned = merged(c, tmp_path / "new.db", b, out="turned.db")
    assert sorted(one.machine for one in turned) == ["lab-1", "lab-2", "lab-3"]


def test_one_cell_with_two_contents_is_refused_and_leaves_nothing(tmp_path: Path, capsys: Captured) -> None:
    a = make_store(tmp_path / "a.db", [{}])
    b = make_store(tmp_path / "b.db", [{"loss": 1.0}])
    before = sorted(tmp_path.iterdir())
    assert "b.db must agree with the other stores on cell cell-0" in refused(capsys, "merge", "new.db", a, b)
    assert sorted(tmp_path.iterdir()) == before


def test_one_instance_with_two_baselines_is_refused(tmp_path: Path, capsys: Captured) -> None:
    a = make_store(tmp_path / "a.db", [{}])
    b = make_store(tmp_path / "b.db", [{"seed": 1, "cell": "b"}], [{"baseline_loss": 11.0}])
    message = refused(capsys, "merge", "new.db", a, b)
    assert "b.db must give instance mlp int4 the baseline loss 10 of the other stores, got 11" in message
    c = make_store(tmp_path / "c.db", [{"seed": 1, "cell": "c"}], [{"baseline_loss": 10.0 + 1e-8}])
    assert len(merged(a, c)) == 2


def test_a_store_that_exists_is_never_overwritten(tmp_path: Path, capsys: Captured) -> None:
    a, b = (make_store(tmp_path / name, [{}]) for name in ("a.db", "b.db"))
    before = b.read_bytes()
    assert "must not exist yet" in refused(capsys, "merge", b, a)
    assert b.read_bytes() == before


def test_a_store_of_a_thousand_cells_is_merged_and_exported_whole(tmp_path: Path) -> None:
    with Store(tmp_path / "big.db", write=True) as store:
        store.add_all(make_record(cell=f"c{number}", seed=number) for number in range(1_000))
    assert len(merged(tmp_path / "big.db")) == 1_000
    assert call("export", "--store", "new.db", "--out", "cells.csv") == 0


def test_an_export_to_csv_has_every_column_and_digit(benchmark: Path, capsys: Captured) -> None:
    assert call("export", "--store", benchmark, "--out", "cells.csv") == 0
    cells = results.load(benchmark)
    assert capsys.readouterr().out == f"{len(cells)} cells in cells.csv\n"
    found = pd.read_csv("cells.csv")
    fields = {one.name for one in dataclasses.fields(results.Record)} - {
        "stages",
        "trace",
        "trace_work",
        "work_unit",
    }
    assert fields | set(cells) == set(found)
    assert found["loss"].equals(cells["loss"])
    assert json.loads(found["versions"][0])["numpy"] == "2.4.6"


def test_an_export_to_json_is_strict(tmp_path: Path) -> None:
    store = make_store(
        tmp_path / "s.db", [{"bound": float("-inf"), "budget_seconds": None, "loss": 0.1 + 0.2}]
    )
    assert call("export", "--store", store, "--out", "cells.json") == 0
    text = Path("cells.json").read_text(encoding="utf-8")
    (cell,) = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (cell["bound"], cell["budget_seconds"], cell["loss"]) == ("-inf", None, 0.1 + 0.2)
    assert (cell["timing_grade"], cell["seed"]) == (True, 0)


def test_a_copy_has_what_a_writer_beside_has_committed(tmp_path: Path, capsys: Captured) -> None:
    with Store(tmp_path / "s.db", write=True) as store:
        store.add(make_record(cell="a"))
        store.add(make_record(cell="b", trace=((0.5, 1.0),)))
        assert call("export", "--store", tmp_path / "s.db", "--out", "copy.db") == 0
    assert capsys.readouterr().out == "2 cells in copy.db\n"
    with Store("copy.db") as copied, Store(tmp_path / "s.db") as store:
        assert list(copied.records()) == list(store.records())
    assert "copy.db must not exist yet" in refused(capsys, "export", "--store", "s.db", "--out", "copy.db")


def test_parquet_without_pyarrow_is_refused_with_the_cure(
    benchmark: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "pyarrow" else real_find(name)
    )
    message = refused(capsys, "export", "--store", benchmark, "--out", "cells.parquet")
    assert "takes pyarrow, which is not installed: pip install pyarrow, or name a .csv" in message
    assert not (tmp_path / "cells.parquet").exists()


def test_parquet_holds_the_same_cells(benchmark: Path) -> None:
    pytest.importorskip("pyarrow")
    assert call("export", "--store", benchmark, "--out", "cells.parquet") == 0
    found = pd.read_parquet("cells.parquet")
    assert found["loss"].tolist() == pytest.approx(results.load(benchmark)["loss"].tolist(), nan_ok=True)
