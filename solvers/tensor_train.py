"""tensor-train: learn a distribution over bits as a tensor train, sample it, move it towards the best draws.

After PROTES (Batsheva et al. 2023, arXiv:2301.12162): positive cores, so that the train is an unnormalised
probability, and a gradient step up the likelihood of the best draws; unlike there the best of earlier
iterations stay among them, which we measured to help. Instances of exactly K ones multiply the train
by tntorch's indicator of weight K, so every draw is feasible. The product is never formed: the indicator is
an automaton that reads bits, and messages along the train carry its state. Not to be confused with cross
approximation, which interpolates the loss itself.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt

from ..problems import BlackBox, Capacity, Qubo
from ..problems.arrays import Bits, Floats
from .registry import Range, solver
from .run import Run

__all__ = ["Train", "tensor_train"]


@solver(
    "tensor-train",
    accepts=(Qubo, Capacity, BlackBox),
    reference="Batsheva et al. 2023",
    max_variables=1000,
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
    if isinstance(instance, BlackBox):
        run.offer(instance.start)
    while run.open():
        asked = run.evaluations_left()
        train = Train(instance.n, rank, run.rng, ones=_ones(instance), chances=_chances(instance))
        best, losses = np.empty((0, instance.n), dtype=np.int8), np.empty(0)
        for _ in range(iterations):
            draws = _fitting(instance, train.draw(min(samples, run.evaluations_left())), run.rng)
            best, losses = _best(np.r_[best, draws], np.r_[losses, instance.losses(draws)], elite)
            if not isinstance(instance, BlackBox):  # A black box counts by itself.
                run.tally("evaluations", len(draws))
            run.offer(best[0])
            train.approach(best)
            if run.stopped():
                break
        if run.seconds is None and run.restarts is None and run.evaluations_left() == asked:
            return  # Nothing but new evaluations bounds the work, and the train finds no new point.


def _ones(instance: Qubo | Capacity | BlackBox) -> int | None:
    """How many ones every solution has, None where that is free."""
    if isinstance(instance, Qubo) or instance.K is None:
        return None
    return None if isinstance(instance, Capacity) and not instance.exact else int(instance.K)


def _chances(instance: Qubo | Capacity | BlackBox) -> Floats:
    """Probability (n,) of each bit to begin with, leaning towards a black box's starting point."""
    if isinstance(instance, BlackBox):
        return 0.25 + 0.5 * instance.start.astype(np.float64)
    if isinstance(instance, Capacity) and not instance.exact:
        return np.full(instance.n, np.clip(instance.K / instance.costs.sum(), 0.05, 0.5))
    return np.full(instance.n, 0.5)


def _fitting(instance: Qubo | Capacity | BlackBox, x: Bits, rng: np.random.Generator) -> Bits:
    """The draws (k, n); under Σc·x ≤ K each keeps its variables in random order for as long as they fit."""
    if not isinstance(instance, Capacity) or instance.exact:
        return x
    order = rng.permuted(np.tile(np.arange(instance.n), (len(x), 1)), axis=1)
    used = np.cumsum(np.take_along_axis(x * instance.costs, order, axis=1), axis=1)
    fits = np.empty_like(x)
    np.put_along_axis(fits, order, (used <= instance.K + instance.slack).astype(np.int8), axis=1)
    return x & fits


def _best(points: Bits, losses: Floats, count: int) -> tuple[Bits, Floats]:
    """The `count` best different points and their losses, best first."""
    _, first = np.unique(points, axis=0, return_index=True)
    chosen = first[np.argsort(losses[first], kind="stable")][:count]
    return points[chosen], losses[chosen]


