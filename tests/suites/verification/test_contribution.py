"""Contributed and published rows: believed only with their provenance, and with what their bits have."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from warm import records

from qubopress.results import Store
from qubopress.results.storage import rows as row_files
from qubopress.suites import cli
from qubopress.suites.verification import contribution

Captured = pytest.CaptureFixture[str]


def edit(store: Path, assignment: str) -> None:
    """Change the random row."""
    with sqlite3.connect(store) as db:
        assert db.execute(f"UPDATE cell SET {assignment} WHERE solver = 'random'").rowcount == 1
    db.close()


def submit(*arguments: object) -> int:
    return cli.call(["submit-check", *map(str, arguments)])


def test_an_honest_store_passes_and_is_published_as_text_that_passes(
    store: Path, tmp_path: Path, capsys: Captured
) -> None:
    rows = tmp_path / "rows.jsonl"
    assert submit(store, "--publish", rows) == 0
    assert "3 of 3 rows" in capsys.readouterr().out
    assert submit(rows) == 0
    with row_files.as_store(rows) as back:
        assert sorted(records(back), key=lambda one: one.cell) == sorted(
            records(store), key=lambda one: one.cell
        )
        with Store(back) as one, Store(store) as other:
            assert one.instances() == other.instances()


@pytest.mark.parametrize(
    ("assignment", "reason"),
    [
        ("\"commit\" = '0123456789ab+'", "its commit 0123456789ab+ had changes of its own"),
        ("\"commit\" = ''", "its commit must be a hash or a version of ours, got ''"),
        ("machine = ' '", "its machine must be named"),
        ("versions = json_remove(versions, '$.numpy', '$.torch')", "they lack numpy, torch"),
        ("budget_seconds = NULL, restarts = NULL", "it must have had a budget or fixed work"),
        ("finished_at = '2999-01-01T00:00:00+00:00'", "it must have finished by now"),
        ("loss = loss - 1", "stored trace ends at|stored loss is"),
        ("metric = 1", "stored accuracy is 1.0"),
    ],
)
def test_a_row_without_provenance_or_with_another_loss_is_false_and_named(
    store: Path, tmp_path: Path, capsys: Captured, assignment: str, reason: str
) -> None:
    edit(store, assignment)
    assert submit(store, "--publish", tmp_path / "rows.jsonl") == 1
    out = capsys.readouterr().out
    assert any(text in out for text in reason.split("|")), out
    assert "(random on taylor/digits-cnn, seed 0)" in out
    assert "2 of 3 rows" in out
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_commit_that_nobody_has_here_cannot_be_checked(
    store: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(contribution, "ROOT", tmp_path)
    edit(store, "\"commit\" = '0123456789ab'")
    assert submit(store) == 3
    assert "cannot check: " in capsys.readouterr().out


def changed(rows: Path, change: Any) -> None:
    """The rows with what `change` does to the list of their lines."""
    lines = rows.read_text(encoding="utf-8").splitlines()
    rows.write_text("\n".join(change(lines)), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [*lines, "{"], "line 5 must be"),
        (lambda lines: [*lines, '{"cell": {}}'], "line 5 must be"),
        (lambda lines: [*lines, "[1]"], "line 5 must be"),
        (lambda lines: [*lines, '{"record": {"cell": "x"}}'], "line 5: Record must hold exactly its own"),
        (lambda lines: [*lines, lines[-1]], "must hold each cell once"),
        (lambda lines: [line.replace('"seed":0', '"seed":"0"') for line in lines], "seed must be an integer"),
    ],
)
def test_rows_of_another_schema_are_refused_with_their_line(
    store: Path, tmp_path: Path, capsys: Captured, change: Any, message: str
) -> None:
    rows = tmp_path / "rows.jsonl"
    assert row_files.write_rows(store, rows) == 3
    changed(rows, change)
    assert submit(rows) == 2
    assert message in capsys.readouterr().err
