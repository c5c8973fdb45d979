"""A folder of its own for calls, and a store that many commands read."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import EMPTY
from records import make_benchmark


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty registry in the folder of the test, which is the working one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "registry.json").write_text(EMPTY, encoding="utf-8")


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_benchmark(tmp_path_factory.mktemp("benchmark") / "paper.db", seeds=2)
