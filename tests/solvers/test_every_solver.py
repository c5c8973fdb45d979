"""What holds for every registered solver on every shape that it takes itself or through an adapter.

The claims ship with the package, for `qubopress check`; here each is a test by its name on each of its cases.
"""

from __future__ import annotations

import numpy as np
import pytest
from instances import SMALLEST

from qubopress import solvers
from qubopress.problems import InputError, Qubo
from qubopress.suites.conformance import solver_claims as claims
from qubopress.suites.conformance.claim import Claim


def case_id(claim: Claim, name: str, case: object) -> str:
    return f"{claim.holds.__name__}-{name}-{case}".replace(" ", "-")


def absent(name: str) -> list[pytest.MarkDecorator]:
    """A skip with its reason where a package that a solver requires is not installed."""
    lacks = [package for package, version in solvers.get(name).versions().items() if not version]
    return [pytest.mark.skip(reason=f"{name} needs {package}") for package in lacks]


CASES = [
    pytest.param(claim, name, case, id=case_id(claim, name, case), marks=absent(name))
    for claim in claims.CLAIMS
    for name in solvers.names()
    for case in claim.cases(name)
]
OUT_OF_REACH = [
    pytest.param(name, kind, id=f"{name}-{kind}".replace(" ", "-"))
    for name in solvers.names()
    for kind in SMALLEST
    if kind not in claims.smallest(name)
]


@pytest.mark.parametrize(("claim", "name", "case"), CASES)
def test_every_claim_about_a_solver_holds(claim: Claim, name: str, case: str) -> None:
    claim.holds(name, case)


@pytest.mark.parametrize(("name", "kind"), OUT_OF_REACH)
def test_a_shape_out_of_reach_is_refused(name: str, kind: str) -> None:
    with pytest.raises(InputError, match=f"{name} solves"):
        solvers.solve(SMALLEST[kind], name, restarts=1)


def test_no_claim_about_a_solver_is_without_a_case() -> None:
    tried = {case.values[0] for case in CASES}
    assert [claim.text for claim in claims.CLAIMS if claim not in tried] == []


def test_another_seed_gives_another_search() -> None:
    qubo = Qubo(np.diag(range(1, 65)))
    losses = {solvers.solve(qubo, "random", restarts=1, seed=seed).loss for seed in range(4)}
    assert len(losses) > 1
