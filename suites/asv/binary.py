"""Pruning under a capacity and random QUBOs at fixed work: time, memory, quality and counts."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import qubopress.problems as problems
import qubopress.solvers as solvers

VERSION = "2"
"""Raise it when an instance, BEST or what `found` does changes, as in `rounding`."""

BEST = {"pruning": -17.425409129511273, "gaussian": -880.8168862442362}
"""Best known losses, which score an excess of 0; a solver's own best would move with it."""

SOLVERS = {
    "pruning": ["greedy", "swap", "one-flip", "sa", "tabu"],
    "gaussian": ["one-flip", "sa", "tabu", "tempering", "bifurcation"],
}

COUNTED = {
    "swap": "moves",
    "one-flip": "evaluations",
    "sa": "sweeps",
    "tabu": "flips",
    "bifurcation": "steps",
}
"""What each solver counts of its fixed work, whatever the machine."""


def build(name: str) -> Any:
    """22 filters of the digits CNN by the hybrid criterion, or 200 bits of Gaussian couplings."""
    if name == "pruning":
        task = problems.classification_task("digits-cnn", calibration=500)
        return next(problems.get("hybrid").generate(task, keep=0.64))
    return next(problems.get("random-qubo").generate(problems.bare_task(), n=200, seed=1))


def found(instance: Any, solver: str) -> solvers.Solution:
    """What a solver makes of its fixed work with a fixed seed."""
    return solvers.solve(instance, solver, restarts=1, seed=0)


class Built:
    """The instances, built once for all benchmarks, in a file that each of them reads."""

    timeout = 300
    version = VERSION
    params = [sorted(SOLVERS), sorted({one for several in SOLVERS.values() for one in several})]
    param_names = ["instance", "solver"]

    def setup_cache(self) -> str:
        Path("instances.pickle").write_bytes(pickle.dumps({name: build(name) for name in SOLVERS}))
        return "instances.pickle"

    def setup(self, path: str, name: str, solver: str) -> None:
        if solver not in SOLVERS[name]:
            raise NotImplementedError  # asv's way to leave out a pair
        self.instance = pickle.loads(Path(path).read_bytes())[name]  # noqa: S301 - our own file
        found(self.instance, solver)


class Build:
    """What it takes to make the instance."""

    timeout = 300
    version = VERSION
    params = sorted(SOLVERS)
    param_names = ["instance"]

    def time_build(self, name: str) -> None:
        build(name)

    def peakmem_build(self, name: str) -> None:
        build(name)


class Time(Built):
    """Processor seconds of fixed work, which a busy machine hardly changes; compilation left out."""

    timer = time.process_time

    def time_solve(self, path: str, name: str, solver: str) -> None:
        found(self.instance, solver)


class Memory(Built):
    """Peak memory of a search and all it imports."""

    def peakmem_solve(self, path: str, name: str, solver: str) -> None:
        found(self.instance, solver)


class Quality(Built):
    """Normalised excess after fixed work: 0 is the best known, 1 the baseline; lower is better."""

    unit = "excess"

    def track_excess(self, path: str, name: str, solver: str) -> float:
        loss, baseline = found(self.instance, solver).loss, self.instance.loss(self.instance.baseline())
        assert loss is not None
        # Where the baseline is the best known there is no scale but its own size.
        return (loss - BEST[name]) / ((baseline - BEST[name]) or abs(BEST[name]))


class Counts(Built):
    """Work that does not depend on the machine; lower is better."""

    params = [sorted(SOLVERS), sorted(COUNTED)]
    unit = "moves, evaluations, sweeps, flips or steps"

    def track_count(self, path: str, name: str, solver: str) -> int:
        return found(self.instance, solver).counts[COUNTED[solver]]
