"""Who answers a stage, under which budget, and what is told of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from qubopress import problems, solvers, suites
from qubopress.problems import BlackBox, Capacity, InputError, Instance, Qubo, Rounding
from qubopress.suites.compressing.stages import Budget, Step

DATA = torch.randn(12, 3, generator=torch.Generator().manual_seed(1)), torch.arange(12) % 2


@pytest.fixture(autouse=True)
def _own() -> None:
    problems.problem("stand-in")(stand_in)


def instances() -> list[Instance]:
    counted = BlackBox(lambda x: x.sum(axis=1).astype(float), 3, start=[1, 0, 0], K=1)
    return [
        Rounding(np.eye(2), [[0.25, 0.75]]),
        Capacity(-np.eye(3), np.ones(3), 1),
        Qubo(np.eye(2)),
        counted,
    ]


def stand_in(task: problems.Task, *, heard: bool = False) -> Any:
    """Four stages, one of each shape."""
    if heard:
        task.rules.leaves("")
    for place, instance in enumerate(instances()):
        task.ledger.enter(f"part {place}", span=(place / 4, (place + 1) / 4))
        yield instance
    return task.copy()


def budget(**changes: Any) -> Budget:
    usual: dict[str, Any] = {
        "solver": None,
        "parameters": {},
        "seconds": None,
        "seed": 0,
        "refiner": "random-swap",
        "evaluations": 3,
    }
    return Budget(**{**usual, **changes})


def test_each_shape_has_a_solver_that_fits_where_none_is_named() -> None:
    calls = [budget().call(instance) for instance in instances()]
    assert [call["solver"] for call in calls] == ["level-tabu", "swap", "tabu", "random-swap"]
    assert [call.get("restarts") for call in calls] == [1, 1, 1, None]
    assert calls[3]["evaluations"] == 3


def test_the_refiner_takes_only_black_boxes_that_the_solver_does_not_take() -> None:
    asked = instances()[3]
    assert budget(solver="swap").call(asked)["solver"] == "random-swap"
    assert budget(solver="greedy-swap").call(asked)["solver"] == "greedy-swap"


def test_the_solvers_parameters_go_to_the_solver_and_threads_to_all() -> None:
    chosen = budget(solver="beam", parameters={"width": 8, "threads": 2}, seconds=0.5)
    assert chosen.call(instances()[0]) == {"solver": "beam", "seconds": 0.5, "threads": 2, "width": 8}
    assert chosen.call(instances()[3]) == {"solver": "random-swap", "evaluations": 3, "threads": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solver": "beam", "parameters": {"wdth": 8}}, "beam has no parameter 'wdth'; it has: width"),
        ({"solver": "beam", "parameters": {"width": 0}}, "width must lie in"),
        ({"parameters": {"width": 8}}, "no default solver has a parameter 'width'; name a solver"),
        ({"solver": "nobody"}, "no solver named 'nobody'"),
        ({"refiner": "nobody"}, "no solver named 'nobody'"),
    ],
)
def test_what_no_solver_has_is_refused_before_anything_is_measured(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        budget(**changes).check()


def test_every_stage_is_told_of_as_it_begins_and_as_it_ends() -> None:
    told: list[tuple[str, bool, float | None]] = []

    def listen(step: Step) -> None:
        told.append((step.label, step.ended, step.overall))

    suites.compress(nn.Linear(3, 2), DATA, problem="stand-in", evaluations=3, progress=listen)
    assert told == [
        (f"part {place}", ended, (place + ended) / 4) for place in range(4) for ended in (False, True)
    ]


def test_a_search_can_be_looked_at_while_it_lasts() -> None:
    seen: list[float | None] = []
    steps: list[Step] = []

    @solvers.solver("halfway", accepts=Rounding)
    def halfway(rounding: Rounding, run: solvers.Run) -> None:
        while run.open():
            run.share = 0.5
            seen.append(steps[0].overall)
            run.offer(rounding.nearest())

    suites.compress(
        nn.Sequential(nn.Linear(3, 2)),
        DATA,
        solver="halfway",
        bits=4,
        refits=0,
        progress=lambda step: steps.append(step),
    )
    assert seen[-1] == 0.5  # the solver is warmed before


def test_a_stage_without_a_solution_is_named_by_its_layer() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))

    @solvers.solver("never", accepts=Rounding)
    def never(rounding: Rounding, run: solvers.Run) -> None:
        """Offer nothing."""

    with pytest.raises(InputError, match=r"never has no solution for 0 \(stage 0\): the solver offered no"):
        suites.compress(model, DATA, solver="never")


def test_a_wish_that_the_formulation_does_not_hear_is_refused_before_anything_is_solved() -> None:
    model, told = nn.Linear(3, 2), list[Step]()
    with pytest.raises(InputError, match="stand-in must take skip= to be given one, and does not; drop it"):
        suites.compress(model, DATA, problem="stand-in", skip="head", progress=told.append)
    assert told == []
    heard = suites.compress(model, DATA, problem="stand-in", heard=True, skip="head", evaluations=3)
    assert isinstance(heard, nn.Linear)
