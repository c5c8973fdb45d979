"""A leaderboard fits a terminal, and names what it leaves out."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from records import make_benchmark

from qubopress.suites import cli

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_benchmark(tmp_path_factory.mktemp("benchmark") / "paper.db", seeds=2)


def test_a_leaderboard_fits_a_terminal(
    benchmark: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    for extra in ([], ["--by", "bits"]):
        assert cli.call(["leaderboard", "--store", str(benchmark), *extra]) == 0
        out, err = capsys.readouterr()
        plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
        assert max(map(len, plain.splitlines())) <= 80
        assert "neal(num_reads=100)" in plain
        assert "left out for the terminal's width" in err
