"""greedy: add to nothing and drop from everything by the true marginal energy; the better end counts.

Iterated greedy (Ruiz & Stützle 2007): a restart draws part of the best point anew and finishes it again.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ...problems import Capacity
from ..registry import Range, solver
from ..run import Run
from .finishing import finish

__all__ = ["greedy"]


@solver("greedy", accepts=Capacity, reference="Nemhauser, Wolsey & Fisher 1978; Ruiz & Stützle 2007")
def greedy(capacity: Capacity, run: Run, *, reset: Annotated[float, Range(0.0, 1.0)] = 0.2) -> None:
    """Take the least harmful step per cost until the capacity is met, interactions counted. O(n²) in all.

    Parameters:
        reset: share of the best point's variables that a restart draws anew; the first one draws none.
    """
    while run.open():
        if run.opened == 1:
            run.offer(finish(capacity, np.zeros(capacity.n, dtype=np.int8)))
            run.offer(finish(capacity, np.ones(capacity.n, dtype=np.int8)))
        elif run.best is not None:
            anew = run.rng.random(capacity.n) < reset
            x = np.where(anew, run.rng.integers(0, 2, capacity.n, dtype=np.int8), run.best)
            run.offer(finish(capacity, x))
