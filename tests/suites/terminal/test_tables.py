from __future__ import annotations

import csv
import io
import json
import re
import sys

import pandas as pd
import pytest

from qubopress.suites.terminal import boards, tables

WIDE = pd.DataFrame(
    {
        "rank": [1, 2],
        "solver": ["nearest-plane(order=activation, damping=0.01)", "a|b [bold]x[/bold] :beer:"],
        "excess": [0.12345678, float("nan")],
        "wins": [3, 0],
        "low": [float("-inf"), 1e-9],
        "note": ["two\nlines", None],
        **{f"column-{i}": [i, 10 * i] for i in range(12)},
    }
)


def pretend_terminal(monkeypatch: pytest.MonkeyPatch, width: int = 80) -> None:
    """Stdout as a terminal of so many columns; rich gives a dumb one 80 always."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "dumb" if width == 80 else "xterm")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def lines(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


def test_a_pipe_gets_everything_on_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show(WIDE, title="all of it", keep=("rank", "solver"))
    out, err = capsys.readouterr()
    assert err == ""
    (row,) = [line for line in out.splitlines() if "nearest-plane" in line]
    assert "nearest-plane(order=activation, damping=0.01)" in row
    assert "0.1235" in row
    assert row.split()[-1] == "11"
    assert all(name in out for name in WIDE)
    assert all(line == line.rstrip() for line in out.splitlines())


def test_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show(WIDE)
    assert "a|b [bold]x[/bold] :beer:" in capsys.readouterr().out


def test_nothing_is_shown_as_a_dash_and_a_text_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show(WIDE[["excess", "note"]])
    out = capsys.readouterr().out
    assert "two lines" in out
    assert out.split()[-2:] == ["–", "–"]


def test_a_terminal_gets_the_columns_that_fit_and_a_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_terminal(monkeypatch)
    keep = ("solver", "excess", "column-7", "rank", "wins")
    tables.show(WIDE.assign(solver=["neal", "tabu"]), title="narrow", keep=keep, columns=())
    out, err = capsys.readouterr()
    assert max(map(len, lines(out))) <= 80
    assert re.match(
        r"left out for the terminal's width: column-11, .*; --columns chooses, --format csv has all$",
        " ".join(err.split()),
    )
    assert {name for name in WIDE if name not in err} <= set(out.split())
    assert set(keep) <= set(out.split())
    assert "low" in out
    assert "column-6" not in out


def test_a_command_without_columns_to_choose_does_not_speak_of_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_terminal(monkeypatch)
    tables.show(WIDE, keep=("solver", "excess"))
    err = " ".join(capsys.readouterr().err.split())
    assert err.endswith("; --format csv has all")
    assert "--columns" not in err


def test_a_terminal_folds_what_must_stay_and_cuts_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_terminal(monkeypatch)
    tables.show(pd.DataFrame({"a": ["x" * 100 + "end"], "b": ["y" * 100 + "end"]}))
    out = lines(capsys.readouterr().out)
    assert max(map(len, out)) <= 80
    text = "".join(out)
    assert (text.count("x"), text.count("y"), "…" in text) == (100, 100, False)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_prose_has_room_on_a_narrow_terminal_and_no_name_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    pretend_terminal(monkeypatch, width)
    said = "Which couplings of an analog generator to fabricate, for all segments at once"
    names, of = ["pruning-formulations", "gate"], "144 instances × 11 solvers"
    tables.show(pd.DataFrame({"name": names, "of": of, "what": said}))
    out = lines(capsys.readouterr().out)
    assert max(map(len, out)) <= width
    assert sum("pruning-formulations" in line for line in out) == 1
    assert len(out) <= {60: 14, 80: 10, 120: 8}[width]
    assert set(said.split()) | {*of.split()} <= set(" ".join(out).split())


def test_the_ends_of_an_interval_leave_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.DataFrame({name: [0.123456789] for name in ("verdict", "effect", "p", "low", "high")})
    for width in range(21, 60, 3):
        pretend_terminal(monkeypatch, width)
        tables.show(frame, keep=("verdict", "effect", "p", "low", "high"))
        out, err = capsys.readouterr()
        assert ("low" in out) == ("high" in out) != ("low" in err)


def test_the_leaderboard_of_a_bad_day_fits_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_terminal(monkeypatch)
    board = pd.DataFrame({name: [0.0123456] for name in (*boards.KEEP, "integral")})
    tables.show(board.assign(rank=1, solver="neal(num_reads=100000)"), keep=boards.KEEP)
    out, err = capsys.readouterr()
    assert max(map(len, lines(out))) <= 80
    for name in ("neal(num_reads=100000)", "0.01235", "imputed", "adapter"):
        assert name in out
    assert all(name in " ".join(err.split()) for name in ("integral", "95 %", "instances"))


def test_csv_is_what_pandas_reads(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show(WIDE, "csv")
    out = capsys.readouterr().out
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(out)), WIDE, check_dtype=False)
    assert next(csv.reader(io.StringIO(out))) == list(WIDE)


def test_json_is_strict(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show(WIDE.astype({"wins": "Int64"}), "json")

    def refuse(text: str) -> None:
        raise AssertionError(text)

    first, second = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert (first["rank"], first["excess"], first["low"], second["excess"]) == (1, 0.12345678, None, None)
    assert list(first) == list(WIDE)


def test_markdown_has_one_line_a_row_and_escaped_bars(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show(WIDE, "markdown")
    head, rule, *rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2
    assert rows[1].count("|") - rows[1].count("\\|") == head.count("|") == rule.count("|")
    assert rule.split("|")[1].strip() == "---:"
    assert "a\\|b" in rows[1]


def test_an_empty_table_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    for form in tables.FORMATS:
        tables.show(WIDE.iloc[:0], form)
    assert "solver" in capsys.readouterr().out
