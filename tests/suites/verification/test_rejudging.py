"""Published rows and references are recomputed from their bits."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from qubopress.results import Store, load_references
from qubopress.results.storage import rows as row_files
from qubopress.suites import cli
from qubopress.suites.verification import rejudging, stored_numbers

Captured = pytest.CaptureFixture[str]


def changed(rows: Path, change: Any) -> None:
    """The rows with what `change` does to the list of their lines."""
    lines = rows.read_text(encoding="utf-8").splitlines()
    rows.write_text("\n".join(change(lines)), encoding="utf-8")


def registry_of(folder: Path, **changes: Any) -> Path:
    """Our registry's reference of a random QUBO alone, changed."""
    name = "random-qubo/seed=7"
    (kept,) = [one for one in load_references().instances.values() if one.name == name]
    content = json.loads(dataclasses.replace(kept, **changes).to_json())
    path = folder / "registry.json"
    path.write_text(json.dumps({"version": 1, "date": "2026-11-22", "instances": [content]}))
    return path


def rejudge(folder: Path, registry: Path) -> int:
    return cli.call(["rejudge", "--data", str(folder), "--registry", str(registry)])


def test_published_rows_and_references_are_recomputed(store: Path, tmp_path: Path, capsys: Captured) -> None:
    rows, registry = tmp_path / "rows.jsonl", registry_of(tmp_path)
    row_files.write_rows(store, rows)
    assert rejudging.expected(tmp_path, registry) == 4
    assert rejudge(tmp_path, registry) == 0
    assert "4 of 4 rows" in capsys.readouterr().out
    changed(rows, lambda lines: [line.replace('"metric":0.', '"metric":0.1') for line in lines])
    assert rejudge(tmp_path, registry) == 1
    assert "false: rows.jsonl: random on taylor/digits-cnn, seed 0: " in capsys.readouterr().out


def test_the_same_bits_of_an_instance_are_replayed_once(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replayed = list[str]()
    once = stored_numbers._recompute

    def counted(record: Any, *rest: Any) -> Any:
        replayed.append(record.cell)
        return once(record, *rest)

    monkeypatch.setattr(stored_numbers, "_recompute", counted)
    with Store(store) as records:
        first, *_ = records.records()
        judge = stored_numbers.Judge(records.instances(), tmp_path)
    again = dataclasses.replace(first, loss=(first.loss or 0.0) + 1.0, trace=(), trace_work=())
    assert judge(first) is None
    assert "stored loss is" in str(judge(again))
    assert replayed == [first.cell]


def test_a_reference_that_its_bits_do_not_have_is_false(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "data").mkdir()
    assert rejudge(tmp_path / "data", registry_of(tmp_path, value=-1e6)) == 1
    assert "its value is -1000000, the bits have " in capsys.readouterr().out
    assert rejudge(tmp_path / "data", registry_of(tmp_path, key="another")) == 3
    assert "cannot check: reference: random-qubo" in capsys.readouterr().out
