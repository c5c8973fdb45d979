"""What holds for every registered solver on every shape that it takes itself or through an adapter.

The claims ship with the package, for `qubopress check`; here each is a test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from instances import SMALLEST

from qubopress import solvers
from qubopress.problems import InputError, Qubo
from qubopress.suites.conformance import solver_claims as claims


def each(cases: Callable[[str], list[str]]) -> Any:
    """A test for every solver and each of its cases."""
    pairs = [
        pytest.param(name, kind, id=f"{name}-{kind}".replace(" ", "-"))
        for name in solvers.names()
        for kind in cases(name)
    ]
    return pytest.mark.parametrize(("name", "kind"), pairs)


def unreached(name: str) -> list[str]:
    return [kind for kind in SMALLEST if kind not in claims.smallest(name)]


@each(claims.small)
def test_the_reported_loss_is_the_loss_of_feasible_bits(name: str, kind: str) -> None:
    claims.the_reported_loss_is_the_loss_of_feasible_bits(name, kind)


@each(claims.small)
def test_the_trace_falls_strictly_to_the_reported_loss(name: str, kind: str) -> None:
    claims.the_trace_falls_strictly_to_the_reported_loss(name, kind)


@each(claims.small)
def test_the_same_seed_and_the_same_fixed_work_give_the_same_bits(name: str, kind: str) -> None:
    claims.the_same_seed_and_the_same_fixed_work_give_the_same_bits(name, kind)


@each(claims.small)
def test_fixed_work_ends_finished_or_proven(name: str, kind: str) -> None:
    claims.fixed_work_ends_finished_or_proven(name, kind)


@each(claims.small)
def test_no_bound_exceeds_the_optimum_and_optimal_means_optimal(name: str, kind: str) -> None:
    claims.no_bound_exceeds_the_optimum_and_optimal_means_optimal(name, kind)


@each(claims.provable)
def test_an_exact_solver_equals_enumeration(name: str, kind: str) -> None:
    claims.an_exact_solver_equals_enumeration(name, kind)


@each(claims.small)
def test_a_target_that_is_reached_ends_the_search(name: str, kind: str) -> None:
    claims.a_target_that_is_reached_ends_the_search(name, kind)


@each(claims.small)
def test_inputs_stay_untouched(name: str, kind: str) -> None:
    claims.inputs_stay_untouched(name, kind)


@each(claims.stressed)
def test_the_budget_is_kept(name: str, kind: str) -> None:
    claims.the_budget_is_kept(name, kind)


@each(claims.smallest)
def test_the_smallest_instances_are_solved(name: str, kind: str) -> None:
    claims.the_smallest_instances_are_solved(name, kind)


@each(claims.scaled)
def test_the_size_of_the_coefficients_makes_no_difference(name: str, kind: str) -> None:
    claims.the_size_of_the_coefficients_makes_no_difference(name, kind)


@each(unreached)
def test_a_shape_out_of_reach_is_refused(name: str, kind: str) -> None:
    with pytest.raises(InputError, match=f"{name} solves"):
        solvers.solve(SMALLEST[kind], name, restarts=1)


def test_every_claim_about_a_solver_is_a_test_here() -> None:
    for claim in claims.CLAIMS:
        assert f"test_{claim.text.replace(' ', '_')}" in globals(), claim.text


def test_another_seed_gives_another_search() -> None:
    qubo = Qubo(np.diag(range(1, 65)))
    losses = {solvers.solve(qubo, "random", restarts=1, seed=seed).loss for seed in range(4)}
    assert len(losses) > 1
