"""Agents over shared couplings: forces, read-outs, the best so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from ...problems import InputError, Qubo, Rounding
from ...problems.arrays import Bits, Floats
from ...problems.instances.ising import ising, neurons
from ..compiled import per_look, readonly
from ..run import Declined, Run
from .flips import descend, matrix_of

__all__ = ["LOOKS", "POLISHED", "Best", "Forces", "Spins", "Swarm", "lengths", "roll", "spectrum"]

LOOKS = 8
"""Read-outs of a schedule."""


POLISHED = 4
"""Best agents of a read-out that are taken to a local minimum."""


def lengths(run: Run, steps: int) -> Iterator[int]:
    """Open restarts and give each its steps: `steps`, or against the clock 1; 1, 2; 1, 2, 4; … eighths of it.

    Long schedules suit many spins and many short ones few; half of the time goes to the longest so far.
    """
    longest, power = 0, 0
    while run.open():
        yield steps if run.restarts is not None else max(1, steps // LOOKS) << power
        longest, power = (longest + 1, 0) if power == longest else (longest, power + 1)


@dataclass(frozen=True, eq=False)
class Spins:
    """Instances over m spins that share their couplings: a Qubo alone, or the neurons of a layer.

    Attributes:
        J: (m, m) symmetric without a diagonal, dense or CSR.
        h: (k, m) field on each spin, for k instances.
        held: (k, m) ±1 where a spin is fixed, 0 where it is free.
        matrix: −2J, the couplings of the bits, as compiled kernels take them.
        decode: from bits (k, m) to a solution.
    """

    J: Any
    h: Floats
    held: Bits
    matrix: Any
    decode: Callable[[Bits], Bits]

    @classmethod
    def of(cls, instance: Qubo | Rounding) -> Spins:
        """The spins of an instance.

        Raises:
            Declined: levels that cannot be written in bits.
        """
        if isinstance(instance, Qubo):
            one = ising(instance)
            free = np.zeros((1, one.n), dtype=np.int8)
            return cls(one.J, one.h[None], free, matrix_of(instance), lambda x: x[0])
        try:
            layer = neurons(instance)
        except InputError as error:
            raise Declined(str(error)) from None
        return cls(layer.J, layer.h, layer.held, readonly(-2.0 * layer.J), layer.decode)

    @cached_property
    def linear(self) -> Floats:
        """Loss of each bit alone (k, m)."""
        return np.asarray(2.0 * (np.asarray(self.J.sum(axis=1)).ravel() - self.h))

    @cached_property
    def noise(self) -> float:
        """Change of a loss below which slopes may only be rounding noise."""
        return float(1e-13 * (np.abs(self.linear).max(initial=0.0) + 4.0 * abs(self.J).sum(axis=1).max()))

    def slopes(self, x: Bits) -> Floats:
        """Slopes of the loss (k, a, m) at bits (k, a, m), in float64."""
        points = x.reshape(-1, x.shape[-1]).astype(np.float64)
        return np.asarray(self.linear[:, None] - 4.0 * (self.J @ points.T).T.reshape(x.shape))

    def losses(self, x: Bits, slopes: Floats) -> Floats:
        """Losses (k, a) from the slopes, but for the scale and the offset of each instance."""
        return np.asarray(0.5 * np.einsum("kam,kam->ka", x, self.linear[:, None] + slopes))


class Best:
    """The best bits of each instance so far; every gain is offered to the run."""

    def __init__(self, spins: Spins, run: Run) -> None:
        self.spins, self.run = spins, run
        self.x = np.zeros(spins.h.shape, dtype=np.int8)
        self.losses = np.full(len(spins.h), np.inf)

    def take(self, x: Bits) -> None:
        """Polish the best of the agents' bits (k, a, m); keep and offer what is better than before."""
        spins, gained = self.spins, False
        slopes = spins.slopes(x)
        order = np.argsort(spins.losses(x, slopes), axis=1, kind="stable")[:, :POLISHED, None]
        x = np.take_along_axis(x, order, axis=1)
        slopes = np.take_along_axis(slopes, order, axis=1)
        for k, one in np.ndindex(x.shape[:2]):
            # A slope without end keeps a bit where it is fixed.
            slope = np.where(spins.held[k] != 0, (1.0 - 2.0 * x[k, one]) * np.inf, slopes[k, one])
            while not descend(spins.matrix, slope, x[k, one], spins.noise, per_look(2 * slope.size)):
                if self.run.stopped():
                    break
        losses = spins.losses(x, spins.slopes(x))
        for k, one in enumerate(losses.argmin(axis=1)):
            if losses[k, one] < self.losses[k]:
                self.x[k], self.losses[k], gained = x[k, one], losses[k, one], True
        if gained:
            self.run.offer(spins.decode(self.x))


