"""Commands that recompute refuse a wrong call, and say when there was nothing to check."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from records import make_store

from qubopress.suites import cli

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "mine.db", [{}])


def submit(*arguments: object) -> int:
    return cli.call(["submit-check", *map(str, arguments)])


def test_a_call_that_is_wrong_ends_in_one_line(store: Path, tmp_path: Path, capsys: Captured) -> None:
    assert submit(tmp_path / "none.jsonl") == 2
    assert submit(store, "--publish", tmp_path / "rows.csv") == 2
    assert cli.call(["rejudge", "--data", str(tmp_path / "none")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_store_without_results_has_nothing_to_verify(store: Path, capsys: Captured) -> None:
    with sqlite3.connect(store) as db:
        db.execute("DELETE FROM cell")
    db.close()
    assert cli.call(["verify", "--store", str(store)]) == 3
    assert "claims a result" in capsys.readouterr().err
