"""What holds for every registered solver on every shape that it takes itself or through an adapter.

The claims ship with the package, for `qubopress check`; here each is a test by its name on each of its cases.
"""

from __future__ import annotations

import numpy as np
import pytest
from instances import SMALLEST, gram, matrix

from qubopress import solvers
from qubopress.problems import BlackBox, Capacity, InputError, Instance, Qubo, Rounding
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


WORK: dict[type, Instance] = {
    Qubo: Qubo(matrix(20, seed=3)),
    Rounding: Rounding(gram(8, seed=5), np.random.default_rng(0).random((6, 8))),
    Capacity: Capacity(matrix(20, seed=3), np.ones(20), 7),
    BlackBox: BlackBox(
        lambda x: x[:, ::2].sum(axis=1) - 2.0 * x[:, 1::2].sum(axis=1), 8, start=[1, 0] * 4, K=4
    ),
}


WITHOUT = {"nearest-plane", "round-to-nearest", "mip"}
"""Solvers with no restart to count, and one that proves this instance in its root, before the first node."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=absent(name)) for name in solvers.names()])
def test_the_work_that_a_solver_registers_is_counted_and_stands_beside_its_trace(name: str) -> None:
    entry = solvers.get(name)
    instance = WORK[entry.accepts[0]]
    found = solvers.solve(instance, name, restarts=1, seconds=20.0, evaluations=30, seed=1)
    if name in WITHOUT:
        assert (found.work_unit, found.trace_work) == ("", [])
        return
    assert found.work_unit == entry.unit(instance)
    assert len(found.trace_work) == len(found.trace)
    counted = [0, *found.trace_work, found.counts[found.work_unit]]
    assert counted == sorted(counted)
    assert found.points == [(*pair, work) for pair, work in zip(found.trace, found.trace_work, strict=True)]


@pytest.mark.parametrize(("shape", "adapter"), [(Rounding, "rows"), (Capacity, "field-search")])
def test_what_an_adapter_has_searched_is_counted_on_through_its_parts(shape: type, adapter: str) -> None:
    found = solvers.solve(WORK[shape], "tabu", restarts=1, seed=1)
    assert (found.adapter, found.work_unit) == (adapter, "flips")
    assert 0 < found.trace_work[-1] <= found.counts["flips"]
    assert len(set(found.trace_work)) > 1


def test_a_penalised_search_counts_what_it_did() -> None:
    found = solvers.solve(WORK[Capacity], "neal-penalty", restarts=2, num_sweeps=50, num_reads=3, seed=1)
    assert (found.adapter, found.work_unit) == ("penalty", "sweeps")
    assert found.counts["sweeps"] == 2 * 50 * 3
    assert found.counts["restarts"] == 2


def test_no_claim_about_a_solver_is_without_a_case() -> None:
    tried = {case.values[0] for case in CASES}
    assert [claim.text for claim in claims.CLAIMS if claim not in tried] == []


def test_another_seed_gives_another_search() -> None:
    qubo = Qubo(np.diag(range(1, 65)))
    losses = {solvers.solve(qubo, "random", restarts=1, seed=seed).loss for seed in range(4)}
    assert len(losses) > 1
