"""one-flip: steepest descent from random points."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from ...problems import Qubo
from ...problems.arrays import Bits, Floats
from ..compiled import per_look
from ..registry import solver
from ..run import Run
from .flips import descend, loss_of, matrix_of, noise, slopes

__all__ = ["one_flip"]


@solver("one-flip", accepts=Qubo, reference="Merz & Freisleben 2002", counts="evaluations")
def one_flip(qubo: Qubo, run: Run) -> None:
    """Flip the variable that helps most until none helps; then restart. A flip costs O(n).

    A look at the n neighbours counts as n evaluations of the loss, a start as one.
    """
    matrix, least, flips = matrix_of(qubo), noise(qubo), per_look(2 * qubo.n)
    while run.open():
        x = run.rng.integers(0, 2, qubo.n, dtype=np.int8)
        slope = slopes(qubo, x)
        run.tally("evaluations")
        going = True
        while going:
            done = _flips(matrix, slope, x, least, flips)
            run.tally("evaluations", qubo.n * min(done + 1, flips))
            going = done == flips and not run.stopped()
        run.offer(x, loss_of(qubo, slope, x))


@numba.njit(cache=True, nogil=True)
def _flips(matrix: Any, slope: Floats, x: Bits, least: float, most: int) -> int:
    """Descend by at most that many flips; how many it took."""
    for done in range(most):
        # A literal 1 would have numba compile `descend` once more.
        if descend(matrix, slope, x, least, min(most, 1)):
            return done
    return most
