"""Stopwatch: the processor time of solvers at fixed work, in units of a calibration kernel.

Wall time tells who else ran; processor time tells it far less, and the least of several tries hardly at all.
What is left differs between processors, and a kernel that is no solver's code takes the most of that away.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch

from ... import problems, solvers
from ...problems import Instance
from ..harness.provenance import provenance
from ..spec import InstanceSpec, SolverSpec
from ..suite import Suite
from .baseline import Times

__all__ = ["SHORTEST", "Stopwatch", "calibration_seconds", "processor"]

SHORTEST = 0.03
"""Seconds that a bout lasts at least, by repetition: below, the clock shows the caches more than the code."""


@dataclass(frozen=True)
class _Bout:
    """A solver with its fixed work on the stages of an instance."""

    solver: SolverSpec
    instance: str
    stages: tuple[Instance, ...]
    limits: dict[str, Any]

    def run(self) -> None:
        for stage in self.stages:
            solvers.solve(stage, self.solver.name, seed=0, **self.limits, **self.solver.parameters)

    def warm(self) -> None:
        """Compile and import, which no bout shall count."""
        for stage in self.stages:
            sparse = bool(getattr(stage, "sparse", False))
            solvers.warm(self.solver.name, type(stage), sparse=sparse)


class Stopwatch:
    """The least times seen of each solver and instance of a suite, over the rounds so far.

    Every formulation gets its baseline as the answer of each stage, so that no solver's code changes what
    another is timed on.

    Parameters:
        suite: its fixed work; what no clock must end has `restarts`.
    """

    def __init__(self, suite: Suite) -> None:
        self.families: dict[str, str] = {}
        self._bouts = list(self._prepared(suite))
        self._seconds: dict[tuple[str, str], float] = {}
        self._kernel = np.inf
        calibration_seconds()  # compiles

    def _prepared(self, suite: Suite) -> Iterator[_Bout]:
        limits = vars(suite.budget)
        for spec in suite.instances:
            self.families[spec.name] = problems.get(spec.problem).family
            stages = _stages(spec)
            for solver in suite.solvers:
                if all(solvers.reaches(solvers.get(solver.name), type(stage)) for stage in stages):
                    bout = _Bout(solver, spec.name, stages, limits)
                    bout.warm()
                    yield bout

    def round(self, names: Collection[str] | None = None) -> None:
        """Time every bout once more, or those of the solvers of these names; the kernel runs between them."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for bout in self._bouts:
                if names is None or bout.solver.name in names:
                    key = bout.solver.name, bout.instance
                    self._kernel = min(self._kernel, calibration_seconds())
                    self._seconds[key] = min(self._seconds.get(key, np.inf), _seconds_of(bout))
        finally:
            torch.set_num_threads(before)

    def times(self) -> Times:
        """The least times so far."""
        found: Times = {}
        for (solver, instance), seconds in self._seconds.items():
            found.setdefault(solver, {})[instance] = float(seconds / self._kernel)
        return found


def _stages(spec: InstanceSpec) -> tuple[Instance, ...]:
    stages: list[Instance] = []

    def decide(_: int, instance: Instance) -> Any:
        stages.append(instance)
        return instance.baseline()

    spec.drive(spec.task(), decide)
    return tuple(stages)


def _seconds_of(bout: _Bout) -> float:
    """Processor seconds of one run of a bout, all threads together."""
    begun, runs = time.process_time(), 0
    while not runs or time.process_time() - begun < SHORTEST:
        bout.run()
        runs += 1
    return (time.process_time() - begun) / runs


def calibration_seconds() -> float:
    """Processor seconds of a fixed number of flips, the work of most solvers.

    Its matrix of 128 bits fits the second cache, as theirs do; a larger one would tell of the neighbours.
    """
    couplings = np.add.outer(np.arange(128.0), np.arange(128.0)) % 7.0 - 3.0
    begun = time.process_time()
    _flips(couplings, 800_000)
    return time.process_time() - begun


@numba.njit(cache=True, nogil=True)
def _flips(couplings: Any, count: int) -> float:
    """The sum of the fields after so many flips; no solver's code, which would hide its own slowdown."""
    n = len(couplings)
    fields, x = np.zeros(n), np.zeros(n)
    i = 0
    for step in range(count):
        sign = 1.0 - 2.0 * x[i]
        x[i] += sign
        for j in range(n):
            fields[j] += sign * couplings[i, j]
        i = (i * 181 + step) % n
    return float(fields.sum())


def processor() -> str:
    """The machine with what tells processors of one name apart: model, stepping, cache."""
    told: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            told.setdefault(name.strip(), value.strip())
    except OSError:
        pass
    names = ("cpu family", "model", "stepping", "cache size")
    return ", ".join([provenance().machine, *(f"{name} {told[name]}" for name in names if name in told)])
