"""Plug-ins that each break a claim on solvers or problems, or lose the process that checks it."""

from __future__ import annotations

from pathlib import Path

from qubopress.suites.conformance import checking
from qubopress.suites.conformance.claim import Claim

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


def judged(claim: Claim, name: str) -> checking.Finding:
    found = checking.judge(claim, name, lambda case: None)
    assert found is not None
    return found
