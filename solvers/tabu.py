"""tabu: one-flip tabu search, restarted from a partly reset incumbent.

After the multistart tabu search of Palubeckis 2004, MQLib's best heuristic on our rounding instances;
the tenure and the share reset are our choices.
"""

from __future__ import annotations

from typing import Annotated, Any

import numba
import numpy as np

from ..problems import Qubo
from ..problems.arrays import Bits, Floats
from .kernels import copy, descend, flip, matrix_of, noise, per_look, slopes
from .registry import Range, solver
from .run import Run

__all__ = ["tabu"]


@solver("tabu", accepts=Qubo, reference="Palubeckis 2004")
def tabu(
    qubo: Qubo,
    run: Run,
    *,
    tenure: Annotated[int, Range(1, 1_000)] = 20,
    flips: Annotated[int, Range(100, 10_000_000, log=True)] = 10_000,
    reset: Annotated[float, Range(0.01, 1.0)] = 0.2,
) -> None:
    """Always flip the best variable that was not flipped lately, even uphill. A flip costs O(n).

    Parameters:
        tenure: flips for which a variable stays tabu, at most a quarter of the variables.
        flips: length of a restart.
        reset: share of the variables drawn anew from the incumbent to begin a restart.
    """
    matrix, least, block = matrix_of(qubo), noise(qubo), per_look(2 * qubo.n)
    while run.open():
        x = _begin(qubo.n, run, reset)
        slope, until = slopes(qubo, x), np.zeros(qubo.n, dtype=np.int64)
        while not descend(matrix, slope, x, least, block) and not run.stopped():
            pass
        run.offer(x)
        for start in range(0, flips, block):
            if run.stopped():
                break
            steps = min(block, flips - start)
            # Slopes and loss are computed anew for each block, so that no rounding error builds up.
            slope, now = slopes(qubo, x), qubo.loss(x)
            top = _search(
                matrix, slope, x, until, now, run.loss, least, start, steps, min(tenure, qubo.n // 4)
            )
            run.tally("flips", steps)
            run.offer(top)


def _begin(n: int, run: Run, reset: float) -> Bits:
    """The incumbent with a random share of its variables drawn anew; at first a random point."""
    anew = run.rng.integers(0, 2, n, dtype=np.int8)
    return anew if run.best is None else np.where(run.rng.random(n) < reset, anew, run.best)


@numba.njit(cache=True, nogil=True)
def _search(
    matrix: Any,
    slope: Floats,
    x: Bits,
    until: Any,
    now: float,
    aim: float,
    least: float,
    start: int,
    steps: int,
    tenure: int,
) -> Bits:
    """The best point met in `steps` tabu flips from x, whose loss is `now`; x, slope and until move on.

    A tabu variable may be flipped if that leads below `aim`, the incumbent's loss.
    """
    top, top_loss = x.copy(), now
    for step in range(start + 1, start + steps + 1):
        pick, lowest = x.size, np.inf
        for i in range(x.size):
            change = (1.0 - 2.0 * x[i]) * slope[i]
            if change < lowest and (until[i] < step or now + change < aim - least):
                pick, lowest = i, change
        if pick == x.size:
            continue
        now += flip(matrix, slope, x, pick)
        until[pick] = step + tenure
        if now < top_loss - least:
            top_loss = now
            copy(x, top)
            aim = min(aim, now)
    return top
