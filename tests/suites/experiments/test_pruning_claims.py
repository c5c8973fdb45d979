"""The claims name what the suites measure, and tell a choice from its refit."""

from __future__ import annotations

import pytest

from qubopress import suites
from qubopress.suites.experiments import pruning_claims


def sides(text: str) -> tuple[pruning_claims.Side, pruning_claims.Side]:
    (claim,) = [claim for claim in pruning_claims.CLAIMS if claim.text == text]
    return claim.better, claim.worse


def test_a_refit_is_a_parameter_of_the_side_and_all_else_goes_without() -> None:
    better, worse = sides("reconstruction + refit above taylor + refit")
    assert (better.problem, better.parameters, better.after) == ("reconstruction", {"refit": True}, "")
    assert (worse.problem, worse.parameters, worse.after) == ("taylor", {"refit": True}, "")
    better, worse = sides("taylor + refit above taylor after fine-tune")
    assert (better.parameters, worse.parameters) == ({"refit": True}, {"refit": False})
    assert (better.after, worse.after) == ("after fine-tune",) * 2


@pytest.mark.parametrize("claim", pruning_claims.CLAIMS, ids=lambda claim: claim.text)
def test_a_suite_measures_both_sides_of_each_claim(claim: pruning_claims.PairedChoice) -> None:
    measured = {
        (spec.problem, spec.parameters["refit"], solver.name)
        for name in ("pruning-claims", "refinement")
        for suite in [suites.load(name)]
        for spec in suite.instances
        for solver in suite.solvers
    }
    for side in (claim.better, claim.worse):
        assert side.solver == "start" or any(
            side.problem in ("", problem)
            and side.solver == solver
            and side.parameters.get("refit", refit) == refit
            for problem, refit, solver in measured
        )


def test_the_claims_are_judged_on_six_draws_or_more_and_refinements_on_ten() -> None:
    claims = suites.load("pruning-claims")
    draws = {spec.calibration_seed for spec in claims.instances}
    assert len(draws) >= 6
    assert {spec.parameters["keep"] for spec in claims.instances} == {0.64}
    assert len({spec.network for spec in claims.instances}) == 3
    refined = suites.load("refinement").instances
    for most in pruning_claims.REFINED:
        draws = {spec.calibration_seed for spec in refined if spec.parameters["refine"] == most}
        assert len(draws) >= 10
    assert {spec.parameters["refine"] for spec in refined} == set(pruning_claims.REFINED)
