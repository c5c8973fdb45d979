"""random-nearest-plane: nearest plane that draws each level by its cost; the best of many draws stays.

Klein 2000. A level's probability falls with exp(−cost/T), so that T → 0 is nearest plane. Five samples are
what OJBKQ decodes with (Wang et al. 2026, arXiv:2602.08376), without that method's target.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ...problems import Rounding
from ..compiled import per_look
from ..registry import Choice, Range, solver
from ..run import Run
from .descent import keep
from .factors import triangle
from .plane_kernel import planes

__all__ = ["random_nearest_plane"]


@solver("random-nearest-plane", accepts=Rounding, reference="Klein 2000", counts="samples")
def random_nearest_plane(
    rounding: Rounding,
    run: Run,
    *,
    temperature: Annotated[float, Range(1e-4, 100.0, log=True)] = 0.1,
    samples: Annotated[int, Range(1, 10_000, log=True)] = 16,
    damping: Annotated[float, Range(1e-8, 1.0, log=True)] = 3e-3,
    order: Annotated[str, Choice("act", "given")] = "act",
) -> None:
    """Draw every neuron again and again, level by level, and keep its best draw; O(n f²) a draw.

    Parameters:
        temperature: in units of what nearest plane's loss of a neuron is per coordinate.
        samples: draws of every neuron in a restart.
        damping: added to the Gram matrix's diagonal, as a share of its mean.
        order: "act" takes the columns of the largest mean square first, "given" left to right.
    """
    every = np.arange(rounding.n)
    columns, lower = triangle(rounding.gram, order, damping)
    best = planes(rounding, every, columns, lower)
    run.offer(best)
    losses = rounding.row_losses(best)
    warmth = temperature * losses / rounding.scale**2 / rounding.f
    together = per_look(rounding.f**2)
    while run.open():
        for _ in range(samples):
            for rows in np.split(every, range(together, rounding.n, together)):
                if run.stopped():
                    break
                draws = run.rng.random((len(rows), rounding.f))
                x = planes(rounding, rows, columns, lower, warmth=warmth[rows], draws=draws)
                run.tally("samples", len(rows))
                if keep(rounding, best, losses, rows, x):
                    run.offer(best, float(losses.sum()))
