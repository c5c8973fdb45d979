"""A claim holds, is broken or cannot be decided."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from breaking import judged, write_plugins

from qubopress.suites import plugins
from qubopress.suites.conformance import checking, problem_claims
from qubopress.suites.conformance.claim import Broken, Claim, Undecided


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plugins(tmp_path_factory.mktemp("bad"))


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    problem_claims._refusals.cache_clear()


def test_what_cannot_be_decided_is_neither_ok_nor_failed(folder: Path) -> None:
    plugins.load_folder(str(folder))
    claim = Claim("it rains", holds=_undecided, cases=lambda name: ["here", "there"])
    assert judged(claim, "moody") == checking.Finding("it rains", None, "no window (here, there)", 0)


def _undecided(name: str, case: str) -> None:
    raise Undecided("no window")


def test_a_claim_is_broken_by_an_error_of_any_kind() -> None:
    def holds(name: str, case: str) -> None:
        raise (Broken if case == "first" else ZeroDivisionError)("two\nlines")

    for case, reason in (("first", "two lines (on first)"), ("second", "ZeroDivisionError: two lines")):
        found = judged(Claim("it holds", holds, lambda name, case=case: [case]), "any")
        assert reason in found.reason
