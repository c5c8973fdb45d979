"""The commands on stored cells: ranking at a time, correlating, comparing, references, merging, exporting."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from calls import call, refused, table_of
from records import make_store

from qubopress.suites import cli

Captured = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("here")


PROGRAMS = pytest.mark.parametrize("form", ["csv", "json", "markdown"])


# ---- calls that are wrong


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("leaderboard --store a.db --at-seconds 0", "at_seconds must be positive, got 0"),
        ("leaderboard --store a.db --at-seconds nan", "at_seconds must be positive, got nan"),
        ("leaderboard --store a.db --at-seconds inf", "at_seconds must be positive, got inf"),
        ("leaderboard --store a.db --at-seconds soon", "Invalid value for '--at-seconds'"),
        ("leaderboard --store a.db --by bits --correlation", "--by and --correlation exclude each other"),
        (
            "leaderboard --store a.db --at-seconds 1 --correlation",
            "--at-seconds and --correlation exclude each other, got both; leave one out",
        ),
        ("compare a.db", "Missing argument 'HEAD'"),
        ("compare a.db none.db", "none.db must be an existing store"),
        ("compare none.db a.db", "none.db must be an existing store"),
        ("compare a.db text.db", "text.db must be a sound, accessible store"),
        ("compare a.db a.db --format xml", "--format must be one of"),
        (
            "compare 0123 ffff --store a.db",
            "a.db must hold exactly one commit 'ffff', got 0; it holds 0123abc",
        ),
        ("references --format xml", "--format must be one of"),
        ("references --registry none.json", "none.json must be a registry that can be read"),
        ("references --registry text.db", "text.db must be a sound registry; restore it"),
        ("references update --store none.db", "none.db must be an existing store"),
        ("references update --store a.db --registry none.json", "none.json must be a registry that can be"),
        ("references update --store a.db --plugins none", "no plug-in folder at"),
        ("references upgrade", "No such command 'upgrade'"),
        ("merge new.db", "Missing argument 'IN...'"),
        ("merge a.db b.db", "a.db must not exist yet, a merge overwrites nothing; name another file"),
        ("merge new.db none.db", "none.db must be an existing store"),
        ("merge new.db text.db", "text.db must be a sound, accessible store"),
        ("merge none/new.db a.db", "none/new.db must lie in a folder that exists; create none first"),
        ("export --store a.db", "Missing option '--out'"),
        ("export --store a.db --out cells.xls", "cells.xls must end in .csv, .parquet, .json, .db"),
        ("export --store none.db --out cells.csv", "none.db must be an existing store"),
        ("export --store a.db --out none/cells.csv", "none/cells.csv must be a file in a folder that exists"),
    ],
)
def test_a_call_that_is_wrong_ends_in_one_line_and_writes_nothing(
    tmp_path: Path, capsys: Captured, line: str, message: str
) -> None:
    for name in ("a.db", "b.db"):
        make_store(tmp_path / name, [{}])
    (tmp_path / "text.db").write_text("no database " * 100, encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    assert message in refused(capsys, *line.split())
    assert sorted(tmp_path.iterdir()) == before


def test_the_commands_are_where_they_are_looked_for(capsys: Captured) -> None:
    for name in ("leaderboard", "compare", "merge", "export", "references"):
        assert call(name, "--help") == 0
        assert re.match(rf"\s*Usage: .* {name} ", capsys.readouterr().out)


# ---- leaderboard


@PROGRAMS
def test_a_board_at_a_shorter_budget_marks_those_whose_schedule_depends_on_it(
    tmp_path: Path, capsys: Captured, form: str
) -> None:
    cells = [{"solver": "tabu"}, {"solver": "neal", "anytime": False, "loss": 1.0}]
    store = make_store(tmp_path / "s.db", cells)
    assert call("leaderboard", "--store", store, "--at-seconds", "0.1", "--format", form) == 0
    board = table_of(capsys.readouterr().out, form)
    assert list(board["solver"]) == ["tabu", "do nothing", "neal"]
    assert board["why not" if form == "markdown" else "cut"][2] == "marked: schedule depends on the budget"
    # The incumbent of 0.01 s has loss 5; the reference is 1, the baseline 10.
    assert float(board["excess"][0]) == pytest.approx(4 / 9, rel=1e-3)


def test_a_person_reads_the_mark_too(tmp_path: Path, capsys: Captured) -> None:
    cells = [{"solver": "tabu"}, {"solver": "neal", "anytime": False}]
    store = make_store(tmp_path / "s.db", cells)
    assert call("leaderboard", "--store", store, "--at-seconds", "0.1") == 0
    out = capsys.readouterr().out
    assert re.search(r"^ +1 +tabu ", out, flags=re.MULTILINE)
    assert re.search(r"^ +– +neal .*marked: schedule depends on the budget$", out, flags=re.MULTILINE)


def test_a_board_on_which_all_are_marked_is_still_a_board(tmp_path: Path, capsys: Captured) -> None:
    store = make_store(
        tmp_path / "s.db", [{"solver": "neal", "anytime": False}, {"solver": "beam", "budget_seconds": 0.2}]
    )
    assert call("leaderboard", "--store", store, "--at-seconds", "0.5") == 0
    out = capsys.readouterr().out
    assert "marked: schedule depends on the budget" in out
    assert "marked: ran for less" in out


def test_a_cut_past_every_budget_is_refused(tmp_path: Path, capsys: Captured) -> None:
    store = make_store(tmp_path / "s.db", [{"solver": "neal"}, {"solver": "beam"}])
    line = refused(capsys, "leaderboard", "--store", store, "--at-seconds", "5")
    assert "at_seconds must be at most the longest budget, 1 s, got 5; run for longer first" in line


def test_suites_and_families_are_no_rivals_unless_asked_for(tmp_path: Path, capsys: Captured) -> None:
    infos = [{}, {"key": "key-2", "family": "pruning"}]
    cells = [
        {"suite": "one"},
        {"suite": "two"},
        {"suite": "one", "instance_key": "key-2", "family": "pruning"},
    ]
    store = make_store(tmp_path / "s.db", cells, infos)
    assert call("leaderboard", "--store", store) == 0
    titles = re.findall("^.* · .*?(?=: solvers)", capsys.readouterr().out, flags=re.MULTILINE)
    assert titles == ["one · pruning", "one · rounding", "two · rounding"]
    assert call("leaderboard", "--store", store, "--format", "csv") == 0
    board = table_of(capsys.readouterr().out, "csv")
    assert list(board.columns[:2]) == ["suite", "family"]
    assert len(board) == 6
    assert call("leaderboard", "--store", store, "--all", "--columns", "solver,instances") == 0
    out = capsys.readouterr().out
    assert re.search(r"^ sa +2$", out, flags=re.MULTILINE)
    assert "rank" not in out


def test_columns_that_a_table_does_not_have_are_refused(tmp_path: Path, capsys: Captured) -> None:
    store = make_store(tmp_path / "s.db", [{}])
    line = refused(
        capsys, "leaderboard", "--store", store, "--all", "--columns", "solver", "--columns", "luck"
    )
    assert "--columns must name columns of the table, got 'luck'; it has: rank, solver, excess" in line


@pytest.mark.parametrize("form", ["table", "csv", "json", "markdown"])
def test_correlations_come_in_every_format(benchmark: Path, capsys: Captured, form: str) -> None:
    assert call("leaderboard", "--store", benchmark, "--correlation", "--format", form) == 0
    out, err = capsys.readouterr()
    assert err == ""
    if form == "table":
        assert "Spearman's ρ of loss and harm to the metric" in out
        assert all(family in out for family in ("analog", "pruning", "rounding"))
    else:
        found = table_of(out, form)
        assert {"analog", "pruning", "rounding"} == set(found["family"])
        assert (found["rho"].astype(float) > 0.5).all()


def test_too_little_to_correlate_exits_3(tmp_path: Path, capsys: Captured) -> None:
    store = make_store(tmp_path / "s.db", [{}])
    assert call("leaderboard", "--store", store, "--correlation") == 3
    assert "an instance with a metric and 3 different solutions" in capsys.readouterr().err


# ---- compare


def two_sides(folder: Path, worse: float) -> tuple[Path, Path]:
    """Two stores of eight seeds, the second's losses higher by `worse`."""
    cells = [{"seed": seed, "loss": 2.0 + seed / 10, "trace": ()} for seed in range(8)]
    base = make_store(folder / "base.db", cells)
    later = [{**cell, "loss": cell["loss"] + worse, "commit": "fedc987"} for cell in cells]
    return base, make_store(folder / "head.db", later)


