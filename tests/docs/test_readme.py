"""The README's code is taken from its text and run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

from qubopress import results

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def block_with(language: str, text: str) -> str:
    (found,) = [block for block in blocks(language) if text in block]
    return found


def command(text: str) -> list[str]:
    """The indented command line that begins so."""
    (line,) = re.findall(rf"^    (qubopress {re.escape(text)}.*)$", README, flags=re.MULTILINE)
    return [sys.executable, "-m", "qubopress.suites.cli", *line.split()[1:]]


def lines_of(code: str) -> int:
    return len([line for line in code.splitlines() if line.strip()])


@pytest.mark.parametrize("code", [block for block in blocks("python") if "@" not in block])
def test_every_example_runs(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, object] = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), namespace)
    assert "qubopress" in code
    if "print" in code:
        assert "nearest-plane" in capsys.readouterr().out


def test_the_examples_are_as_short_as_promised() -> None:
    assert lines_of(block_with("python", "@solvers.solver")) <= 14
    assert lines_of(block_with("python", "@problems.problem")) <= 25


def test_the_readmes_solver_and_formulation_reach_the_leaderboard(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "descent.py").write_text(block_with("python", "@solvers.solver"), encoding="utf-8")
    (folder / "filters.py").write_text(block_with("python", "@problems.problem"), encoding="utf-8")
    (folder / "filters.toml").write_text(block_with("toml", "unlike-filters"), encoding="utf-8")
    short = ["--seconds", "0.1", "--seeds", "1", "--store", "mine.db"]
    own = [*command("run smoke --plugins mine"), "--solver", "first-improvement"]
    for call in (own, command("run mine/filters.toml")):
        done = subprocess.run([*call, *short], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    cells = results.load(tmp_path / "mine.db")
    own = cells[cells["solver"] == "first-improvement"]
    assert set(own["status"]) <= {"BUDGET", "FINISHED"}
    assert len(own) >= 5
    filters = cells[cells["problem"] == "unlike-filters"]
    assert set(filters["solver"]) == {"swap", "exhaustive", "neal"}
    assert filters["metric"].notna().all()


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_readmes_executable_ranks_as_written_in_ten_lines_at_most(tmp_path: Path) -> None:
    folder, suite = tmp_path / "mine", block_with("toml", "command =")
    folder.mkdir()
    page = (ROOT / "docs" / "tutorials" / "solver.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```c(?: [^\n]*)?\n(.*?)```", page, flags=re.DOTALL)
    (folder / "descent.c").write_text(program, encoding="utf-8")
    subprocess.run(["cc", "-O2", "-o", "mine/descent", "mine/descent.c"], cwd=tmp_path, check=True)
    (folder / "board.toml").write_text(suite, encoding="utf-8")
    assert lines_of(suite) <= 10
    call = [*command("run mine/board.toml"), "--seconds", "0.2", "--store", "mine.db"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    board = results.leaderboard(tmp_path / "mine.db")
    assert {"descent", "tabu"} <= set(board["solver"])


def test_both_commands_stand_on_the_first_screen() -> None:
    first = README.splitlines()[:24]
    assert any(line.strip().startswith("make leaderboard") for line in first)
    assert any(line.strip().startswith("make test") for line in first)
