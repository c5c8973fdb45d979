"""The scripts of findings/ are outside CI; that they could run, and that their list is whole, is not."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from repository import ROOT

FOLDER = ROOT / "findings"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
README = (FOLDER / "README.md").read_text("utf-8")
ROWS = re.findall(r"^\| \[(.+?)\]\((.+?)\) \| (.+?) \| .+ \|$", README, re.MULTILINE)


def named(path: Path) -> str:
    return path.stem


def parts(script: Path) -> tuple[str, str]:
    """The comment at its head as one line, and what is run."""
    lines = script.read_text("utf-8").splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    return " ".join(line.strip("# ") for line in lines[1:end]), "\n".join(lines[end:])


def test_the_readme_lists_each_script_once() -> None:
    assert sorted(row[:2] for row in ROWS) == [(path.stem, path.name) for path in SCRIPTS]


def test_make_runs_one_script_by_its_name() -> None:
    dry = ["make", "-n", "findings", f"NAME={SCRIPTS[-1].stem}"]
    told = subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"findings/{SCRIPTS[-1].name}" in told


@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_a_script_is_valid_shell_and_its_python_compiles(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    (program,) = re.findall(r"<<'PY'\n(.*?)^PY$", script.read_text("utf-8"), re.S | re.M)
    compile(program, script.name, "exec")


@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_a_head_has_the_guess_and_the_exit_codes(script: Path) -> None:
    head, _ = parts(script)
    assert re.search(r"Guess before: .+ Outcome: missed\.", head)
    assert head.count("Exits 0 while this holds, 1 when it has changed, 2 where ") == 1


@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_every_version_that_is_told_is_one_that_is_installed(script: Path) -> None:
    head, body = parts(script)
    pinned = {f"{name.lower()} {version}" for name, version in re.findall(r"([\w-]+)==([\w.]+)", body)}
    row = next(versions for name, _, versions in ROWS if name == script.stem)
    told = {one.replace("_", "-").lower() for one in row.split(", ")}
    if "$version" not in body:
        assert told <= pinned
    assert all(one in head.replace("_", "-").lower() or one.split()[1] in head for one in told)


@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_a_script_runs_without_qubopress_in_a_folder_that_it_removes(script: Path) -> None:
    _, body = parts(script)
    assert "qubopress" not in body
    assert "://" not in body
    assert "folder=$(mktemp -d)\ntrap 'rm -rf \"$folder\"' EXIT\n" in body
    assert all(line.endswith("|| exit 2") for line in body.splitlines() if 'bin/pip" install' in line)
