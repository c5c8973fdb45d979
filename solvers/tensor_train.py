"""tensor-train: learn a distribution over bits as a tensor train, sample it, move it towards the best samples.

After PROTES (Batsheva et al. 2023, arXiv:2301.12162): positive cores, so that the train is an unnormalised
probability, and a gradient step up the likelihood of the best draws. Instances of exactly K ones multiply it
by tntorch's indicator of weight K, so every draw is feasible. The product is never formed: the indicator is
an automaton that reads bits, and messages along the train carry its state. Not to be confused with cross
approximation, which interpolates the loss itself.
"""

from __future__ import annotations

from typing import Annotated, Any

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
    elite: Annotated[int, Range(1, 1_000, log=True)] = 8,
    iterations: Annotated[int, Range(1, 10_000, log=True)] = 100,
) -> None:
    """Sample, keep the elite, raise its likelihood by a gradient step. A sample costs O(n rank²).

    Parameters:
        rank: rank of the train.
        samples: points drawn in an iteration.
        elite: how many of the best draws the distribution moves towards.
        iterations: iterations of a restart.
    """
    if isinstance(instance, BlackBox):
        run.offer(instance.start)
    while run.open():
        asked = run.evaluations_left()
        train = Train(instance.n, rank, run.rng, ones=_ones(instance), lean=_lean(instance))
        for _ in range(iterations):
            draws = train.draw(min(samples, run.evaluations_left()))
            losses = _penalised(instance, draws)
            best = np.argsort(losses, kind="stable")[:elite]
            run.offer(draws[best[0]])
            train.approach(draws[best])
            if run.stopped():
                break
        if run.seconds is None and run.restarts is None and run.evaluations_left() == asked:
            return  # Nothing but new evaluations bounds the work, and the train finds no new point.


def _ones(instance: Qubo | Capacity | BlackBox) -> int | None:
    """How many ones every solution has, None where that is free."""
    if isinstance(instance, Qubo) or instance.K is None:
        return None
    return None if isinstance(instance, Capacity) and not instance.exact else int(instance.K)


def _lean(instance: Qubo | Capacity | BlackBox) -> Floats:
    """Probability (n,) of each bit to begin with: a black box's search leans towards its starting point."""
    if isinstance(instance, BlackBox):
        return 0.25 + 0.5 * instance.start
    return np.full(instance.n, 0.5)


def _penalised(instance: Qubo | Capacity | BlackBox, x: Bits) -> Floats:
    """Losses (k,); points beyond a capacity Σc·x ≤ K weigh more than any other, by their excess."""
    losses = instance.losses(x)
    if not isinstance(instance, Capacity) or instance.exact:
        return losses
    over = np.maximum(x @ instance.costs / max(instance.K, 1e-300) - 1.0 - 1e-12, 0.0)
    return np.where(over > 0, losses.max() + (1.0 + over) * np.ptp(losses) + over, losses)


class Train:
    """Positive cores exp(θ) (n, 2, rank, rank) of a tensor train over n bits, and Adam on their logarithms.

    p(x) ∝ 1ᵀ G_1[x_1] … G_n[x_n] 1 where x has the right number of ones, else 0.
    """

    RATE = 0.1

    def __init__(self, n: int, rank: int, rng: np.random.Generator, *, ones: int | None, lean: Floats) -> None:
        self.n, self.rank, self.rng = n, rank, rng
        chance = np.log(np.stack([1.0 - lean, lean], axis=1))[:, :, None, None]
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
        cores = np.exp(self.theta)
        gradient = self._seen(cores, elite) - self._expected(cores)
        self.steps += 1
        for moment, decay, value in zip(self.moments, (0.9, 0.999), (gradient, gradient**2), strict=True):
            moment += (1 - decay) * (value - moment)
        mean, square = self.moments[0] / (1 - 0.9**self.steps), self.moments[1] / (1 - 0.999**self.steps)
        self.theta += self.RATE * mean / (np.sqrt(square) + 1e-8)

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
