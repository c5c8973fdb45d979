"""level-tabu leaves less than where it starts, and a damped search less on inputs that it has not seen."""

from __future__ import annotations

import numpy as np

from qubopress import solvers
from qubopress.problems import Rounding


def inputs(count: int, f: int = 40, *, seed: int) -> np.ndarray:
    """Inputs that go together, fewer than tell them all apart."""
    mixing = np.random.default_rng(0).standard_normal((12, f))
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, 12)) @ mixing + 0.5 * rng.standard_normal((count, f))


def layer(samples: int = 60, n: int = 24) -> tuple[Rounding, np.ndarray]:
    """A layer of eight levels, and the Gram matrix of other inputs."""
    seen, other = inputs(samples, seed=1), inputs(4000, seed=2)
    shift = np.random.default_rng(3).uniform(0, 7, (n, seen.shape[1]))
    return Rounding(seen.T @ seen / len(seen), shift, levels=8), other.T @ other / len(other)


def test_it_ends_below_nearest_planes_and_below_its_start() -> None:
    rounding, _ = layer()
    planes = solvers.solve(rounding, "nearest-plane", restarts=1, seed=0)
    found = solvers.solve(rounding, "level-tabu", restarts=1, seed=0)
    assert found.loss < 0.9 * planes.loss
    again = solvers.solve(from_start(rounding, found.x), "level-tabu", restarts=1, seed=1)
    assert again.loss <= found.loss


def from_start(rounding: Rounding, x: np.ndarray) -> Rounding:
    return Rounding(rounding.gram, rounding.shift, levels=8, start=x)


def test_a_start_that_the_search_leaves_for_a_worse_one_is_what_comes_back() -> None:
    """With so much damping it looks for small weights' errors more than for a small loss."""
    rounding, _ = layer()
    found = solvers.solve(rounding, "level-tabu", restarts=4, seed=0, damping=1e-8)
    again = solvers.solve(from_start(rounding, found.x), "level-tabu", restarts=1, seed=0, damping=1.0)
    np.testing.assert_array_equal(again.x, found.x)


def test_damping_costs_little_here_and_spares_more_on_other_inputs() -> None:
    rounding, other = layer(45, 100)
    losses = {}
    for damping in (1e-8, 0.01):
        found = solvers.solve(rounding, "level-tabu", restarts=1, seed=0, damping=damping)
        error = found.x - rounding.shift
        losses[damping] = found.loss, float(((error @ other) * error).sum())
    assert losses[0.01][0] < 1.05 * losses[1e-8][0]
    assert losses[0.01][1] < 0.9 * losses[1e-8][1]
