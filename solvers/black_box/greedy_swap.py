"""greedy-swap: try every exchange of a kept and a removed filter in random order, take those that help.

Unlike random-swap it tries no exchange twice from one point, so it knows a local optimum when it is in one.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ...problems import BlackBox
from ...problems.arrays import Bits
from ..registry import Choice, Range, solver
from ..run import Run
from .ask_and_exchange import ask, exchanged, exhausted, moves

__all__ = ["greedy_swap"]

BARREN = 50
"""Restarts without a new point, one after the other, after which the search ends."""


@solver("greedy-swap", accepts=BlackBox, reference="Merz & Freisleben 2002")
def greedy_swap(
    box: BlackBox,
    run: Run,
    *,
    improvement: Annotated[str, Choice("first", "best")] = "first",
    kick: Annotated[int, Range(1, 100)] = 3,
) -> None:
    """Descend by exchanges to a local optimum; a restart begins at the best point so far, kicked.

    A local optimum has been compared with all its K(n − K) neighbours. Without a K moves are flips.

    Parameters:
        improvement: take the first exchange that helps, or look at all of them for the best.
        kick: random exchanges before every restart but the first.
    """
    ask(box, run, box.start[None])
    barren = 0
    while run.open():
        asked, x = box.evaluations, box.start if run.best is None else run.best
        for _ in range(kick if run.opened > 1 else 0):
            x = exchanged(box, x, run.rng)
        if run.opened > 1 and not run.stopped():
            ask(box, run, x[None])
        better: Bits | None = x
        while better is not None and not run.stopped():
            x, better = better, _better(box, run, better, first=improvement == "first")
        barren = barren + 1 if exhausted(box, run, asked) else 0
        if barren == BARREN:
            return


def _better(box: BlackBox, run: Run, x: Bits, *, first: bool) -> Bits | None:
    """The first neighbour in random order that is better than x, or the best; None where none is."""
    loss, better = box.loss(x), None
    for i, j in run.rng.permutation(moves(box, x)):
        if run.stopped():
            break
        y = np.array(x)
        y[i], y[j] = 1 - x[i], 1 - x[j]
        there = ask(box, run, y[None])[0]
        if there < loss:
            loss, better = there, y
            if first:
                break
    return better
