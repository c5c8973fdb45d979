"""bayesian-swap: ask for the exchange that a Gaussian process on all losses so far expects to gain most.

Bayesian optimisation as in COMBO (Oh et al. 2019, arXiv:1902.00448): its diffusion kernel on the graph of
single flips is exp(−d/ℓ) in the Hamming distance d, and the next point maximises the expected improvement
(Jones et al. 1998). One ℓ for all variables, chosen with the noise by marginal likelihood, and only exchanges
at the best point as candidates are **ours**: a mask of 64 channels has a thousand of them, and their losses
are nearly sums of two effects, which a few dozen losses tell. Pairs of exchanges are among the candidates, as
the best single ones end in poor local optima. Defaults were chosen on fashion-resnet-tuning and digits-cnn.
Not to be confused with random-swap, which learns nothing, or protes, which draws whole masks.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import ndtr

from ...problems import BlackBox
from ...problems.arrays import Bits, Floats
from ..registry import Range, solver
from ..run import Run
from .ask_and_exchange import ask, exhausted, moves

__all__ = ["Process", "bayesian_swap"]

FIRST = 4
"""Random exchanges before there is a process."""

NEAR, FAR = 1000, 700
"""Most points one exchange away, and those further away, that are compared before one is asked for."""

FARTHEST = 8
"""Random exchanges between the best point and candidates, once all nearer ones are known."""

MEMORY = 400
"""Most points of a process, those nearest to the best one: its cost grows with their cube."""

PATIENCE = 10
"""Losses after which the scales are chosen anew."""

SCALES = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Shares of the variables that ℓ may be."""

NOISES = (0.001, 0.01, 0.05, 0.2)
"""Variances of the noise, which stands for what the kernel cannot tell, in those of the process."""


@solver("bayesian-swap", accepts=BlackBox, reference="Oh et al. 2019", max_variables=1000)
def bayesian_swap(
    box: BlackBox, run: Run, *, proposals: Annotated[int, Range(1, 1_000_000, log=True)] = 500
) -> None:
    """Ask for the most promising exchange at the best point; without a K a move flips one variable.

    Parameters:
        proposals: new points in a restart. All restarts go on from the best point and what was learned.
    """
    x, process = box.start, Process()
    process.losses[x.tobytes()] = float(ask(box, run, x[None])[0])
    while run.open():
        asked = box.evaluations
        for _ in range(proposals):
            near = _candidates(box, x, process, run.rng) if not run.stopped() else box.start[:0]
            if not len(near):
                break
            y = near[process.choice(near, x) if len(process.losses) > FIRST else 0]
            loss = process.losses[y.tobytes()] = float(ask(box, run, y[None])[0])
            if loss < process.losses[x.tobytes()]:
                x = y
        if exhausted(box, run, asked):
            return


def _candidates(box: BlackBox, x: Bits, process: Process, rng: np.random.Generator) -> Bits:
    """Points (k, n) not asked for, in random order: one or two moves away, else as few as are left."""
    if box.n == 0 or box.K in (0, box.n):
        return box.start[None, :0]
    found, far = _neighbours(box, x, rng), _moved(box, np.tile(x, (FAR, 1)), rng)
    for _ in range(2, FARTHEST + 1):
        far = _moved(box, far, rng)
        found = _new(np.concatenate([found, far]), process)
        if len(found):
            break
    return found


def _neighbours(box: BlackBox, x: Bits, rng: np.random.Generator) -> Bits:
    """Points (k, n) a move away, all of them or a sample, in random order."""
    pairs = rng.permutation(moves(box, x))[:NEAR]
    points = np.tile(x, (len(pairs), 1))
    for flipped in pairs.T[: 1 if box.K is None else 2]:
        points[np.arange(len(pairs)), flipped] ^= 1
    return points


def _moved(box: BlackBox, points: Bits, rng: np.random.Generator) -> Bits:
    """The points (k, n) after a random move each."""
    points, every, luck = points.copy(), np.arange(len(points)), rng.random(points.shape)
    if box.K is None:
        points[every, luck.argmax(axis=1)] ^= 1
    else:
        leave, enter = (np.where(points == bit, luck, -1.0).argmax(axis=1) for bit in (1, 0))
        points[every, leave], points[every, enter] = 0, 1
    return points


