"""one-flip: steepest descent from random points."""

from __future__ import annotations

import numpy as np

from ..problems import Qubo
from .kernels import descend, loss_of, matrix_of, noise, per_look, slopes
from .registry import solver
from .run import Run

__all__ = ["one_flip"]


@solver("one-flip", accepts=Qubo, reference="Merz & Freisleben 2002")
def one_flip(qubo: Qubo, run: Run) -> None:
    """Flip the variable that helps most until none helps; then restart. A flip costs O(n)."""
    matrix, least, flips = matrix_of(qubo), noise(qubo), per_look(2 * qubo.n)
    while run.open():
        x = run.rng.integers(0, 2, qubo.n, dtype=np.int8)
        slope = slopes(qubo, x)
        while not descend(matrix, slope, x, least, flips) and not run.stopped():
            pass
        run.offer(x, loss_of(qubo, slope, x))
