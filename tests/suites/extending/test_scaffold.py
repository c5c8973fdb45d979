"""What `qubopress new` writes works at once, is as short as promised, and is refused where it must be."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT
from warm import share_server

from qubopress import results
from qubopress.problems import InputError
from qubopress.suites import cli
from qubopress.suites.extending import scaffold

QUBOPRESS = [sys.executable, "-m", "qubopress.suites.cli"]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def called(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(one) for one in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lines_of_code(path: Path) -> int:
    """Lines without blanks, comments and docstrings."""
    source = path.read_text(encoding="utf-8")
    said: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.FunctionDef)) and ast.get_docstring(node):
            said |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = enumerate(source.splitlines(), start=1)
    return len([line for i, line in lines if i not in said and line.strip() and line.strip()[0] != "#"])


@pytest.mark.parametrize(("kind", "most"), [("solver", 14), ("problem", 25)])
def test_what_is_written_is_as_short_as_promised(tmp_path: Path, kind: str, most: int) -> None:
    file = scaffold.write(kind, "my-own", tmp_path).files[0]
    assert 5 < lines_of_code(file) <= most


def test_what_is_written_passes_our_linter_as_it_is(tmp_path: Path) -> None:
    for kind in scaffold.KINDS:
        scaffold.write(kind, f"my-{kind}", tmp_path)
    config = ROOT / "pyproject.toml"
    for check in (["format", "--check"], ["check"]):
        called(sys.executable, "-m", "ruff", *check, "--no-cache", "--config", config, tmp_path, cwd=tmp_path)


NARROWED = [("solver", ["--problem", "joint-fisher"]), ("problem", ["--solver", "swap"])]


@pytest.mark.parametrize(("kind", "narrowed"), NARROWED)
def test_what_is_written_is_on_the_board_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str, narrowed: list[str]
) -> None:
    share_server(monkeypatch)
    assert cli.call(["new", kind, "my-own"]) == 0
    last = capsys.readouterr().out.splitlines()[-1].split()[1:]
    assert cli.call([*last, "--seconds", "0.1", "--seeds", "1", *narrowed]) == 0
    assert "my-own" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "narrowed"), NARROWED)
def test_both_commands_that_are_printed_run_and_it_is_on_the_board(
    tmp_path: Path, kind: str, narrowed: list[str]
) -> None:
    out = called(*QUBOPRESS, "new", kind, "my-own", cwd=tmp_path)
    assert (tmp_path / "plugins" / "my_own.py").is_file()
    assert (tmp_path / "plugins" / "test_my_own.py").is_file()
    check, run = [line.split()[1:] for line in out.splitlines() if line.startswith("qubopress ")]
    assert check == ["check", "my-own", "--plugins", "plugins"]
    short = ["--seconds", "0.1", "--seeds", "1"]
    assert "FAILED" not in called(*QUBOPRESS, *check, cwd=tmp_path)
    board = called(*QUBOPRESS, *run, *short, *narrowed, cwd=tmp_path)
    cells = results.load(tmp_path / "results.db")
    assert set(cells["status"]) <= {"BUDGET", "FINISHED"}
    assert set(cells[kind]) == {"my-own"}
    assert "my-own" in board


@pytest.mark.slow
@pytest.mark.parametrize("kind", scaffold.KINDS)
def test_the_test_that_is_written_passes(tmp_path: Path, kind: str) -> None:
    scaffold.write(kind, "my-own", tmp_path)
    out = called(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path, cwd=tmp_path)
    assert "1 passed" in out


@pytest.mark.slow
def test_the_test_that_is_written_fails_for_a_solver_that_lies(tmp_path: Path) -> None:
    file, test = scaffold.write("solver", "my-own", tmp_path).files
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("run.offer(x)", "run.offer(x, -1e6)"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "claimed loss -1000000.0" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("solver Mine", "a name must be lower-case words joined by -, such as my-solver; got 'Mine'"),
        ("solver my_own", "a name must be lower-case words joined by -"),
        ("solver ../x", "a name must be lower-case words joined by -"),
        ("problem lambda", "a name must be no word that Python or the file needs itself, got 'lambda'"),
        ("solver range", "a name must be no word that Python or the file needs itself, got 'range'"),
        ("problem kept", "a name must be no word that Python or the file needs itself, got 'kept'"),
        ("solver tabu", "a solver named 'tabu' is registered already; choose another name"),
        ("problem tabu", "a solver named 'tabu' is registered already; choose another name"),
        ("solver taylor", "a problem named 'taylor' is registered already; choose another name"),
        ("suite mine", "new makes a solver or a problem, got 'suite'"),
        ("solver mine --folder here.txt", "--folder must be a folder, got the file here.txt"),
        ("solver there --folder .", "there.py is there already; choose another name or --folder"),
        ("solver", "Missing argument 'NAME'"),
    ],
)
def test_a_name_that_will_not_do_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    (tmp_path / "here.txt").touch()
    (tmp_path / "there.py").write_text("mine = 1\n", encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    assert cli.call(["new", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.py").read_text(encoding="utf-8") == "mine = 1\n"


def test_nothing_is_written_where_the_test_alone_is_there(tmp_path: Path) -> None:
    (tmp_path / "test_my_own.py").touch()
    with pytest.raises(InputError, match=r"test_my_own\.py is there already"):
        scaffold.write("solver", "my-own", tmp_path)
    assert not (tmp_path / "my_own.py").exists()
