"""A run with nothing left to do is told from what it was made of; anything else is measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from records import make_record as record

from qubopress.problems import cache
from qubopress.results import Store, StoreError
from qubopress.suites import finished
from qubopress.suites.finished import Note, made_of, note, remembered, settled

SUITE = 'seconds = 1.0\n[[problem]]\nname = "qubo"\nfile = "{file}"\n[[solver]]\nname = "tabu"\n'


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path) -> Iterator[None]:
    with cache.kept_in(tmp_path / "cache"):
        yield


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    instance = tmp_path / "one.coo"
    instance.write_text("0 0 1.0\n", encoding="utf-8")
    path = tmp_path / "own.toml"
    path.write_text(SUITE.format(file=instance), encoding="utf-8")
    return path


def test_the_same_call_is_made_of_the_same(suite: Path) -> None:
    assert made_of(suite, [], "sa", None) == made_of(suite, [], "sa", None) != ""


def test_other_options_files_or_contents_are_another_call(suite: Path, tmp_path: Path) -> None:
    found = {made_of(suite, [], "sa"), made_of(suite, [], "tabu"), made_of(suite, [str(suite)], "sa")}
    (tmp_path / "one.coo").write_text("0 0 2.0\n", encoding="utf-8")
    found.add(made_of(suite, [], "sa"))
    suite.write_text(suite.read_text(encoding="utf-8") + "seeds = 2", encoding="utf-8")
    found.add(made_of(suite, [], "sa"))
    assert len(found) == 5


def test_changed_code_or_another_package_is_another_call(
    suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {made_of(suite, [])}
    monkeypatch.setattr(finished, "_code", lambda: [("solvers/tabu.py", 10, 20)])
    found.add(made_of(suite, []))
    monkeypatch.setattr(finished, "_installed", lambda: ["numpy-9.dist-info"])
    found.add(made_of(suite, []))
    assert len(found) == 3


def test_where_strangers_code_takes_part_nothing_is_remembered(
    suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert made_of(suite, [str(suite.parent / "missing")]) == ""
    suite.write_text('[[solver]]\ncommand = "mine"', encoding="utf-8")
    assert made_of(suite, []) == ""
    monkeypatch.setattr(finished, "find_entry_points", lambda: ("one",))
    assert made_of(suite, []) == ""


def test_a_run_is_settled_where_every_cell_is_in_the_store(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    good, bad = record(cell="a" * 20), record(cell="b" * 20, status="CRASHED")
    with Store(path, write=True) as store:
        store.add(good)
        store.add(bad)
    note("k", Note("own", "", (good.cell,)))
    note("both", Note("own", "bits", (good.cell, bad.cell)))
    note("more", Note("own", "", (good.cell, "c" * 20)))
    assert settled("k", path) == Note("own", "", (good.cell,))
    assert settled("both", path) == remembered("both")
    assert settled("both", path, rerun_failed=True) is None
    assert settled("more", path) is None
    assert settled("k", tmp_path / "other.db") is None
    assert settled("unknown", path) is settled("", path) is None


def test_cells_of_a_settled_run_are_entered_at_its_commit(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Store(path, write=True) as store:
        store.add(record(cell="a"))
        store.add(record(cell="b"))
    finished.enter(Note("own", "", ("a",)), path, "later")
    with Store(path) as store:
        assert store.resumed() == {"later": ["a"]}


def test_where_the_store_cannot_be_written_nothing_is_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("read-only")

    path = tmp_path / "s.db"
    with Store(path, write=True) as store:
        store.add(record(cell="a"))
    monkeypatch.setattr(Store, "resume", refuse)
    finished.enter(Note("own", "", ("a",)), path, "later")
    with Store(path) as store:
        assert store.resumed() == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": 1}', '{"name": "a", "by": "", "cells": 3}'])
def test_a_damaged_note_is_none(text: str, tmp_path: Path) -> None:
    note("k", Note("own", "", ("a",)))
    (tmp_path / "cache" / "finished" / "k.json").write_text(text, encoding="utf-8")
    assert remembered("k") is None
