"""First incumbents of exact searches, by short annealings: the better they are, the more bounds cut off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...problems import Qubo
from ...problems.arrays import Bits
from ..compiled import per_look
from ..qubo.flips import descend, matrix_of, noise, reach, slopes
from ..qubo.metropolis import Chain, Luck, landscape_of
from ..run import Run

__all__ = ["annealed"]

HOT, COLD = 0.25, 0.0025
"""First and last temperature, in mean largest slopes of the variables."""

SWEEPS = 1_000


def annealed(qubo: Qubo, run: Run, reads: int) -> Iterator[Bits]:
    """A local minimum (n,) of each annealing from a random state, until the run ends; a move costs O(n)."""
    landscape, matrix = landscape_of(qubo), matrix_of(qubo)
    luck, hot = Luck(landscape, run.rng), HOT * float(reach(qubo).mean()) / landscape.unit
    temperatures = hot * (COLD / HOT) ** np.linspace(0.0, 1.0, SWEEPS)
    for _ in range(reads):
        if run.stopped():
            return
        chain = Chain(landscape, 0, landscape.random(0, run.rng))
        for block in np.array_split(temperatures, -(-SWEEPS // per_look(landscape.cost))):
            chain.anneal(block, luck)
        x = chain.best[: qubo.n].copy()
        descend(matrix, slopes(qubo, x), x, noise(qubo), per_look(2 * qubo.n))
        yield x