def test_a_store_compared_with_itself_exits_0(benchmark: Path, capsys: Captured) -> None:
    assert call("compare", benchmark, benchmark) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "pairs of cells" in out


def test_a_regression_exits_1_and_names_solver_family_and_instance(tmp_path: Path, capsys: Captured) -> None:
    assert call("compare", *two_sides(tmp_path, 4.0), "--format", "csv") == 1
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert line.startswith("qubopress: regression of sa in rounding: quality +0.5")
    assert line.endswith("of excess, most on mlp int4")
    rows = table_of(out, "csv").set_index("measure")
    assert rows.loc["quality", "verdict"] == "worse"
    assert rows.loc["time", "verdict"] == "same"


def test_an_improvement_exits_0(tmp_path: Path, capsys: Captured) -> None:
    base, head = two_sides(tmp_path, 4.0)
    assert call("compare", head, base) == 0
    assert capsys.readouterr().err == ""


def test_slower_cells_are_told_as_a_factor(tmp_path: Path, capsys: Captured) -> None:
    cells: list[dict[str, Any]] = [{"seed": seed, "seconds": 1.0} for seed in range(8)]
    base = make_store(tmp_path / "base.db", cells)
    head = make_store(tmp_path / "head.db", [{**cell, "seconds": 3.0} for cell in cells])
    assert call("compare", base, head) == 1
    assert "qubopress: regression of sa in rounding: time ×3" in capsys.readouterr().err


