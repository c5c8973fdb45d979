"""Every registered formulation keeps the rules that solvers, suites and readers of records rely on.

Each runs end to end on two tiny networks, with the baseline as the answer to every stage. A family that needs
another kind of task adds it to `TASKS`; parameters worth a run of their own go into `SETTINGS`. The claims
ship with the package, for `qubopress check`; here each is a test by its name.
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
from qubopress.suites.conformance.claim import Claim, Undecided

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


def cases_of(name: str) -> list[claims.Case]:
    """Every task with the defaults and each of the settings; a formulation without a network has its own."""
    found = problems.get(name)
    settings = [*([{}] if found.network else []), *SETTINGS.get(name, [])]
    tasks = GENERATING if name.startswith("ais-") else TASKS if found.network else BARE
    return [claims.Case(kind, make, one) for one in settings for kind, make in tasks.items()]


def cases_of_claim(claim: Claim) -> list[Any]:
    """Every formulation with its cases, or by itself where the claim is about what it says of itself."""
    alone = claim.cases is claims.itself
    pairs = [(name, case) for name in problems.names() for case in ([name] if alone else cases_of(name))]
    return [
        pytest.param(claim, name, case, id=f"{claim.holds.__name__}-{told(name, case)}")
        for name, case in pairs
    ]


def told(name: str, case: claims.Case | str) -> str:
    if isinstance(case, str):
        return name
    return f"{name}-{','.join(case.settings) or 'defaults'}-{case.kind}"


CASES = [case for claim in claims.CLAIMS for case in cases_of_claim(claim)]


@pytest.fixture(scope="module", autouse=True)
def _file() -> None:
    qubo(8).save(SETTINGS["qubo"][0]["file"])


@pytest.mark.parametrize(("claim", "name", "case"), CASES)
def test_every_claim_about_a_problem_holds(claim: Claim, name: str, case: claims.Case) -> None:
    if (
        claim.holds is claims.it_runs_to_the_end
    ):  # which leaves out what a formulation refuses; none does here
        assert claims.instances_of(name, case)
    elif claim.holds is claims.decode_undoes_encode and not has_layers(name, case):
        with pytest.raises(Undecided, match="no stage is a Rounding"):
            claim.holds(name, case)
    else:
        claim.holds(name, case)


def has_layers(name: str, case: claims.Case) -> bool:
    return any(isinstance(one, problems.Rounding) for one in claims.instances_of(name, case))


def test_no_claim_about_a_problem_is_without_a_case() -> None:
    tried = {case.values[0] for case in CASES}
    assert [claim.text for claim in claims.CLAIMS if claim not in tried] == []
