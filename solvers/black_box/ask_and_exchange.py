"""What the refiners of a black box share: asking for losses, exchanging a kept for a removed variable."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...problems import BlackBox
from ...problems.arrays import Bits, Floats
from ..run import Run

__all__ = ["ask", "exchanged", "exhausted", "moves"]


def ask(box: BlackBox, run: Run, points: Bits) -> Floats:
    """Losses (k,) of points (k, n); the lowest is offered, unless even that is infinite."""
    losses = box.losses(points)
    if len(losses) and np.isfinite(losses.min()):
        run.offer(points[int(np.argmin(losses))])
    return losses


def moves(box: BlackBox, x: Bits) -> npt.NDArray[np.int64]:
    """Every move from x, (m, 2): variables to flip. A kept one and a removed one; without a K, one twice."""
    if box.K is None:
        return np.stack([np.arange(box.n)] * 2, axis=1)
    kept, removed = np.flatnonzero(x == 1), np.flatnonzero(x == 0)
    return np.stack([np.repeat(kept, len(removed)), np.tile(removed, len(kept))], axis=1)


def exchanged(box: BlackBox, x: Bits, rng: np.random.Generator) -> Bits:
    """The point x after a random move."""
    y = np.array(x)
    if box.K is None:
        y[rng.integers(box.n)] ^= 1
    else:
        y[rng.choice(np.flatnonzero(x == 1))] = 0
        y[rng.choice(np.flatnonzero(x == 0))] = 1
    return y


def exhausted(box: BlackBox, run: Run, asked: int) -> bool:
    """Whether to give up: nothing limits restarts, and the last, begun at `asked`, saw no new point."""
    return run.restarts is None and box.evaluations == asked
