"""The command `check` says what fails in every format and by its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from qubopress.suites import cli, conformance
from qubopress.suites.conformance import checking, problem_claims, solver_claims

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    problem_claims._refusals.cache_clear()


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
        checking.Finding("it rains", False, "no | cloud", 2),
        checking.Finding("it snows", True, "", 1),
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
        ("tabu --seconds 1", "--seconds is for a problem, and tabu is a solver; leave it out"),
        ("taylor --network digits-mpl", "no network named 'digits-mpl'; did you mean 'digits-mlp'?"),
    ],
)
def test_a_call_that_is_wrong_ends_in_one_line(capsys: Captured, arguments: str, message: str) -> None:
    assert cli.call(["check", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1
