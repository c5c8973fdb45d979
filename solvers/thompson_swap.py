"""thompson-swap: exchange the filters that a linear model of all exchanges so far has the most hope in.

What an exchange gains is taken to be the sum of two filters' effects and noise. Thompson sampling (Agrawal &
Goyal 2013, arXiv:1209.3352) draws effects from their posterior and tries the exchange that would be best, so
that filters of which little is known are tried as long as they may be worth it. Not to be confused with
random-swap, which learns nothing, or protes, whose distribution is over whole masks.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

from ..problems import BlackBox
from ..problems.arrays import Bits, Floats
from .refinement import ask, exchanged, exhausted
from .registry import Range, solver
from .run import Run

__all__ = ["Effects", "thompson_swap"]

DRAWS = 10
"""Draws of the posterior, and then random exchanges, that may lead to points seen before."""

KICK = 3
"""Random exchanges between the best point and where a later restart begins."""

RECENT = 40
"""Exchanges by which the size of a difference is told."""

WIDE = 3.0
"""Sizes beyond which a difference counts as no larger: one filter may ruin a network."""


@solver("thompson-swap", accepts=BlackBox, reference="Agrawal & Goyal 2013", max_variables=1000)
def thompson_swap(
    box: BlackBox, run: Run, *, proposals: Annotated[int, Range(1, 1_000_000, log=True)] = 2_000
) -> None:
    """Accept the exchange that drawn effects favour if it lowers the loss; without a K a move flips one.

    Parameters:
        proposals: most moves tried in a restart. The first begins at the start, later ones a few random
            exchanges from the best point; each ends where it finds no new one, and all share what is learned.
    """
    stuck = box.n == 0 or box.K in (0, box.n)  # the start is all there is
    x, effects, seen = box.start, Effects(box.n), set[bytes]()
    while run.open():
        asked = box.evaluations
        loss = float(ask(box, run, x[None])[0])
        seen.add(x.tobytes())
        for _ in range(proposals):
            y = None if stuck or run.stopped() else _hoped(box, x, effects, seen, run.rng)
            if y is None:
                break
            seen.add(y.tobytes())
            there = float(ask(box, run, y[None])[0])
            effects.learn((y - x).astype(np.float64), there - loss)
            if there < loss:
                x, loss = y, there
        if exhausted(box, run, asked):
            return
        if not stuck:
            x = _kicked(box, x if run.best is None else run.best, run.rng)


class Effects:
    """Beliefs on what each of n variables adds to the loss where it is kept: normal, from differences seen.

    The prior's width is that of a difference's noise, and both are the size of recent differences.
    """

    def __init__(self, n: int) -> None:
        self.precision = np.eye(n)
        self.pull = np.zeros(n)
        self.recent: list[float] = []

    @property
    def size(self) -> float:
        """Root mean square of recent differences; 1 before there is any."""
        return float(np.sqrt(np.mean(np.square(self.recent)))) if any(self.recent) else 1.0

    def learn(self, change: Floats, difference: float) -> None:
        """That a move changed variables (n,) by ±1 and the loss by so much; infinite counts as very large."""
        usual = float(np.median(np.abs(self.recent))) if self.recent else abs(difference)
        reach = WIDE * usual if np.isfinite(usual) and usual > 0 else 1.0
        self.recent = [*self.recent, float(np.clip(difference, -reach, reach))][-RECENT:]
        self.precision += np.outer(change, change)
        self.pull += change * float(np.clip(difference, -WIDE * self.size, WIDE * self.size))

    def draw(self, rng: np.random.Generator) -> Floats:
        """Effects (n,) from the posterior."""
        lower = np.linalg.cholesky(self.precision)
        spread = solve_triangular(lower, rng.standard_normal(len(lower)), lower=True, trans="T")
        return np.asarray(cho_solve((lower, True), self.pull) + self.size * spread)


def _hoped(
    box: BlackBox, x: Bits, effects: Effects, seen: set[bytes], rng: np.random.Generator
) -> Bits | None:
    """The point after the move that drawn effects favour, or a random one; None where all were seen."""
    for _ in range(DRAWS):
        y = _favoured(x, effects.draw(rng), exact=box.K is not None)
        if y.tobytes() not in seen:
            return y
    for _ in range(DRAWS):
        y = exchanged(box, x, rng)
        if y.tobytes() not in seen:
            return y
    return None


def _kicked(box: BlackBox, x: Bits, rng: np.random.Generator) -> Bits:
    """The point after a few random moves."""
    for _ in range(KICK):
        x = exchanged(box, x, rng)
    return x


def _favoured(x: Bits, drawn: Floats, *, exact: bool) -> Bits:
    """The point after the move that lowers the sum of the kept ones' effects most."""
    y = np.array(x)
    gain = np.where(x == 1, drawn, -drawn)
    if not exact:
        y[np.argmax(gain)] ^= 1
    else:
        y[np.argmax(np.where(x == 1, gain, -np.inf))] = 0
        y[np.argmax(np.where(x == 0, gain, -np.inf))] = 1
    return y