class Train:
    """Positive cores exp(θ) (n, 2, rank, rank) of a tensor train over n bits, and Adam on their logarithms.

    p(x) ∝ 1ᵀ G_1[x_1] … G_n[x_n] 1 where x has the right number of ones, else 0.
    """

    RATE = 0.1

    def __init__(
        self, n: int, rank: int, rng: np.random.Generator, *, ones: int | None, chances: Floats
    ) -> None:
        self.n, self.rank, self.rng = n, rank, rng
        chance = np.log(np.stack([1.0 - chances, chances], axis=1))[:, :, None, None]
        self.theta = chance + 0.1 * rng.standard_normal((n, 2, rank, rank))
        self.step, self.final = _automaton(ones)
        self.moments, self.steps = np.zeros((2, *self.theta.shape)), 0

    def draw(self, count: int) -> Bits:
        """`count` samples (count, n)."""
        cores, right = np.exp(self.theta), self._right(np.exp(self.theta))
        left, state = np.ones((count, self.rank)), np.zeros(count, dtype=np.int64)
        x, luck = np.empty((count, self.n), dtype=np.int8), self.rng.random((self.n, count))
        for k in range(self.n):
            paths = left @ cores[k]
            ahead = right[k + 1].T[self.step[:, state]]
            chance = np.einsum("bpr,bpr->bp", paths, ahead)
            bit = (luck[k] * chance.sum(axis=0) >= chance[0]).astype(np.int64)
            x[:, k] = bit
            left = _unit(paths[bit, np.arange(count)])
            state = self.step[bit, state]
        return x

    def approach(self, elite: Bits) -> None:
        """One step of Adam up the mean log-likelihood of the elite (m, n)."""
        gradient = self.gradient(elite)
        self.steps += 1
        for moment, decay, value in zip(self.moments, (0.9, 0.999), (gradient, gradient**2), strict=True):
            moment += (1 - decay) * (value - moment)
        mean, square = self.moments[0] / (1 - 0.9**self.steps), self.moments[1] / (1 - 0.999**self.steps)
        self.theta += self.RATE * mean / (np.sqrt(square) + 1e-8)

    def gradient(self, points: Bits) -> Floats:
        """Of the mean log-likelihood of points (m, n) by θ: how they use the cores less how samples do."""
        cores = np.exp(self.theta)
        return self._seen(cores, points) - self._expected(cores)

    def _right(self, cores: Floats) -> Floats:
        """Messages (n + 1, rank, states + 1) from the right end; the last state is dead and stays 0."""
        right = np.zeros((self.n + 1, self.rank, len(self.final)))
        right[self.n] = self.final
        for k in reversed(range(self.n)):
            ahead = right[k + 1]
            right[k] = cores[k, 0] @ ahead[:, self.step[0]] + cores[k, 1] @ ahead[:, self.step[1]]
            right[k] /= right[k].max()
        return right

    def _expected(self, cores: Floats) -> Floats:
        """Chance (n, 2, rank, rank) that a sample takes each bit by each way through the cores."""
        right, uses = self._right(cores), np.empty_like(cores)
        left = np.zeros((self.rank, len(self.final)))
        left[:, 0] = 1.0
        for k in range(self.n):
            after = np.zeros_like(left)
            for bit in (0, 1):
                uses[k, bit] = left @ right[k + 1][:, self.step[bit]].T
                # No two states step to the same one, but for the dead.
                after[:, self.step[bit]] += cores[k, bit].T @ left
            after[:, -1] = 0.0
            left = after / after.max()
        uses *= cores
        return np.asarray(uses / uses.sum(axis=(1, 2, 3), keepdims=True))

    def _seen(self, cores: Floats, points: Bits) -> Floats:
        """The same for given points (m, n), on average."""
        m, index = len(points), points.astype(np.int64)
        right = np.ones((self.n + 1, m, self.rank))
        chosen = cores[np.arange(self.n)[:, None], index.T]
        for k in reversed(range(self.n)):
            right[k] = _unit((chosen[k] @ right[k + 1][:, :, None])[:, :, 0])
        uses, left = np.zeros_like(cores), np.ones((m, self.rank))
        for k in range(self.n):
            use = left[:, :, None] * chosen[k] * right[k + 1][:, None, :]
            use /= use.sum(axis=(1, 2), keepdims=True) * m
            np.add.at(uses[k], index[:, k], use)
            left = _unit((left[:, None, :] @ chosen[k])[:, 0, :])
        return uses


def _unit(rows: Floats) -> Floats:
    """Rows that add up to 1, which leaves every proportion as it was."""
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


def _automaton(ones: int | None) -> tuple[npt.NDArray[np.int64], Floats]:
    """Next state (2, states + 1) on each bit, and which states (states + 1,) accept; the last is dead."""
    if ones is None:
        return np.array([[0, 1], [0, 1]]), np.array([1.0, 0.0])
    import tntorch

    # Every inner core of the indicator is the same one-hot table, whatever the number of bits.
    core = tntorch.weight_mask(3, [ones]).cores[1].numpy()
    dead = core.shape[0]
    table = np.where(core.any(axis=2), core.argmax(axis=2), dead).T
    return np.c_[table, [dead, dead]], np.arange(dead + 1) == float(ones)
