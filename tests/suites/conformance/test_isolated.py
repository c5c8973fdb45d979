"""A claim's process may hang or die, and is always gone in the end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from warm import clean_registries

from qubopress.suites import conformance
from qubopress.suites.conformance import checking, problem_claims

HEAD = """
import ctypes, itertools, os, time
import numpy as np
import torch
from qubopress import problems, solvers


def random_x(qubo, run):
    return run.rng.integers(0, 2, qubo.n)

"""


BAD_SOLVERS = {
    "lies": ("the reported loss is the loss of feasible bits", "run.offer(random_x(qubo, run), -1e6)"),
    "silent": ("the reported loss is the loss of feasible bits", "pass"),
    "raises": ("the reported loss is the loss of feasible bits", "1 / 0"),
    "seedless": (
        "the same seed and the same fixed work give the same bits",
        "run.offer(np.random.default_rng().integers(0, 2, qubo.n))",
    ),
    "endless": (
        "fixed work ends finished or proven",
        "t = time.monotonic()\n    while time.monotonic() < t + 0.03:\n        run.offer(random_x(qubo, run))"
        "\n    run.exhausted = True",
    ),
    "boastful": (
        "no bound exceeds the optimum and optimal means optimal",
        "run.offer(random_x(qubo, run))\n    run.prove(run.loss)",
    ),
    "deaf": (
        "a target that is reached ends the search",
        "for _ in range(3):\n        run.offer(random_x(qubo, run))\n    run.target = None",
    ),
    "slow": (
        "the budget is kept",
        "run.offer(random_x(qubo, run))\n    if run.seconds and run.seconds < 1 and qubo.n > 20:\n"
        "        time.sleep(1)",
    ),
    "vandal": (
        "inputs stay untouched",
        "run.offer(random_x(qubo, run))\n    if not qubo.sparse and qubo.n:"
        "\n        qubo.Q.setflags(write=True)\n        qubo.Q[0, 0] += 1.0",
    ),
    "lazy": ("the smallest instances are solved", "run.offer(np.ones(qubo.n))"),
    "absolute": (
        "the size of the coefficients makes no difference",
        "run.offer(np.zeros(qubo.n) if abs(qubo.Q).max() < 1e-6 else (qubo.linear < 0).astype(int))",
    ),
}
"""The claim that a solver breaks, and what it does."""


LOST = {
    "hangs": ("no answer within 2 s; a search must poll run.stopped() per sweep", "time.sleep(600)"),
    "hangs-in-a-child": ("no answer within 2 s", "os.fork()\n    time.sleep(600)"),
    "segfaults": ("the process died by SIGSEGV", "ctypes.string_at(0)"),
    "exits": ("the process died with exit code 3", "raise SystemExit(3)"),
    "shouts": (
        "what is no message of ours",
        'for descriptor in range(3, 64):\n        try:\n            os.write(descriptor, b"\\0\\0\\0\\3abc")'
        "\n        except OSError:\n            pass\n    time.sleep(600)",
    ),
}
"""How a process is lost, and by what."""


BAD_PROBLEMS = """
def end(task):
    return task.copy()


@problems.problem("unfair")
def unfair(task, *, keep=0.5):
    'Change the network in place.'
    yield problems.Qubo(np.eye(3))
    with torch.no_grad():
        next(task.network.parameters()).zero_()
    return task.network


@problems.problem("moody")
def moody(task):
    'Another instance each time, and more of them for some answers.'
    x = yield problems.Qubo(np.random.default_rng().normal(size=(30, 30)))
    if x.sum() > 0:
        yield problems.Qubo(np.eye(3))
    return end(task).train()


@problems.problem("narrow")
def narrow(task):
    'Take networks of convolutions alone.'
    layer = task.network.get_submodule("conv2")
    yield problems.Qubo(np.eye(len(layer.weight)))
    return end(task)


@problems.problem("impossible")
def impossible(task):
    'Take nothing.'
    yield problems.Qubo(np.eye(task.nothing))
"""


def write_plugins(folder: Path) -> Path:
    bodies = {name: body for name, (_, body) in {**BAD_SOLVERS, **LOST}.items()}
    parts = [
        f'@solvers.solver("{name}", accepts=problems.Qubo)\ndef _{i}(qubo, run):\n    {body}\n'
        for i, (name, body) in enumerate(bodies.items())
    ]
    folder.mkdir(exist_ok=True)
    (folder / "bad.py").write_text("\n\n".join([HEAD, *parts, BAD_PROBLEMS]), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plugins(tmp_path_factory.mktemp("bad"))


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with clean_registries():
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
