"""Each claim on solvers finds the solver that breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from breaking import BAD_SOLVERS, judged, write_plugins

from qubopress import problems, solvers
from qubopress.suites import plugins
from qubopress.suites.conformance import problem_claims, solver_claims


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plugins(tmp_path_factory.mktemp("bad"))


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    problem_claims._refusals.cache_clear()


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
