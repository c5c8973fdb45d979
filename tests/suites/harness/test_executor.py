"""A job and its outcome are plain values, and both executors are executors."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from qubopress.suites.harness.dask_cluster import Cluster
from qubopress.suites.harness.executor import Executor, Job, JobOutcome
from qubopress.suites.harness.supervisor import Supervisor


@pytest.mark.parametrize("kind", [Supervisor, Cluster])
def test_every_executor_has_the_methods_of_the_protocol(kind: type) -> None:
    for name in ("__enter__", "__exit__", "preload", "run"):
        wanted = inspect.signature(getattr(Executor, name)).parameters
        assert list(wanted) == list(inspect.signature(getattr(kind, name)).parameters), name


def test_a_job_is_never_changed_and_an_outcome_is_not_of_timing_grade_unless_told() -> None:
    job = Job("survey", {})
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'seconds'"):
        job.seconds = 9.0  # type: ignore[misc]
    outcome = JobOutcome(job, None, "CRASHED", "why", 0.1)
    assert (outcome.timing_grade, outcome.limits, outcome.machine) == (False, {}, "")
