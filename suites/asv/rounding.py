"""Rounding the first layer of the digits MLP to 3 bits: one instance feeds time, memory and quality."""

from __future__ import annotations

import qubopress.problems as problems
import qubopress.solvers as solvers


def first_layer() -> problems.Rounding:
    """The first instance of `adaround` on the digits MLP."""
    task = problems.classification_task("digits-mlp", calibration=500)
    return next(problems.get("adaround").generate(task, bits=3, per="tensor"))


class Layer:
    """The instance, built once for all benchmarks, in a file that each of them reads."""

    timeout = 300

    def setup_cache(self) -> str:
        first_layer().save("layer.npz")
        return "layer.npz"


class Time(Layer):
    """Seconds of fixed work, compilation left out by asv's own warm-up."""

    params = ["nearest-plane", "one-flip", "tabu", "neal"]
    param_names = ["solver"]

    def setup(self, path: str, solver: str) -> None:
        self.layer = problems.Rounding.load(path)
        solvers.solve(self.layer, solver, restarts=1)

    def time_solve(self, path: str, solver: str) -> None:
        solvers.solve(self.layer, solver, restarts=1)


class Memory(Layer):
    """Peak memory of a search and all it imports."""

    def peakmem_nearest_plane(self, path: str) -> None:
        solvers.solve(problems.Rounding.load(path), "nearest-plane", restarts=1)


class Quality(Layer):
    """Loss after fixed work as a share of round to nearest's; seeds are fixed, lower is better."""

    params = ["nearest-plane", "one-flip", "tabu", "neal"]
    param_names = ["solver"]
    unit = "loss / round to nearest"

    def track_loss(self, path: str, solver: str) -> float:
        layer = problems.Rounding.load(path)
        found = solvers.solve(layer, solver, restarts=1, seed=0)
        assert found.loss is not None
        return found.loss / layer.loss(layer.nearest())
