"""protes: a tensor train of probability around a mask, moved towards the best masks it has drawn.

After PROTES (Batsheva et al. 2023, arXiv:2301.12162), made for losses that cost 50 ms and more: the train
begins at the black box's start, spread over a few exchanges; every draw has exactly K ones; masks seen before
are drawn again at no cost; the best of the whole restart stay among the `top`; and, which is **ours**, a step
leads away from the new masks that failed. Not to be confused with tensor-train, which begins anywhere, asks
for thousands of losses and takes instances of every shape. Defaults were chosen on digits-mlp, digits-wide
and digits-cnn.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ...problems import BlackBox
from ...problems.arrays import Bits, Floats
from ..qubo.tensor_train_masks import Masks
from ..registry import Range, solver
from ..run import Run
from .ask_and_exchange import ask, exhausted

__all__ = ["protes"]

ROUNDS = 6
"""Times that draws are widened fourfold before a train that shows no new mask is given up."""


@solver("protes", accepts=BlackBox, reference="Batsheva et al. 2023", max_variables=1000)
def protes(
    box: BlackBox,
    run: Run,
    *,
    rank: Annotated[int, Range(1, 16)] = 2,
    samples: Annotated[int, Range(1, 1_000, log=True)] = 1,
    top: Annotated[int, Range(1, 1_000, log=True)] = 1,
    learning_rate: Annotated[float, Range(0.001, 10.0, log=True)] = 1.0,
    away: Annotated[float, Range(0.0, 1.0)] = 0.2,
    spread: Annotated[float, Range(0.01, 100.0, log=True)] = 1.0,
    steps: Annotated[int, Range(1, 100_000, log=True)] = 1_000,
) -> None:
    """Sample new masks, ask for their losses, climb the likelihood of the best. A draw costs O(n rank²).

    Parameters:
        rank: rank of the train.
        samples: new masks asked for in a step.
        top: how many of the best masks of a restart the train moves towards.
        learning_rate: size of the gradient step on the mean log-likelihood of the top.
        away: weight of the new masks that missed the top, which the step leads away from.
        spread: exchanges between the start and a first draw, on average.
        steps: steps of a restart, which begins at the best mask so far.
    """
    ask(box, run, box.start[None])
    seen = {box.start.tobytes()}
    while run.open():
        asked, begin = box.evaluations, box.start if run.best is None else run.best
        train = Masks(_chances(box, begin, spread), rank, K=box.K, rng=run.rng)
        best, losses = begin[None], box.losses(begin[None])
        for _ in range(steps):
            if run.stopped():
                break
            new = _unseen(train, min(samples, run.evaluations_left()), seen)
            if not len(new):
                break
            both, found = np.r_[best, new], np.r_[losses, ask(box, run, new)]
            order = np.argsort(found, kind="stable")
            best, losses, failed = both[order[:top]], found[order[:top]], both[order[top:]]
            _approach(train, best, failed, learning_rate, away)
        if exhausted(box, run, asked):
            return


def _chances(box: BlackBox, begin: Bits, spread: float) -> Floats:
    """Probability (n,) of each bit, such that a draw lies about `spread` moves from where it begins."""
    ones = int(begin.sum()) if box.K is not None else box.n
    others = box.n - ones if box.K is not None else box.n
    leave, enter = spread / max(ones, 1), spread / max(others, 1)
    return np.clip(np.where(begin == 1, 1.0 - leave, enter), 0.001, 0.999)


def _unseen(train: Masks, wanted: int, seen: set[bytes]) -> Bits:
    """Up to `wanted` masks (k, n) not drawn before, now among the `seen`; fewer where there are no more."""
    new: list[Bits] = []
    for wider in range(ROUNDS):
        for x in train.draw(wanted * 4**wider):
            if len(new) == wanted:
                break
            if x.tobytes() not in seen:
                seen.add(x.tobytes())
                new.append(x)
        if len(new) == wanted:
            break
    return np.array(new, dtype=np.int8).reshape(len(new), len(train.theta))


def _approach(train: Masks, best: Bits, failed: Bits, learning_rate: float, away: float) -> None:
    """One gradient step up the mean log-likelihood of the best less `away` times that of the failed."""
    weights = np.r_[np.full(len(best), 1.0 / len(best)), np.full(len(failed), -away / max(len(failed), 1))]
    train.climb(learning_rate * train.gradient(np.r_[best, failed], weights))
