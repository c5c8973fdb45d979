"""Rounding the first layer of the digits MLP to 3 bits: time, memory, quality and counts of one instance."""

from __future__ import annotations

import time

import qubopress.problems as problems
import qubopress.solvers as solvers

VERSION = "3"
"""asv looks at a benchmark's own code alone. Raise this when `first_layer`, BEST or what `found` does
changes, so that asv shows no older points beside the new ones."""

SOLVERS = ["nearest-plane", "beam", "one-flip", "tabu", "neal", "sa", "bifurcation"]

COUNTED = {"one-flip": "evaluations", "tabu": "flips", "sa": "sweeps", "bifurcation": "steps"}
"""What each solver counts of its fixed work, whatever the machine."""

BEST = 0.0
"""Loss that scores an excess of 0. No rounding has a lower one; a solver's own best would move with it."""


def first_layer() -> problems.Rounding:
    """The first instance of `adaround` on the digits MLP."""
    task = problems.classification_task("digits-mlp", calibration=500)
    return next(problems.get("adaround").generate(task, bits=3, per="tensor"))


def found(layer: problems.Rounding, solver: str) -> solvers.Solution:
    """What a solver makes of its fixed work with a fixed seed."""
    return solvers.solve(layer, solver, restarts=1, seed=0)


class Layer:
    """The instance, built once for all benchmarks, in a file that each of them reads."""

    timeout = 300
    version = VERSION

    def setup_cache(self) -> str:
        first_layer().save("layer.npz")
        return "layer.npz"


class Build:
    """What it takes to calibrate the network and make the instance."""

    timeout = 300
    version = VERSION

    def time_first_layer(self) -> None:
        first_layer()

    def peakmem_first_layer(self) -> None:
        first_layer()


class Time(Layer):
    """Processor seconds of fixed work, which a busy machine hardly changes; compilation left out."""

    timer = time.process_time
    params = SOLVERS
    param_names = ["solver"]

    def setup(self, path: str, solver: str) -> None:
        self.layer = problems.Rounding.load(path)
        found(self.layer, solver)

    def time_solve(self, path: str, solver: str) -> None:
        found(self.layer, solver)


class Memory(Layer):
    """Peak memory of a search and all it imports."""

    params = SOLVERS
    param_names = ["solver"]

    def peakmem_solve(self, path: str, solver: str) -> None:
        found(problems.Rounding.load(path), solver)


class Quality(Layer):
    """Normalised excess after fixed work: 0 is no loss at all, 1 is round to nearest; lower is better."""

    params = SOLVERS
    param_names = ["solver"]
    unit = "excess"

    def track_excess(self, path: str, solver: str) -> float:
        layer = problems.Rounding.load(path)
        loss = found(layer, solver).loss
        assert loss is not None
        return (loss - BEST) / (layer.loss(layer.nearest()) - BEST)


class Counts(Layer):
    """Work that does not depend on the machine; lower is better."""

    params = sorted(COUNTED)
    param_names = ["solver"]
    unit = "evaluations, flips, sweeps or steps"

    def track_count(self, path: str, solver: str) -> int:
        return found(problems.Rounding.load(path), solver).counts[COUNTED[solver]]
