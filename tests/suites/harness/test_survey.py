from __future__ import annotations

import numpy as np
import pytest

from qubopress import problems
from qubopress.problems import InputError, Qubo
from qubopress.suites.harness.survey import Survey, prepared, survey, variables_of
from qubopress.suites.spec import InstanceSpec


def test_a_survey_knows_every_stage_and_what_the_baseline_scores() -> None:
    found = survey(InstanceSpec.of("adaround", network="digits-mlp", bits=3))
    assert found.shapes == ("Rounding", "Rounding")
    assert found.info.variables == sum(found.info.stage_variables)
    assert found.info.baseline_loss == pytest.approx(sum(found.losses))
    assert found.info.baseline_loss > 0
    assert found.info.float_metric == pytest.approx(
        problems.classification_task("digits-mlp").judge(_network())
    )
    assert 0 < (found.info.baseline_metric or 0) <= 1


def _network() -> object:
    return problems.classification_task("digits-mlp").network


def test_a_survey_survives_the_wire() -> None:
    found = survey(InstanceSpec.of("taylor", network="digits-cnn"))
    assert Survey.from_json(found.to_json()) == found


def test_only_the_refinement_is_judged_where_a_solver_prepares() -> None:
    spec = InstanceSpec.of("hybrid", network="digits-cnn", refine=6, prepare="random")
    found = survey(spec)
    assert found.shapes == ("BlackBox",)
    assert found.info.stage_variables == (6,)
    assert survey(spec).info == found.info


def test_preparing_what_has_no_refinement_is_refused() -> None:
    spec = InstanceSpec.of("hybrid", network="digits-cnn", prepare="swap")
    with pytest.raises(
        InputError, match="must leave its solver a stage to answer, got none; leave prepare out"
    ):
        survey(spec)


def test_a_solver_that_has_no_solution_cannot_prepare() -> None:
    spec = InstanceSpec.of("hybrid", network="digits-cnn", refine=6, prepare="exhaustive")
    large = problems.Capacity(np.zeros((40, 40)), np.ones(40), 20)
    with pytest.raises(InputError, match="exhaustive cannot prepare stage 0: exhaustive takes at most"):
        prepared(spec, 0, large)


def test_the_time_left_is_shared_by_size() -> None:
    found = survey(InstanceSpec.of("adaround", network="digits-mlp"))
    first, second = found.info.stage_variables
    assert found.shares(0) == pytest.approx(first / (first + second))
    assert found.shares(1) == 1.0
    with pytest.raises(
        InputError, match="as many stages whatever the answers, got 3 and with the baseline's 2"
    ):
        found.shares(2)


def test_a_solver_suits_what_it_can_be_brought_to() -> None:
    rounding = survey(InstanceSpec.of("adaround", network="digits-mlp"))
    assert rounding.suits("nearest-plane")
    assert rounding.suits("tabu")
    assert not rounding.suits("swap")


def test_a_formulation_that_yields_a_stranger_shape_is_refused() -> None:
    class Own(Qubo):
        pass

    @problems.problem("stranger")
    def stranger(task):  # type: ignore[no-untyped-def]
        yield Own(np.eye(2))
        return task.copy()

    spec = InstanceSpec.of("stranger", network="digits-mlp")
    with pytest.raises(InputError, match="must yield one of Qubo, Capacity, Rounding, BlackBox, got Own"):
        survey(spec)


def test_fixed_coordinates_are_no_variables() -> None:
    fixed = np.array([[0, -1, -1]])
    assert variables_of(problems.Rounding(np.eye(3), np.full((1, 3), 0.5), 1.0, 2, fixed)) == 2
    assert variables_of(problems.Qubo(np.eye(3))) == 3
