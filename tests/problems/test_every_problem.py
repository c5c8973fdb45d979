"""Every registered formulation keeps the rules that solvers, suites and readers of records rely on.

Each runs end to end on two tiny networks, with the baseline as the answer to every stage. A family that needs
another kind of task adds it to `TASKS`; parameters worth a run of their own go into `SETTINGS`. The claims
ship with the package, for `qubopress check`; here each is a test.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from generating import generating_task, system
from instances import qubo
from tiny import cnn, mlp_task, network_task, one_thread

from qubopress import problems
from qubopress.problems import Task
from qubopress.suites.conformance import problem_claims as claims
from qubopress.suites.conformance.claim import Undecided

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

TASKS: dict[str, Callable[[], Task]] = {
    "dense": mlp_task,
    "conv": lambda: network_task(cnn(), 1, 4, 4),
}
# Systems of two and of three couplings.
GENERATING: dict[str, Callable[[], Task]] = {
    "tanh": lambda: generating_task(system(side=1, hidden=1, radius=0)),
    "phase": lambda: generating_task(system(kind="phase", side=1, hidden=2, radius=0, directed=False)),
}
BARE = {"bare": problems.bare_task}
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "adaround": [{"bits": 2, "grid": "code"}, {"clip_aware": False}, {"sequential": True, "block": 2}],
    "ais-rounding": [{"bits": 2, "grid": "code", "sequential": False}, {"bits": 8, "density": 0.7}],
    "ais-topology": [{"keep": 1.0}],
    "hybrid": [{"refine": 4}],
    "qubo": [{"file": str(Path(os.environ["QUBOPRESS_CACHE"], "specimen.npz"))}],
    "random-qubo": [{"n": 8}, {"n": 8, "kind": "sparse", "degree": 2}],
    "sign-magnitude": [
        {"bits": 1, "topology": "1:2", "read_noise": 0.2},
        {"topology": "own", "sequential": True, "per": "tensor"},
    ],
    "taylor": [{"refine": 4, "keep": 0.5}],
    "topology": [{"fan_in": 1}, {"pattern": "1:2"}, {"sequential": True}],
}


def cases_of(name: str) -> list[Any]:
    """Every task with the defaults and each of the settings; a formulation without a network has its own."""
    found = problems.get(name)
    settings = [*([{}] if found.network else []), *SETTINGS.get(name, [])]
    tasks = GENERATING if name.startswith("ais-") else TASKS if found.network else BARE
    return [
        pytest.param(name, claims.Case(kind, make, one), id=f"{name}-{','.join(one) or 'defaults'}-{kind}")
        for one in settings
        for kind, make in tasks.items()
    ]


each_case = pytest.mark.parametrize(
    ("name", "case"), [case for name in problems.names() for case in cases_of(name)]
)
each_problem = pytest.mark.parametrize("name", problems.names())


@pytest.fixture(scope="module", autouse=True)
def _file() -> None:
    qubo(8).save(SETTINGS["qubo"][0]["file"])


@each_case
def test_it_runs_to_the_end(name: str, case: claims.Case) -> None:
    assert claims.instances_of(name, case)


@each_case
def test_the_end_is_a_network_in_eval_mode_with_finite_outputs(name: str, case: claims.Case) -> None:
    claims.the_end_is_a_network_in_eval_mode_with_finite_outputs(name, case)


@each_case
def test_the_network_and_the_data_stay_as_they_were(name: str, case: claims.Case) -> None:
    claims.the_network_and_the_data_stay_as_they_were(name, case)


@each_case
def test_the_same_parameters_give_the_same_instances(name: str, case: claims.Case) -> None:
    claims.the_same_parameters_give_the_same_instances(name, case)


@each_case
def test_the_number_of_stages_depends_on_no_answer(name: str, case: claims.Case) -> None:
    claims.the_number_of_stages_depends_on_no_answer(name, case)


@each_case
def test_the_baseline_is_a_feasible_solution(name: str, case: claims.Case) -> None:
    claims.the_baseline_is_a_feasible_solution(name, case)


@each_case
def test_the_ground_state_is_feasible_and_loss_optimal(name: str, case: claims.Case) -> None:
    claims.the_ground_state_is_feasible_and_loss_optimal(name, case)


@each_case
def test_decode_undoes_encode(name: str, case: claims.Case) -> None:
    if any(isinstance(one, problems.Rounding) for one in claims.instances_of(name, case)):
        claims.decode_undoes_encode(name, case)
    else:
        with pytest.raises(Undecided, match="no stage is a Rounding"):
            claims.decode_undoes_encode(name, case)


@each_case
def test_the_loss_is_the_same_by_every_way(name: str, case: claims.Case) -> None:
    claims.the_loss_is_the_same_by_every_way(name, case)


@each_case
def test_every_stage_refuses_what_is_no_solution(name: str, case: claims.Case) -> None:
    claims.every_stage_refuses_what_is_no_solution(name, case)


@each_problem
def test_an_unknown_parameter_is_refused_in_one_line(name: str) -> None:
    claims.an_unknown_parameter_is_refused_in_one_line(name, name)


@each_problem
def test_a_problem_says_what_it_is(name: str) -> None:
    claims.a_problem_says_what_it_is(name, name)


def test_every_claim_about_a_problem_is_a_test_here() -> None:
    for claim in claims.CLAIMS:
        assert f"test_{claim.text.replace(' ', '_')}" in globals(), claim.text
