"""stochastic-rounding: up or down by where each weight lies, blind to the data. A layer's random baseline."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ...problems import Rounding
from ..registry import Range, solver
from ..run import Run
from .descent import keep

__all__ = ["stochastic_rounding"]


@solver(
    "stochastic-rounding", accepts=Rounding, reference="Gupta et al. 2015, arXiv:1502.02551", counts="samples"
)
def stochastic_rounding(
    rounding: Rounding, run: Run, *, samples: Annotated[int, Range(1, 100_000, log=True)] = 100
) -> None:
    """Round up with the fraction as the probability, keep each neuron's best draw; O(n f²) a draw.

    Parameters:
        samples: draws of every neuron in a restart.
    """
    floor, every = np.floor(rounding.shift), np.arange(rounding.n)
    best, losses = rounding.nearest(), np.full(rounding.n, np.inf)
    while run.open():
        for _ in range(samples):
            x = rounding.settle(floor + (run.rng.random(rounding.shape) < rounding.shift - floor))
            run.tally("samples", rounding.n)
            if keep(rounding, best, losses, every, x):
                run.offer(best, float(losses.sum()))
            if run.stopped():
                break
