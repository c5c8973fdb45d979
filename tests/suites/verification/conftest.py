"""A small measured store that a contribution could be, as each test of this folder takes it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from warm import clean_registries, share_server, write_suite

from qubopress import suites

SUITE = """
seconds = 5
restarts = 1

[[problem]]
name = "taylor"
network = "digits-cnn"

[[solver]]
name = ["swap", "random", "exhaustive"]
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    with clean_registries(), pytest.MonkeyPatch.context() as patch:
        share_server(patch)
        suites.run(write_suite(folder, SUITE), store=folder / "r.db")
    # As a release has it: a working copy may have changes, which no contribution may.
    with sqlite3.connect(folder / "r.db") as db:
        db.execute("UPDATE cell SET \"commit\" = 'v0.1.0'")
    db.close()
    return folder / "r.db"


@pytest.fixture
def store(measured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(measured, tmp_path / "mine.db"))