class Swarm(Protocol):
    """Agents that follow a schedule.

    Attributes:
        cost: elementary operations of a step.
    """

    cost: int

    def advance(self, shares: Sequence[float]) -> None:
        """One step at each share of the schedule, the last of which is 1."""

    def bits(self) -> Bits:
        """Bits (k, a, m) that the agents stand for."""


def roll(swarm: Swarm, steps: int, best: Best, run: Run) -> None:
    """One schedule of `steps`, read out every so often and at its end."""
    block, read = per_look(swarm.cost), -(-steps // LOOKS)
    for start in range(0, steps, read):
        for now in range(start, min(start + read, steps), block):
            end = min(now + block, start + read, steps)
            swarm.advance([(step + 1) / steps for step in range(now, end)])
            run.tally("steps", end - now)
            if run.stopped():
                break
        best.take(swarm.bits())
        if run.stopped():
            return


@dataclass(frozen=True, eq=False)
class Forces:
    """Couplings and fields as the agents feel them: float32, over mass and λ_max.

    Attributes:
        J: (m, m) dense or sparse.
        h: (m, k).
        held: (m, k) ±1 where a spin is fixed, else 0.
        stiffness: |λ|_max / λ_max of the couplings, at least 1.
    """

    J: Tensor
    h: Tensor
    held: Tensor
    stiffness: float

    @classmethod
    def of(cls, spins: Spins, device: torch.device | str) -> Forces:
        """The forces between spins; one that nothing couples has its field as its mass."""
        norms = np.sqrt(np.asarray((spins.J * spins.J).sum(axis=1)).ravel())
        alone = np.abs(spins.h).max(axis=0)
        mass = np.where(norms > 0, norms, np.where(alone > 0, alone, 1.0))
        low, high = spectrum(_scaled(spins.J, mass**-0.5, mass**-0.5))
        top = high if high > 0 else 1.0
        # A field that exceeds the sum of its row, at most √m, decides its spin; more would only be stiff.
        h = np.clip(spins.h / mass, -2.0 * mass.size**0.5, 2.0 * mass.size**0.5) / top
        J = _scaled(spins.J, 1.0 / (mass * top), np.ones_like(mass))
        return cls(
            _float32(J, device), _float32(h.T, device), _float32(spins.held.T, device), max(1.0, -low / top)
        )


def _scaled(matrix: Any, rows: Floats, columns: Floats) -> Any:
    """Every entry times the factor of its row and of its column."""
    if sp.issparse(matrix):
        return sp.diags_array(rows) @ matrix @ sp.diags_array(columns)
    return matrix * rows[:, None] * columns


def _float32(matrix: Any, device: torch.device | str) -> Tensor:
    if not sp.issparse(matrix):
        return torch.tensor(matrix, dtype=torch.float32, device=device)
    place = matrix.tocoo()
    index = torch.tensor(np.stack(place.coords).astype(np.int64))
    values = torch.tensor(place.data, dtype=torch.float32)
    return torch.sparse_coo_tensor(index, values, place.shape, check_invariants=True).coalesce().to(device)


def spectrum(matrix: Any, *, steps: int = 30) -> tuple[float, float]:
    """Lowest and highest eigenvalue of a symmetric matrix, as Lanczos finds them in a few products."""
    n = matrix.shape[0]
    basis, images = np.zeros((2, min(steps, n), n))
    vector = np.random.default_rng(0).standard_normal(n)
    for i in range(len(basis)):
        # Against all earlier vectors, so that no eigenvalue is found again; twice is enough (Parlett 1980).
        for _ in range(2):
            vector -= basis[:i].T @ (basis[:i] @ vector)
        size = float(np.linalg.norm(vector))
        if size < 1e-9:
            basis, images = basis[:i], images[:i]
            break
        basis[i] = vector / size
        images[i] = matrix @ basis[i]
        vector = images[i].copy()
    values = np.linalg.eigvalsh(basis @ images.T)
    return float(values[0]), float(values[-1])
