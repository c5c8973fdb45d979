"""A claim's process may hang or die, and is always gone in the end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from breaking import LOST, write_plugins

from qubopress.suites import conformance
from qubopress.suites.conformance import checking, problem_claims


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plugins(tmp_path_factory.mktemp("bad"))


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    problem_claims._refusals.cache_clear()


# Two in seconds; the others take a process each as well.
@pytest.mark.parametrize(
    "name",
    [name if name in ("hangs", "segfaults") else pytest.param(name, marks=pytest.mark.slow) for name in LOST],
)
def test_a_solver_that_hangs_or_dies_costs_its_claims_and_no_more(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "MOST_LOST", 1)
    # A process that dies may need seconds for it on a busy machine.
    deadline = 2.0 if name.startswith("hangs") else 30.0
    first, rest = conformance.check(name, plugins=folder, deadline=deadline)
    assert first.claim == "the reported loss is the loss of feasible bits"
    assert first.holds is False
    assert LOST[name][0] in first.reason
    assert rest.holds is None


@pytest.mark.slow
def test_after_a_lost_process_the_next_claim_is_checked(folder: Path) -> None:
    found = conformance.check("segfaults", plugins=folder)
    assert [one.holds for one in found] == [False] * checking.MOST_LOST + [None]
    assert len({one.claim for one in found}) == len(found)


@pytest.mark.slow
def test_no_process_outlives_the_check(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "MOST_LOST", 1)
    conformance.check("hangs-in-a-child", plugins=folder, deadline=2.0)
    time.sleep(0.2)
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
    assert not [line for line in lines if b"hangs-in-a-child" in line]


@pytest.mark.slow
def test_the_process_goes_when_the_command_is_killed(folder: Path) -> None:
    call = [sys.executable, "-m", "qubopress.suites.cli", "check", "hangs", "--plugins", str(folder)]
    command = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (child := children(command.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert child
    time.sleep(1.0)
    command.kill()
    command.wait()
    while any(Path(f"/proc/{one}").exists() for one in child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [one for one in child if Path(f"/proc/{one}").exists()]


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
