"""random-swap: exchange a random kept filter for a random removed one, and keep what is better.

The rival of every refiner that learns: it knows nothing of the losses but the last one it accepted.
Not to be confused with swap, which anneals a Qubo's own energy.
"""

from __future__ import annotations

from typing import Annotated

from ...problems import BlackBox
from ..registry import Range, solver
from ..run import Run
from .ask_and_exchange import ask, exchanged, exhausted

__all__ = ["random_swap"]


@solver("random-swap", accepts=BlackBox, reference="Kawasaki 1966")
def random_swap(
    box: BlackBox, run: Run, *, proposals: Annotated[int, Range(1, 1_000_000, log=True)] = 2_000
) -> None:
    """Accept a random exchange if it lowers the loss; without a K a move flips one variable.

    Parameters:
        proposals: moves tried in a restart, which begins at the start; those seen before cost nothing.
    """
    start = ask(box, run, box.start[None])[0]
    while run.open():
        asked, x, loss = box.evaluations, box.start, start
        for _ in range(proposals):
            if run.stopped():
                break
            y = exchanged(box, x, run.rng)
            there = ask(box, run, y[None])[0]
            if there < loss:
                x, loss = y, there
        if exhausted(box, run, asked):
            return
