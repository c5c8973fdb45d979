"""swap: search inside the slice Σx = K, where a move exchanges a kept variable for a removed one.

Under Σc·x ≤ K a move may also add or drop one variable. Feasible after every move, so no penalty is needed.
"anneal" proposes exchanges at random (Kawasaki dynamics); "tabu" drops the variable that is missed least, or
adds the one that helps most, and then the best partner given that, which finds it in O(n) and not in O(n²).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from ...problems import Capacity
from ...problems.arrays import Bits
from ..registry import Choice, Range, solver
from ..run import Run
from .exchanges import Slice, between, filled
from .finishing import finish

__all__ = ["swap"]


ELITE = 8
"""How many of the best points found so far the tabu restarts cross."""

GROWTH = 2
"""How many times longer each further annealing is while only the time limits the search."""


@solver(
    "swap",
    accepts=Capacity,
    reference="Kawasaki 1966; Kirkpatrick et al. 1983; Glover 1989",
    counts="moves",
)
def swap(
    capacity: Capacity,
    run: Run,
    *,
    mode: Annotated[str, Choice("tabu", "anneal")] = "tabu",
    num_sweeps: Annotated[int, Range(1, 1_000_000, log=True)] = 1000,
) -> None:
    """Exchange a kept variable for a removed one, by tabu or by annealing. An accepted move costs O(n).

    Parameters:
        mode: "tabu" walks from points between the best; "anneal" cools from a random point.
        num_sweeps: length of an annealing or a walk; a sweep looks at n exchanges: n proposals, or one move
            of tabu. Under a budget alone each annealing is twice as long as the last.
    """
    piece, start = Slice.of(capacity), capacity.baseline()
    run.offer(start)
    search = _tabu if mode == "tabu" else _annealing
    # From its greedy end, as a way by exchanges, each O(n), is long from anywhere else.
    for x in search(piece, run, finish(capacity, np.ones_like(start)), num_sweeps):
        run.offer(x)


def _tabu(piece: Slice, run: Run, x: Bits, moves: int) -> Iterator[Bits]:
    """Settled ends of two walks a restart: from the start or between the best, and from a short annealing."""
    elite = list[tuple[float, Bits]]()
    while run.open():
        for fresh in (False, True):
            x = piece.tabu(piece.fresh(run, x) if fresh else x, run, moves)
            loss = piece.settle(x, run)
            yield x
            if not any(np.array_equal(x, known) for _, known in elite):
                elite = sorted([*elite, (loss, x)], key=lambda pair: pair[0])[:ELITE]
        x = between(piece, run, [known for _, known in elite])


def _annealing(piece: Slice, run: Run, x: Bits, sweeps: int) -> Iterator[Bits]:
    """The settled start, then the settled end of each annealing from a random point."""
    hot = cold = 0.0
    while run.open():
        if not hot:
            piece.settle(x, run)
            yield x
            hot, cold = piece.temperatures(x, run)
        x = filled(piece, np.zeros(x.size, dtype=np.int8), run)
        piece.anneal(x, run, np.geomspace(hot, cold, sweeps))
        piece.settle(x, run)
        yield x
        sweeps *= GROWTH if run.restarts is None else 1
