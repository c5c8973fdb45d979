"""level-tabu: from a nearest plane and its sweeps, the two weights furthest off move, and are not back soon.

Tabu search (Glover 1989) over all levels of a layer's weights, in the walks with which a grid is fitted: see
`problems.quantization.walks`. A move costs one row of the Gram matrix.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ...problems import Rounding
from ...problems.quantization.planes import Singles, ridge_of
from ...problems.quantization.walks import moves_by_loss, walks_of
from ..registry import Range, solver
from ..run import Run
from .descent import spans
from .levels.units import WeightUnits, factored, units_of

__all__ = ["level_tabu"]


LOOKS = 16
"""Groups of neurons between two offers under a budget: of each the whole layer's loss is computed."""

CLEAR = 1e-3
"""Share of a loss that a fall must be, so that float32 tells it for certain."""


@solver("level-tabu", accepts=Rounding, reference="Glover 1989", groups=True, counts="moves")
def level_tabu(
    rounding: Rounding,
    run: Run,
    *,
    moves: Annotated[int, Range(1, 1_000_000, log=True)] = 512,
    tenure: Annotated[int, Range(1, 1_000, log=True)] = 4,
    damping: Annotated[float, Range(1e-8, 1.0, log=True)] = 0.02,
) -> None:
    """Search from the instance's start, or a nearest plane; a round costs O(f) a move.

    Parameters:
        moves: of a neuron in a round, on average: more where the loss is great.
        tenure: moves for which a weight that moved stays, at least; at most twice as many. Of few weights a
            tenth, but two.
        damping: added to the Gram matrix's diagonal, as a share of its mean, for the nearest plane and for
            the search, which then fits the samples at hand a little less and others better.
    """
    plain = units_of(rounding)
    units, ridge = plain.damped(damping), ridge_of(plain.gram, damping)
    del plain
    walks = walks_of(units.gram)
    levels, field = _begin(rounding, units, damping)
    start, fallen = levels.copy(), np.zeros(rounding.n)
    if run.restarts is None:
        run.offer(rounding.settle(start))
    looks = LOOKS if run.restarts is None else rounding.n
    losses = units.losses(levels, field)
    counts, rounds = moves_by_loss(losses, moves), 0
    while run.open():
        if rounds:
            field = units.field(levels)
        for number, rows in enumerate(spans(rounding, run, 2 * moves * max(1, rounding.f))):
            chosen, seed = slice(rows[0], rows[-1] + 1), int(run.rng.integers(2**31))
            some = units.rows(chosen)
            made, gains = walks.walk(
                levels[chosen],
                field[chosen],
                some.steps,
                some.group,
                some.top,
                moves=counts[chosen],
                tenure=tenure + rounds,
                seed=seed,
                fixed=some.fixed,
            )
            run.tally("moves", made)
            fallen[chosen] += some.sizes**2 * gains
            if number % looks == looks - 1:
                run.offer(rounding.settle(levels))
        run.offer(rounding.settle(levels))
        rounds += 1
    spared = ridge * float((units.squares(start) - units.squares(levels)).sum())
    # An offer costs a look at the whole layer, which what is clearly worse is spared.
    if run.restarts is not None and not fallen.sum() - spared > CLEAR * losses.sum():
        run.offer(rounding.settle(start))


def _begin(rounding: Rounding, units: WeightUnits, damping: float) -> tuple[Singles, Singles]:
    """Levels (n, f) of the start that the instance has, or of a nearest plane and sweeps, and their field."""
    if rounding.start is not None:
        levels = rounding.start.astype(np.float32)
        return levels, units.field(levels)
    levels = units.nearest(factored(rounding.gram, "act", damping))
    _keep_nearest(rounding, levels)
    return levels, units.sweep(levels)


def _keep_nearest(rounding: Rounding, levels: Singles) -> None:
    """Put the nearest values of neurons for which they are better in the place of their levels."""
    nearest = rounding.nearest()
    worse = rounding.row_losses(nearest) < rounding.row_losses(levels)
    levels[worse] = nearest[worse]
