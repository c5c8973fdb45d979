"""random: uniform random solutions that keep to the capacity. What every search must beat."""

from __future__ import annotations

import numpy as np

from ...problems import BlackBox, Capacity, Qubo
from ...problems.arrays import Bits
from ..registry import solver
from ..run import Run

__all__ = ["random_sampling"]

BATCH = 64
"""Solutions drawn between two looks at the clock; a restart is one batch."""

EVALUATED = 8
"""The same where a solution costs a pass through a network."""


@solver("random", accepts=(Qubo, Capacity, BlackBox))
def random_sampling(instance: Qubo | Capacity | BlackBox, run: Run) -> None:
    """Draw batches of uniform solutions, keep the best; O(n²) a draw."""
    batch = EVALUATED if isinstance(instance, BlackBox) else BATCH
    while run.open():
        draws = _draw(instance, run, min(batch, run.evaluations_left()))
        losses = instance.losses(draws)
        if not isinstance(instance, BlackBox):  # A black box counts by itself.
            run.tally("evaluations", len(draws))
        best = int(np.argmin(losses))
        run.offer(draws[best], None if isinstance(instance, BlackBox) else float(losses[best]))


def _draw(instance: Qubo | Capacity | BlackBox, run: Run, count: int) -> Bits:
    """`count` solutions (count, n): fair coins, or variables in random order while they fit."""
    if isinstance(instance, Qubo) or instance.K is None:
        return run.rng.integers(0, 2, (count, instance.n), dtype=np.int8)
    costs = instance.costs if isinstance(instance, Capacity) else np.ones(instance.n)
    slack = instance.slack if isinstance(instance, Capacity) else 0.0
    orders = run.rng.permuted(np.tile(np.arange(instance.n), (count, 1)), axis=1)
    fits = np.cumsum(costs[orders], axis=1) <= instance.K + slack
    draws = np.zeros((count, instance.n), dtype=np.int8)
    np.put_along_axis(draws, orders, fits.astype(np.int8), axis=1)
    return draws
