"""A run measures, resumes, narrows and says how it ended."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from calls import refused, table_of
from records import make_store
from warm import records, share_server, write_suite

from qubopress.suites import cli
from qubopress.suites.cli.checks import bytes_of
from qubopress.suites.harness import suite_run

SUITE = """
description = "Two of each"
seconds = 5
restarts = 1

[[problem]]
name = "adaround"
network = "digits-mlp"
bits = [2, 3]

[[solver]]
name = ["round-to-nearest", "nearest-plane"]
"""


Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    share_server(monkeypatch)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bits = [2, 3]", "bits = 0", "suite own: adaround/digits-mlp/bits=0: bits must"),
        ("bits = [2, 3]", "calibration = 0", "calibration must be an integer of at least 1, got 0"),
        ("bits = [2, 3]", "calibration = 100000", "calibration must be an integer in [1, 648], got 100000"),
        ("seconds = 5", "seconds = -1", "suite own.toml: seconds must be positive, got -1"),
        ('"round-to-nearest"', '"round-to-neerest"', "did you mean 'round-to-nearest'?"),
        ("restarts = 1", "restart = 1", "unknown key 'restart'"),
    ],
)
def test_a_suite_that_is_wrong_ends_in_one_line(
    tmp_path: Path, capsys: Captured, old: str, new: str, message: str
) -> None:
    write_suite(tmp_path, SUITE.replace(old, new))
    assert message in refused(capsys, "run", "own.toml")


def test_a_store_that_cannot_be_written_is_refused(tmp_path: Path, capsys: Captured) -> None:
    path = make_store(tmp_path / "mine.db", [{}])
    path.chmod(0o444)
    if os.access(path, os.W_OK):
        # Root may write everywhere but into what is no file.
        assert "must" in refused(capsys, "run", "smoke", "--store", "/dev/full")
    else:
        assert "make the file writable" in refused(capsys, "run", "smoke", "--store", path)


@pytest.mark.parametrize("form", ["table", "csv", "json", "markdown"])
def test_a_run_ends_in_its_leaderboard(tmp_path: Path, capsys: Captured, form: str) -> None:
    write_suite(tmp_path, SUITE)
    assert cli.call(["run", "own.toml", "--store", "r.db", "--jobs", "2", "--format", form]) == 0
    out, err = capsys.readouterr()
    assert "4 cells measured (4 FINISHED), 0 resumed, in r.db" in err
    if form == "table":
        assert re.search(r"own · rounding: solvers by normalised excess \(0 best known, 1 baseline\)", out)
        assert re.search(r"^ +1 +nearest-plane ", out, flags=re.MULTILINE)
    else:
        board = table_of(out, form)
        assert list(board["solver"]) == ["nearest-plane", "do nothing", "round-to-nearest"]
    assert len(records(tmp_path / "r.db")) == 4


def test_a_second_run_resumes_and_shows_the_same(tmp_path: Path, capsys: Captured) -> None:
    write_suite(tmp_path, SUITE)
    call = ["run", "own.toml", "--format", "csv"]
    assert cli.call(call) == 0
    first = capsys.readouterr()
    assert cli.call(call) == 0
    second = capsys.readouterr()
    assert second.out == first.out
    assert "0 cells measured, 4 resumed" in second.err
    assert "0 cells measured, 4 resumed, in results.db" in second.err


def test_options_narrow_a_run(tmp_path: Path, capsys: Captured) -> None:
    write_suite(tmp_path, SUITE)
    options = ["--problem", "*/bits=2", "--solver", "one-flip", "--seconds", "4", "--seeds", "2"]
    assert cli.call(["run", "own.toml", *options, "--memory", "8G", "--format", "json"]) == 0
    assert [row["solver"] for row in json.loads(capsys.readouterr().out)] == ["one-flip", "do nothing"]
    kept = records(tmp_path / "results.db")
    assert [(one.instance, one.budget_seconds, one.seed) for one in kept] == [
        ("adaround/digits-mlp/bits=2", 4.0, 0),
        ("adaround/digits-mlp/bits=2", 4.0, 1),
    ]


def test_a_suite_by_a_parameter_shows_its_table(tmp_path: Path, capsys: Captured) -> None:
    write_suite(tmp_path, 'by = "bits"\n' + SUITE)
    assert cli.call(["run", "own.toml", "--format", "csv"]) == 0
    table = table_of(capsys.readouterr().out, "csv")
    assert sorted(set(table["bits"])) == [2, 3]
    assert cli.call(["run", "own.toml"]) == 0
    out = capsys.readouterr().out
    assert "own: by bits" in out
    assert "own · rounding: solvers by normalised excess" in out


def test_a_run_that_measures_nothing_says_why(tmp_path: Path, capsys: Captured) -> None:
    write_suite(tmp_path, SUITE)
    assert cli.call(["run", "own.toml", "--solver", "swap"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "qubopress: nothing was measured: no solver of the suite takes its problems\n"


def test_an_interrupt_says_how_to_go_on(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qubopress.suites.terminal import progress

    write_suite(tmp_path, SUITE)
    real = progress.TerminalProgress.finished

    def finished(self: progress.TerminalProgress, record: object) -> None:
        real(self, record)  # type: ignore[arg-type]
        if self.done == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(progress.TerminalProgress, "finished", finished)
    assert cli.call(["run", "own.toml"]) == 130
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == "qubopress: interrupted; 2 of 4 cells are in results.db, run the same command to go on"
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    share_server(monkeypatch)
    assert cli.call(["run", "own.toml"]) == 0
    assert "2 cells measured (2 FINISHED), 2 resumed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 512 << 20), ("4G", 4 << 30), ("1.5GiB", 3 << 29), ("100kb", 102_400), ("7", 7)],
)
def test_sizes_are_read_in_powers_of_1024(text: str, size: int) -> None:
    assert bytes_of("--memory", text) == size


def test_a_run_with_nothing_left_builds_no_instance(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUBOPRESS_CACHE", str(tmp_path / "cache"))
    write_suite(tmp_path, SUITE)
    assert cli.call(["run", "own.toml"]) == 0
    first = capsys.readouterr()
    monkeypatch.setattr(suite_run, "run", lambda *_, **__: pytest.fail("it was measured again"))
    assert cli.call(["run", "own.toml"]) == 0
    again = capsys.readouterr()
    assert again.out == first.out
    assert "0 cells measured, 4 resumed" in again.err


def test_a_run_of_other_options_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUBOPRESS_CACHE", str(tmp_path / "cache"))
    write_suite(tmp_path, SUITE)
    assert cli.call(["run", "own.toml", "--problem", "*bits=2*"]) == 0
    assert cli.call(["run", "own.toml"]) == 0
    assert len(records(tmp_path / "results.db")) == 4
