"""steepest-descent: D-Wave's descents from random points, as the package dwave-samplers ships them."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from ....problems import Qubo
from ...registry import Range, solver
from ...run import Run
from .model import model_of

__all__ = ["steepest_descent"]

PIECE = 50_000_000
"""Couplings met between two looks at the clock, as the library looks at none."""


@solver(
    "steepest-descent",
    accepts=Qubo,
    reference="D-Wave dwave-samplers",
    requires={"dwave-samplers": "dwave.samplers.greedy.descent"},
    counts="flips",
)
def steepest_descent(
    qubo: Qubo, run: Run, *, num_reads: Annotated[int, Range(1, 10_000, log=True)] = 10
) -> None:
    """Flip the spin that lowers the energy most until none does, from random points. A restart is num_reads.

    Earlier packages called it dwave-greedy. Our `one-flip` is the same search with a loop of its own.
    """
    from dwave.samplers.greedy.descent import steepest_gradient_descent

    if not run.open():
        return
    model = model_of(qubo)
    couplings, most = len(model[1]), max(1, PIECE // (qubo.n**2 + 10 * len(model[1])))
    large = bool(qubo.sparse and qubo.n > 100 and couplings < qubo.n**1.5)
    going = True
    while going:
        for first in range(0, num_reads, most):
            count = min(most, num_reads - first)
            start: Any = run.rng.integers(0, 2, (count, qubo.n), dtype=np.int8) * np.int8(2) - np.int8(1)
            spins, _, steps = steepest_gradient_descent(count, *model, start, large)
            reads = ((np.asarray(spins) + 1) // 2).astype(np.int8)
            run.tally("flips", int(np.sum(steps)))
            run.offer(reads[np.argmin(qubo.losses(reads))])
            if run.stopped():
                return
        going = run.open()
