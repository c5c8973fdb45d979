"""ldlq: round left to right with feedback from an LDL factor, then greedy passes over the columns.

QuIP (Chee et al. 2023, arXiv:2307.13304) without its random rotations, which would change the instance. The
feedback alone is nearest plane in the given order.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ...problems import Rounding
from ..registry import Range, solver
from ..run import Run
from .descent import spans, sweep
from .factors import factor
from .plane_kernel import planes

__all__ = ["ldlq"]


@solver("ldlq", accepts=Rounding, reference="Chee et al. 2023, arXiv:2307.13304", counts="moves")
def ldlq(
    rounding: Rounding,
    run: Run,
    *,
    passes: Annotated[int, Range(0, 1_000)] = 10,
    damping: Annotated[float, Range(1e-8, 1.0, log=True)] = 0.01,
) -> None:
    """One pass with feedback, then each weight anew given all others, pass after pass; O(f³ + n f²).

    Parameters:
        passes: greedy passes after the feedback; they end early where one changes nothing.
        damping: added to the Gram matrix's diagonal, as a share of its mean.
    """
    columns = np.arange(rounding.f)
    x = planes(rounding, np.arange(rounding.n), columns, factor(rounding.gram, damping))
    run.offer(x)
    for _ in range(passes):
        moves = 0
        for rows in spans(rounding, run, rounding.f**2):
            made = sweep(rounding, x, rows, columns, 1)
            run.tally("moves", made)
            run.offer(x)
            moves += made
        if not moves:
            return
