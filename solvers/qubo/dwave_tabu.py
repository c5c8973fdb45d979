"""dwave-tabu: D-Wave's multistart tabu search, as the package dwave-samplers ships it.

Not to be confused with `tabu`, our own search after the same paper. The library knows no interruption but a
timeout in milliseconds, which it takes as an upper bound: small instances end earlier, whatever it says.
So its work is bounded by moves and calls are chained, each from where the last one ended.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np

from ...problems import Qubo
from ...problems.arrays import Bits
from ..registry import Range, solver
from ..run import Run

__all__ = ["dwave_tabu"]

MOVES = 500_000
"""Least moves, weighed not made, of one tabu search: the library's own default."""


@solver(
    "dwave-tabu",
    accepts=Qubo,
    reference="Palubeckis 2004, by D-Wave dwave-samplers",
    anytime=False,
    max_variables=5000,
    requires={"dwave-samplers": "dwave.samplers.tabu"},
    counts="searches",
)
def dwave_tabu(
    qubo: Qubo,
    run: Run,
    *,
    tenure: Annotated[int, Range(0, 1_000)] = 0,
    num_restarts: Annotated[int, Range(0, 10_000, log=True)] = 5,
) -> None:
    """The library's multistart tabu search; a restart is one call of it and goes on from the incumbent.

    Parameters:
        tenure: flips for which a variable stays tabu, at most n − 1; 0 leaves it to the library.
        num_restarts: tabu searches from a changed solution in one call, after the one it begins with.
    """
    matrix = np.array(qubo.Q.toarray() if qubo.sparse else qubo.Q)  # The library asks for one to write to.
    while run.open():
        fresh = run.best is None
        start = run.rng.integers(0, 2, qubo.n, dtype=np.int8) if fresh else run.best
        run.offer(_call(qubo, run, matrix, start, tenure, num_restarts, fresh=fresh))


def _call(
    qubo: Qubo, run: Run, matrix: Any, start: Any, tenure: int, num_restarts: int, *, fresh: bool
) -> Bits:
    """The best point of one call. Only a fresh start deserves the long search that a call begins with."""
    # The sampler itself would build the dense matrix anew for each call, out of a dictionary.
    from dwave.samplers.tabu import TabuSearch  # type: ignore[attr-defined]  # compiled, without stubs

    first, restart = _coefficients(qubo.n)
    found: Any = TabuSearch(
        matrix,
        start,
        min(tenure, qubo.n - 1),
        -1 if math.isinf(run.remaining()) else math.ceil(1000 * run.remaining()),
        num_restarts,
        int(run.rng.integers(2**31)),
        None if run.target is None else run.target - qubo.offset,
        first if fresh or not num_restarts else 1,
        restart,
        1,
    )
    run.tally("searches", found.numRestarts() + 1)
    return np.asarray(found.bestSolution(), dtype=np.int8)


def _coefficients(n: int) -> tuple[int, int]:
    """Moves per variable of a call's first tabu search and of the later ones: the library's defaults."""
    least = -(-MOVES // n)
    first, restart = (10_000, 2_500) if n <= 500 else (25_000, 6_250)
    return max(first, least), max(restart, least)
