"""`qubopress check`: every claim can fail, and no solver can hang or kill the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from warm import SharedServer, clean_registries

from qubopress import problems, solvers
from qubopress.problems import InputError
from qubopress.suites import cli, conformance, plugins
from qubopress.suites.conformance import checking, problem_claims, solver_claims, specimens
from qubopress.suites.conformance.claim import Broken, Claim, Undecided
from qubopress.suites.extending import bench, hardness
from qubopress.suites.spec import InstanceSpec

Captured = pytest.CaptureFixture[str]

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


def judged(claim: Claim, name: str) -> checking.Verdict:
    found = checking.judge(claim, name, lambda case: None)
    assert found is not None
    return found


# ---- claims


@pytest.mark.parametrize("name", BAD_SOLVERS)
def test_the_claim_that_a_solver_breaks_fails(folder: Path, name: str) -> None:
    plugins.load_folder(str(folder))
    (claim,) = [one for one in solver_claims.CLAIMS if one.text == BAD_SOLVERS[name][0]]
    found = judged(claim, name)
    assert found.holds is False
    assert found.reason
    assert "\n" not in found.reason


def test_an_exact_solver_that_is_not_is_found_out() -> None:
    @solvers.solver("inexact", accepts=problems.Qubo, exact=True)
    def inexact(qubo: problems.Qubo, run: solvers.Run) -> None:
        run.offer([0] * qubo.n)

    (claim,) = [one for one in solver_claims.CLAIMS if one.text == "an exact solver equals enumeration"]
    assert "but the optimum is" in judged(claim, "inexact").reason


def verdicts_of(name: str, folder: Path) -> dict[str, checking.Verdict]:
    plugins.load_folder(str(folder))
    found = [checking.judge(claim, name, lambda case: None) for claim in problem_claims.CLAIMS]
    return {one.claim: one for one in found if one is not None}


def broken(name: str, folder: Path) -> set[str]:
    return {claim for claim, one in verdicts_of(name, folder).items() if one.holds is False}


def test_a_problem_that_changes_its_network_is_found_out(folder: Path) -> None:
    assert broken("unfair", folder) == {
        "the network and the data stay as they were",
        "a problem says what it is",
    }


def test_a_problem_of_many_moods_is_found_out(folder: Path) -> None:
    verdicts = verdicts_of("moody", folder)
    assert {claim for claim, one in verdicts.items() if one.holds is False} == {
        "the end is a network in eval mode with finite outputs",
        "the same parameters give the same instances",
        "the number of stages depends on no answer",
    }


def test_what_cannot_be_decided_is_neither_ok_nor_failed(folder: Path) -> None:
    plugins.load_folder(str(folder))
    claim = Claim("it rains", holds=_undecided, cases=lambda name: ["here", "there"])
    assert judged(claim, "moody") == checking.Verdict("it rains", None, "no window (here, there)", 0)


def _undecided(name: str, case: str) -> None:
    raise Undecided("no window")


def test_a_problem_for_some_networks_is_checked_on_those(folder: Path) -> None:
    verdicts = verdicts_of("narrow", folder)
    assert all(one.holds is not False for one in verdicts.values())
    first = verdicts["it runs to the end"]
    assert first.cases == 1
    assert "not taken: AttributeError" in first.reason
    assert verdicts["the baseline is a feasible solution"].cases == 1


def test_a_problem_for_no_network_fails(folder: Path) -> None:
    assert "it runs to the end" in broken("impossible", folder)
    assert "the baseline is a feasible solution" not in verdicts_of("impossible", folder)


def test_a_claim_is_broken_by_an_error_of_any_kind() -> None:
    def holds(name: str, case: str) -> None:
        raise (Broken if case == "first" else ZeroDivisionError)("two\nlines")

    for case, reason in (("first", "two lines (on first)"), ("second", "ZeroDivisionError: two lines")):
        found = judged(Claim("it holds", holds, lambda name, case=case: [case]), "any")
        assert reason in found.reason


# ---- the process


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


# ---- the command


def test_a_solver_of_ours_conforms(capsys: Captured) -> None:
    assert cli.call(["check", "one-flip", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["verdict"] for row in rows} == {"ok"}
    has = [claim.text for claim in solver_claims.CLAIMS if claim.cases("one-flip")]
    assert [row["name"] for row in rows] == has


@pytest.mark.parametrize("form", ["table", "csv", "json", "markdown"])
def test_a_claim_that_fails_is_in_every_format_and_the_exit_code(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    found = [
        checking.Verdict("it rains", False, "no | cloud", 2),
        checking.Verdict("it snows", True, "", 1),
    ]
    monkeypatch.setattr(conformance, "check", lambda *_, **__: found)
    assert cli.call(["check", "tabu", "--format", form]) == 1
    out = capsys.readouterr().out
    assert all(text in out for text in ("it rains", "FAILED", "cloud", "it snows", "ok"))
    monkeypatch.setattr(conformance, "check", lambda *_, **__: found[1:])
    assert cli.call(["check", "tabu", "--format", form]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("tabuu", "no solver or problem named 'tabuu'; did you mean 'tabu'?"),
        ("zzz", "no solver or problem named 'zzz'; name the folder of your own with --plugins"),
        ("qubo", "qubo reads a file and makes no instance of its own; nothing can be checked"),
        ("tabu --plugins none", "no plug-in folder at"),
        ("tabu --deadline 0", "--deadline must be positive, got 0"),
        ("tabu --format yaml", "--format must be one of"),
        ("tabu --network digits-mlp", "--network is for a problem, and tabu is a solver"),
        ("taylor --network digits-mpl", "no network named 'digits-mpl'; did you mean 'digits-mlp'?"),
    ],
)
def test_a_call_that_is_wrong_ends_in_one_line(capsys: Captured, arguments: str, message: str) -> None:
    assert cli.call(["check", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.slow
def test_failures_are_lines(folder: Path) -> None:
    found = conformance.failures("lies", plugins=folder)
    assert found[0].startswith("the reported loss is the loss of feasible bits: claimed loss -1000000.0")
    with pytest.raises(InputError, match="no solver or problem named 'none'"):
        conformance.failures("none")


# ---- how hard a problem is


def test_the_correlation_is_that_of_loss_and_harm() -> None:
    better = [(1.0, 0.9), (2.0, 0.8), (3.0, 0.5), (3.0, 0.5)]
    assert hardness._correlation(better, higher_is_better=True) == (pytest.approx(1.0), 3)
    assert hardness._correlation(better, higher_is_better=False) == (pytest.approx(-1.0), 3)
    rho, solutions = hardness._correlation([(1.0, 0.9), (2.0, 0.9), (3.0, 0.9)], higher_is_better=True)
    assert np.isnan(rho)
    assert solutions == 3


@pytest.mark.parametrize("kind", specimens.INSTANCES)
def test_a_mixture_is_feasible_and_keeps_what_it_is_made_of(kind: str) -> None:
    instance, rng = specimens.INSTANCES[kind](), np.random.default_rng(0)
    x = specimens.random_solution(instance, rng)
    np.testing.assert_array_equal(specimens.mixture(instance, x, 0.0, rng), x)
    drawn = [specimens.mixture(instance, x, share, rng) for share in (0.3, 1.0) for _ in range(20)]
    assert all(instance.violation(one) == 0 for one in (x, *drawn))
    moved = [np.count_nonzero(one != x) for one in drawn]
    assert sum(moved[:20]) < sum(moved[20:])


@pytest.mark.slow
def test_the_solutions_that_are_drawn_come_with_loss_and_metric() -> None:
    spec = InstanceSpec.of("taylor", network="digits-mlp")
    points = list(hardness._drawn(spec, ""))
    assert len(points) == hardness.DRAWN
    losses, metrics = np.array(points).T
    assert losses[0] == losses.min()
    assert losses[: hardness.DRAWN // 2].mean() < losses[hardness.DRAWN // 2 :].mean()
    assert ((metrics >= 0) & (metrics <= 1)).all()


@pytest.mark.slow
def test_the_check_of_a_problem_says_which_solvers_find_it_hard(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "Supervisor", SharedServer)
    call = ["check", "hybrid", "--network", "digits-mlp", "--seconds", "0.1", "--format", "json"]
    assert cli.call(call) == 0
    rows = json.loads(capsys.readouterr().out)
    by_kind = {
        kind: [row for row in rows if row["kind"] == kind] for kind in ("claim", "correlation", "solver")
    }
    assert [row["name"] for row in by_kind["claim"]] == [claim.text for claim in problem_claims.CLAIMS]
    (correlation,) = by_kind["correlation"]
    assert -1 <= correlation["value"] <= 1
    assert "solutions of hybrid/digits-mlp" in correlation["note"]
    excess = {row["name"]: row["value"] for row in by_kind["solver"]}
    assert list(excess.values()) == sorted(excess.values())
    assert excess["swap"] == 0 < excess["random"]
