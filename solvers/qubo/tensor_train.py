"""tensor-train: learn a distribution over bits as a tensor train, sample it, move it towards the best draws.

After PROTES (Batsheva et al. 2023, arXiv:2301.12162): positive cores, so that the train is an unnormalised
probability, and a gradient step up the likelihood of the best draws; unlike there the best of earlier
iterations stay among them, which we measured to help. Where every solution has K ones so has every draw.
Not to be confused with protes, which begins around a mask and asks for few losses, nor with cross
approximation, which interpolates the loss itself.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ...problems import BlackBox, Capacity, Qubo
from ...problems.arrays import Bits, Floats
from ...problems.instances.over_bits import permutations
from ..registry import Range, solver
from ..run import Run
from .tensor_train_masks import Masks

__all__ = ["Train", "tensor_train"]


@solver(
    "tensor-train",
    accepts=(Qubo, Capacity, BlackBox),
    reference="Batsheva et al. 2023",
    max_variables=1000,
    counts="evaluations",
)
def tensor_train(
    instance: Qubo | Capacity | BlackBox,
    run: Run,
    *,
    rank: Annotated[int, Range(1, 32)] = 4,
    samples: Annotated[int, Range(2, 10_000, log=True)] = 64,
    elite: Annotated[int, Range(1, 1_000, log=True)] = 12,
    iterations: Annotated[int, Range(1, 10_000, log=True)] = 100,
) -> None:
    """Sample, keep the best so far, raise their likelihood by a gradient step. A sample costs O(n rank²).

    Parameters:
        rank: rank of the train.
        samples: points drawn in an iteration.
        elite: how many of the best points of a restart the distribution moves towards.
        iterations: iterations of a restart.
    """
    if instance.start is not None:
        run.offer(instance.start)
    ones = None if instance.K is None or not instance.exact else int(instance.K)
    while run.open():
        asked = run.evaluations_left()
        train = Train(_chances(instance), rank, K=ones, rng=run.rng)
        best, losses = np.empty((0, instance.n), dtype=np.int8), np.empty(0)
        for _ in range(iterations):
            draws = _fitting(instance, train.draw(min(samples, run.evaluations_left())), run.rng)
            best, losses = _best(np.r_[best, draws], np.r_[losses, run.losses(draws)], elite)
            run.offer(best[0])
            train.approach(best)
            if run.stopped():
                break
        if run.seconds is None and run.restarts is None and run.evaluations_left() == asked:
            return  # Nothing but new evaluations bounds the work, and the train finds no new point.


def _chances(instance: Qubo | Capacity | BlackBox) -> Floats:
    """Probability (n,) of each bit to begin with, leaning towards a black box's starting point."""
    if instance.start is not None:
        return 0.25 + 0.5 * instance.start.astype(np.float64)
    if instance.K is None or instance.exact:
        return np.full(instance.n, 0.5)
    return np.full(instance.n, np.clip(instance.K / instance.costs.sum(), 0.05, 0.5))


def _fitting(instance: Qubo | Capacity | BlackBox, x: Bits, rng: np.random.Generator) -> Bits:
    """The draws (k, n); under Σc·x ≤ K, which no train knows, brought to it in random order."""
    if instance.K is None or instance.exact:
        return x
    return instance.repair(x, permutations(rng, *x.shape))


def _best(points: Bits, losses: Floats, count: int) -> tuple[Bits, Floats]:
    """The `count` best different points and their losses, best first."""
    _, first = np.unique(points, axis=0, return_index=True)
    chosen = first[np.argsort(losses[first], kind="stable")][:count]
    return points[chosen], losses[chosen]


class Train(Masks):
    """A train whose cores' logarithms are moved by Adam."""

    RATE = 0.1

    def __init__(self, chances: Floats, rank: int, *, K: int | None, rng: np.random.Generator) -> None:
        super().__init__(chances, rank, K=K, rng=rng)
        self.moments, self.steps = np.zeros((2, *self.theta.shape)), 0

    def draw(self, count: int) -> Bits:
        """`count` samples (count, n)."""
        # Numbers lie bit by bit, so that a seed still means the masks of the stored results.
        return self.drawn(np.ascontiguousarray(self.rng.random((len(self.theta), count)).T))

    def approach(self, elite: Bits) -> None:
        """One step of Adam up the mean log-likelihood of the elite (m, n)."""
        gradient = self.gradient(elite, np.full(len(elite), 1.0 / len(elite)))
        self.steps += 1
        for moment, decay, value in zip(self.moments, (0.9, 0.999), (gradient, gradient**2), strict=True):
            moment += (1 - decay) * (value - moment)
        mean, square = self.moments[0] / (1 - 0.9**self.steps), self.moments[1] / (1 - 0.999**self.steps)
        self.theta += self.RATE * mean / (np.sqrt(square) + 1e-8)
