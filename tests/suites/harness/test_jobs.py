"""What a child of the warm server answers, with no server around it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from qubopress.suites.harness import jobs
from qubopress.suites.harness.survey import Survey
from qubopress.suites.harness.wire import read_messages, survey_request
from qubopress.suites.spec import InstanceSpec


def answer(kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The only message of a job."""
    read, write = os.pipe()
    jobs.JOBS[kind](payload, write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        (message,) = read_messages(bytearray(pipe.read()))
    return message


def test_a_survey_is_answered_with_what_is_known_of_the_instance() -> None:
    spec = InstanceSpec.of("random-qubo", n=12, seed=3)
    said = answer("survey", survey_request(spec))
    assert Survey.from_json(said["survey"]).info.name == spec.name
    assert isinstance(said["pieces"], list)


@pytest.mark.parametrize("kind", sorted(jobs.JOBS))
def test_a_request_that_is_none_is_broken_and_ends_no_child(kind: str) -> None:
    said = answer(kind, {"spec": {"nonsense": 1}, "formulation": ""})
    assert set(said) == {"broken"}
    assert "\n" not in said["broken"]


def test_a_parameter_out_of_range_is_refused() -> None:
    spec = InstanceSpec("adaround", "digits-mlp", parameters={"bits": 0})
    assert "bits must" in answer("survey", survey_request(spec))["refused"]


LOADED_TOGETHER = """
from importlib import import_module
from qubopress import problems, solvers
required = [solvers.get(name).requires for name in solvers.names()]
required += [problems.get(name).requires for name in problems.names()]
for modules in required:
    for module in filter(None, modules.values()):
        import_module(module)
"""


def test_what_solvers_and_formulations_need_can_be_loaded_in_one_process() -> None:
    # Some libraries exclude each other, and the server that forks all cells has what any of them needs.
    done = subprocess.run(
        [sys.executable, "-c", LOADED_TOGETHER], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