def test_nothing_in_common_exits_3(tmp_path: Path, capsys: Captured) -> None:
    base = make_store(tmp_path / "base.db", [{}])
    head = make_store(tmp_path / "head.db", [{"seed": 1}])
    assert call("compare", base, head) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(r"no cell of \S+base\.db has its like in \S+head\.db: instance, solver", line)
    assert call("compare", base, base, "--family", "pruning") == 3


def test_two_commits_of_one_store_are_compared_by_their_beginnings(tmp_path: Path, capsys: Captured) -> None:
    assert call("merge", "both.db", *two_sides(tmp_path, 4.0)) == 0
    assert call("compare", "0123", "fedc", "--store", "both.db") == 1
    assert "regression of sa" in capsys.readouterr().err
    assert call("compare", "fedc", "0123", "--store", "both.db") == 0


def test_markdown_is_a_comment_for_a_pull_request(tmp_path: Path, capsys: Captured) -> None:
    assert call("compare", *two_sides(tmp_path, 4.0), "--format", "markdown") == 1
    out = capsys.readouterr().out
    assert out.startswith("### `")
    assert "| **worse** | `sa` | `rounding` |" in out
    assert out.endswith("Lower is better.\n")


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_comparison_can_be_read_by_programs(benchmark: Path, capsys: Captured, form: str) -> None:
    assert call("compare", benchmark, benchmark, "--format", form) == 0
    rows = table_of(capsys.readouterr().out, form)
    assert set(rows["verdict"]) <= {"same", "unclear", "unpaired"}
    assert {"solver", "family", "measure", "effect", "low", "high", "p", "pairs"} <= set(rows)


@pytest.mark.parametrize("form", ["csv", "json", "markdown"])
def test_the_columns_of_a_comparison_can_be_chosen(benchmark: Path, capsys: Captured, form: str) -> None:
    assert call("compare", benchmark, benchmark, "--columns", "p,solver", "--format", form) == 0
    assert list(table_of(capsys.readouterr().out, form)) == ["p", "solver"]


@pytest.mark.parametrize("form", ["csv", "json", "markdown"])
def test_a_leaderboard_can_be_read_by_programs(benchmark: Path, capsys: Captured, form: str) -> None:
    assert cli.call(["leaderboard", "--store", str(benchmark), "--format", form]) == 0
    board = table_of(capsys.readouterr().out, form)
    assert dict(board["family"].value_counts()) == {"analog": 12, "pruning": 12, "rounding": 12}
    for _, own in board.groupby("family"):
        assert own["solver"].iloc[0] == "beam"
        assert own["rank"].astype(int).is_monotonic_increasing
        assert "do nothing" in set(own["solver"])


def test_a_leaderboard_in_a_pipe_is_whole(benchmark: Path, capsys: Captured) -> None:
    assert cli.call(["leaderboard", "--store", str(benchmark)]) == 0
    out, err = capsys.readouterr()
    assert err.count("excess is relative to the best of this store alone") == 3
    assert all(name in out for name in ("95 %", "imputed", " INFEASIBLE", "neal(num_reads=100)"))


def test_a_leaderboard_by_a_parameter_or_of_a_family(benchmark: Path, capsys: Captured) -> None:
    assert cli.call(["leaderboard", "--store", str(benchmark), "--by", "bits", "--format", "csv"]) == 0
    assert {2, 3, 4} == set(table_of(capsys.readouterr().out, "csv")["bits"])
    assert cli.call(["leaderboard", "--store", str(benchmark), "--family", "analog", "--format", "csv"]) == 0
    assert (table_of(capsys.readouterr().out, "csv")["instances"] == 1).all()


@pytest.mark.parametrize("command", ["leaderboard", "report"])
def test_what_matches_nothing_exits_3(benchmark: Path, capsys: Captured, command: str) -> None:
    assert cli.call([command, "--store", str(benchmark), "--suite", "none"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "matches; see `qubopress leaderboard --store" in err


def test_an_empty_store_exits_3(tmp_path: Path, capsys: Captured) -> None:
    path = make_store(tmp_path / "empty.db", [])
    for command in ("leaderboard", "report", "verify"):
        assert cli.call([command, "--store", str(path)]) == 3
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_report_is_written(benchmark: Path, tmp_path: Path, capsys: Captured) -> None:
    assert cli.call(["report", "--store", str(benchmark), "--out", "page.html"]) == 0
    assert str(tmp_path / "page.html") in capsys.readouterr().out
    assert (tmp_path / "page.html").stat().st_size > 10_000
