"""random: uniform random solutions that keep to the capacity. What every search must beat."""

from __future__ import annotations

import numpy as np

from ...problems import BlackBox, Capacity, Qubo
from ..registry import solver
from ..run import Run

__all__ = ["random_sampling"]

BATCH = 64
"""Solutions drawn between two looks at the clock; a restart is one batch."""

EVALUATED = 8
"""The same where a solution costs a pass through a network."""


@solver("random", accepts=(Qubo, Capacity, BlackBox), counts="evaluations")
def random_sampling(instance: Qubo | Capacity | BlackBox, run: Run) -> None:
    """Draw batches of uniform solutions, keep the best; O(n²) a draw."""
    batch = EVALUATED if instance.counted else BATCH
    while run.open():
        draws = instance.random(run.rng, min(batch, run.evaluations_left()))
        losses = run.losses(draws)
        best = int(np.argmin(losses))
        run.offer(draws[best], None if instance.counted else float(losses[best]))
