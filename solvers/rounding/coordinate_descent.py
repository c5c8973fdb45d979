"""coordinate-descent: from round to nearest, move one weight at a time to its best level given all others.

Cyclic as in QuantEase (Behdin et al. 2023, arXiv:2309.01885), or always the weight that helps most as in
CDQuant (Nair & Suggala 2024, arXiv:2406.17542).
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ...problems import Rounding
from ..registry import Choice, Range, solver
from ..run import Run
from .descent import descend, spans, sweep

__all__ = ["coordinate_descent"]


@solver(
    "coordinate-descent",
    accepts=Rounding,
    reference="Behdin et al. 2023; Nair & Suggala 2024",
    counts="moves",
)
def coordinate_descent(
    rounding: Rounding,
    run: Run,
    *,
    rule: Annotated[str, Choice("cyclic", "greedy")] = "greedy",
    passes: Annotated[int, Range(1, 100_000, log=True)] = 1_000,
) -> None:
    """Move until no single move helps; O(f) a move, and O(f) to find the best one.

    Parameters:
        rule: "cyclic" goes over the columns in turn, "greedy" takes the move that helps most.
        passes: most passes of the cyclic rule; it ends early where one changes nothing.
    """
    x, columns = rounding.nearest(), np.arange(rounding.f)
    run.offer(x)
    for rows in spans(rounding, run, 2 * rounding.f**2):
        greedy = rule == "greedy"
        moves = descend(rounding, x, rows) if greedy else sweep(rounding, x, rows, columns, passes)
        run.tally("moves", moves)
        run.offer(x)
