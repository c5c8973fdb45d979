"""Each claim on problems finds the problem that breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from breaking import write_plugins

from qubopress.suites import plugins
from qubopress.suites.conformance import checking, problem_claims


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plugins(tmp_path_factory.mktemp("bad"))


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    problem_claims._refusals.cache_clear()


def verdicts_of(name: str, folder: Path) -> dict[str, checking.Finding]:
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


RANDOM_DECODE = '''
import torch
from qubopress.problems import Qubo, problem


@problem("dicey", family="other")
def dicey(task):
    """Keep what dice say."""
    yield Qubo([[1.0, -2.0], [0.0, 1.0]])
    network = task.copy()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return network
'''


def test_a_random_decode_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "dicey.py").write_text(RANDOM_DECODE, encoding="utf-8")
    verdict = verdicts_of("dicey", tmp_path)["the same answers give the same network"]
    assert verdict.holds is False
    assert "the same bits gave another" in verdict.reason
