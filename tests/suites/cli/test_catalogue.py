"""The list names everything, whoever reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import table_of
from warm import share_server

from qubopress import problems, solvers
from qubopress.suites import cli

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    share_server(monkeypatch)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("form", ["csv", "json", "markdown"])
def test_everything_registered_is_listed(capsys: Captured, form: str) -> None:
    assert cli.call(["list", "--format", form]) == 0
    found = table_of(capsys.readouterr().out, form)
    by_kind = {kind: set(rows["name"]) for kind, rows in found.groupby("kind")}
    assert by_kind["solver"] == set(solvers.names())
    assert by_kind["problem"] == set(problems.names())
    assert {"smoke", "rounding-bits"} <= by_kind["suite"]
    assert "digits-mlp" in by_kind["network"]
    assert found.notna().all(axis=None)


def test_the_list_in_a_pipe_is_not_truncated(capsys: Captured) -> None:
    assert cli.call(["list"]) == 0
    out = capsys.readouterr().out
    assert all(solvers.get(name).summary in out for name in solvers.names())
    assert max(map(len, out.splitlines())) > 120
