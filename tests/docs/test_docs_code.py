"""Every fenced block of the README and of the pages runs, page by page, each page in a folder of its own.

A block with a title is the file of that name. The others run in their order: Python in one namespace, TOML as
a suite that must load, each `$ ` line of a console in the folder. Built-in suites get a tenth of a second a
cell and one seed. A comment above a block says why it is `not run`, or which `exits` are right.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from repository import ROOT

from qubopress import suites

PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md"))]

BLOCK = re.compile(
    r"^(?:<!-- (?P<word>not run|exits): (?P<note>[^\n]*) -->\n)?"
    r'^```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^```$',
    flags=re.MULTILINE | re.DOTALL,
)

README_FILES = {
    "@solvers.solver": "mine/descent.py",
    "@problems.problem": "mine/filters.py",
    'command = "mine/descent': "mine/board.toml",
    'name = "unlike-filters"': "mine/filters.toml",
}
"""What tells a block of the README that its text gives a name; `test_readme` runs these through suites."""

README_COMMANDS = {
    "make leaderboard": "sets up an environment; its commands are in docs/tutorials/leaderboard.md",
    "make test": "is what runs this",
    "qubopress run smoke --plugins": "test_readme",
    "qubopress run --instance": "test_cli: own instances",
    "qubopress run mine/filters.toml": "test_readme",
    "qubopress run mine/board.toml": "test_readme",
    "dask": "processes that never end; test_cluster",
    "qubopress run smoke --executor": "test_cluster",
    "from dask_jobqueue": "needs Slurm",
}
"""The beginnings of the README's indented commands, and what runs each or why nothing does."""

NOT_RUN = {
    "docs/tutorials/leaderboard.md": ["$ make leaderboard"],
    "docs/tutorials/commits.md": ["$ qubopress gate", "$ make asv"],
    "docs/tutorials/cluster.md": [
        "$ pip install '.[dask]'",
        "from dask_jobqueue import SLURMCluster",
    ],
}
"""First lines of all blocks that do not run. Make it no longer."""


@dataclass(frozen=True)
class Block:
    language: str
    title: str
    code: str
    word: str
    note: str


def blocks(page: str) -> list[Block]:
    found = [
        Block(*(match[name] or "" for name in ("language", "title", "code", "word", "note")))
        for match in BLOCK.finditer((ROOT / page).read_text(encoding="utf-8"))
    ]
    return [_named(block) for block in found] if page == "README.md" else found


def _named(block: Block) -> Block:
    names = [name for sign, name in README_FILES.items() if sign in block.code]
    return Block(block.language, names[0], block.code, "", "") if names else block


def commands(code: str) -> list[list[str]]:
    """Each `$ ` line as a call, `qubopress` by this interpreter, built-in suites in little time."""
    calls = [shlex.split(line[2:]) for line in code.splitlines() if line.startswith("$ ")]
    for call in calls:
        if call[0] == "cc":
            continue
        assert call[0] == "qubopress", f"a console runs qubopress, got {call[0]}; say why it is not run"
        short = call[1] == "run" and call[2] in suites.suite_names()
        call += ["--seconds", "0.1", "--seeds", "1"] if short else []
    ours = [sys.executable, "-m", "qubopress.suites.cli"]
    return [call if call[0] == "cc" else [*ours, *call[1:]] for call in calls]


def exits(block: Block) -> set[int]:
    """The exit codes that are right; 0 unless the page says otherwise."""
    return {int(code) for code in re.findall(r"\b\d\b", block.note)} if block.word == "exits" else {0}


def run(block: Block, folder: Path, namespace: dict[str, object]) -> None:
    if block.title:
        path = folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.code, encoding="utf-8")
        if block.language == "toml" and not re.search(r"= *\[?\"(loud-|unlike-|mine/)", block.code):
            suites.load(path)
    elif block.language == "python":
        exec(compile(block.code, "page", "exec"), namespace)
    for call in commands(block.code) if block.language == "console" else []:
        if shutil.which(call[0]) is None:
            pytest.skip(f"no C compiler named {call[0]} here")
        done = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode in exits(block), f"{call[3:]}: {done.stdout[-500:]}{done.stderr[-2000:]}"


def _marked(page: str) -> object:
    heavy = any(block.language == "console" and block.word != "not run" for block in blocks(page))
    return pytest.param(page, marks=pytest.mark.slow) if heavy else page


@pytest.mark.parametrize("page", [_marked(page) for page in PAGES if blocks(page)])
def test_every_block_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "page"}
    for block in blocks(page):
        if block.word != "not run":
            run(block, tmp_path, namespace)


@pytest.mark.parametrize("page", PAGES)
def test_every_fence_is_a_block_that_a_test_understands(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert len(re.findall(r"^\s*```", text, flags=re.MULTILINE)) == 2 * len(blocks(page))
    for block in blocks(page):
        assert block.language in {"c", "python", "toml", "console"}, block.code
        assert block.language != "toml" or block.title, "a suite needs a title, the name of its file"
        assert block.language != "console" or "$ " in block.code
        assert not block.word or block.note


def test_what_is_not_run_is_listed_and_the_list_is_short() -> None:
    unrun = {
        page: [block.code.split("\n")[0] for block in blocks(page) if block.word == "not run"]
        for page in PAGES
    }
    assert {page: lines for page, lines in unrun.items() if lines} == NOT_RUN
    assert sum(map(len, NOT_RUN.values())) <= 5


def test_every_indented_command_of_the_readme_is_accounted_for() -> None:
    text = BLOCK.sub("", (ROOT / "README.md").read_text(encoding="utf-8"))
    lines = re.findall(r"^    ((?:make|qubopress|dask|pip|python|from) .*)$", text, flags=re.MULTILINE)
    known = [[sign for sign in README_COMMANDS if line.startswith(sign)] for line in lines]
    strangers = [line for line, signs in zip(lines, known, strict=True) if not signs]
    assert strangers == ["from qubopress import suites"]  # the Slurm block's second line
    assert {signs[0] for signs in known if signs} == set(README_COMMANDS)