def _new(points: Bits, process: Process) -> Bits:
    """Those of the points (k, n) that the process has no loss of, each once."""
    fresh = {y.tobytes(): i for i, y in enumerate(points) if y.tobytes() not in process.losses}
    return np.asarray(points[list(fresh.values())])


class Process:
    """A Gaussian process of unknown mean on bits, from all losses seen.

    Attributes:
        losses: of points seen, by their bytes.
    """

    def __init__(self) -> None:
        self.losses: dict[bytes, float] = {}
        self._scales = (SCALES[0], NOISES[0])
        self._chosen_at = 0

    def choice(self, candidates: Bits, x: Bits) -> int:
        """The place of the candidate (k, n) of largest expected improvement on the least loss, met at x."""
        points = np.frombuffer(b"".join(self.losses), dtype=np.int8).reshape(-1, x.size)
        losses = np.array(list(self.losses.values()))
        nearest = np.argsort(np.count_nonzero(points != x, axis=1), kind="stable")[:MEMORY]
        points, values = points[nearest], compressed(losses[nearest])
        apart = distances(points, points)
        if not self._chosen_at or len(losses) >= self._chosen_at + PATIENCE:
            self._scales, self._chosen_at = _likeliest(apart, values), len(losses)
        scale, noise = self._scales
        root = _root(apart, scale, noise)
        weights = solve_triangular(root, values, lower=True)
        across = solve_triangular(root, _kernel(distances(points, candidates), scale), lower=True)
        variance = np.maximum(2.0 - np.sum(across * across, axis=0), 1e-9) * np.mean(weights * weights)
        return int(np.argmax(_improvement(across.T @ weights, np.sqrt(variance), float(values.min()))))


def compressed(losses: Floats) -> Floats:
    """Losses (k,) to mean 0 and deviation 1, very bad ones made less so that they do not decide.

    Their logarithm, or where some are not positive, that of what they have above the least.
    """
    finite = losses[np.isfinite(losses)]
    if not finite.size or finite.min() == finite.max():
        return np.where(np.isfinite(losses), 0.0, 1.0)
    losses = np.minimum(losses, finite.max())
    if losses.min() > 0:
        values = np.log(losses)
    else:
        over = losses - losses.min()
        values = np.log1p(over / (float(np.median(over)) or float(over.mean())))
    return np.asarray((values - values.mean()) / values.std())


def distances(points: Bits, others: Bits) -> Floats:
    """Shares (k, m) of the variables in which points (k, n) and others (m, n) differ."""
    spins, to = (2.0 * some.astype(np.float64) - 1.0 for some in (points, others))
    return np.asarray((1.0 - spins @ to.T / points.shape[1]) / 2.0)


def _kernel(apart: Floats, scale: float) -> Floats:
    """Covariance of losses so far apart, that of their unknown mean being 1."""
    return np.asarray(np.exp(-apart / scale) + 1.0)


def _root(apart: Floats, scale: float, noise: float) -> Floats:
    return np.asarray(np.linalg.cholesky(_kernel(apart, scale) + noise * np.eye(len(apart))))


def _likeliest(apart: Floats, values: Floats) -> tuple[float, float]:
    """Scale and noise of the largest marginal likelihood, the variance of the process at its best."""

    def unlikeliness(scale: float, noise: float) -> float:
        root = _root(apart, scale, noise)
        weights = solve_triangular(root, values, lower=True)
        spread = max(float(np.mean(weights * weights)), 1e-300)
        return float(0.5 * len(values) * np.log(spread) + np.log(np.diag(root)).sum())

    return min(((scale, noise) for scale in SCALES for noise in NOISES), key=lambda two: unlikeliness(*two))


def _improvement(mean: Floats, deviation: Floats, least: float) -> Floats:
    """Expected improvement on the least value (Jones et al. 1998)."""
    z = (least - mean) / deviation
    return np.asarray(deviation * (z * ndtr(z) + np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)))
