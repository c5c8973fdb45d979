"""sa: simulated annealing, on a Qubo or on all neurons of a layer against their one Gram matrix.

Geometric cooling of Metropolis sweeps between temperatures that a pilot run finds. The lowest state of a
read counts, not its last one. Not to be confused with neal, D-Wave's annealer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from ..problems import Qubo, Rounding
from ..problems.arrays import Bits, Floats
from .annealing import Chain, Landscape, Luck, landscape_of, temperature_range
from .kernels import per_look
from .registry import Range, solver
from .run import Run

__all__ = ["sa"]

FIRST = 128
"""Sweeps of the first read where the time is the only limit."""

GROWTH = 4
"""How many times longer each further read is."""

QUENCH = 32
"""Sweeps at zero temperature that end a read."""


@solver("sa", accepts=(Qubo, Rounding), reference="Kirkpatrick, Gelatt & Vecchi 1983", anytime=False)
def sa(
    instance: Qubo | Rounding,
    run: Run,
    *,
    num_reads: Annotated[int, Range(1, 10_000, log=True)] = 1,
    num_sweeps: Annotated[int, Range(1, 10_000_000, log=True)] = 1000,
) -> None:
    """Anneal from random states, ever longer while the budget lasts; a sweep costs O(n) a move.

    Parameters:
        num_reads: reads of each length, of every neuron.
        num_sweeps: sweeps of a read of fixed work. Under a budget alone each read is four times as long as
            the last, and the last is as long as the time that is left.
    """
    landscape = landscape_of(instance)
    search = _Search(instance, landscape, run)
    rows = len(landscape.linear)
    hot = cold = 0.0
    for sweeps in _lengths(run, num_sweeps):
        if not hot:
            search.descend()
            hot, cold = temperature_range(landscape, run)
        for row in (row for row in range(rows) for _ in range(num_reads)):
            if run.stopped():
                return
            search.read(row, sweeps, hot, cold)


def _lengths(run: Run, num_sweeps: int) -> Iterator[int]:
    """Sweeps of each round of reads."""
    if run.restarts is not None:
        while run.open():
            yield num_sweeps
        return
    sweeps = FIRST
    while run.open():
        begun = run.elapsed()
        yield sweeps
        affordable = run.remaining() * sweeps / max(run.elapsed() - begun, 1e-9)
        sweeps *= GROWTH
        if affordable < 2 * sweeps:
            # Not to the end, as a read cut off before it is cold is lost.
            sweeps = max(FIRST // GROWTH, int(0.9 * affordable))


class _Search:
    """The best state of each row so far, and the run that it is offered to."""

    def __init__(self, instance: Qubo | Rounding, landscape: Landscape, run: Run) -> None:
        self.instance, self.landscape, self.run = instance, landscape, run
        self.luck = Luck(landscape, run.rng)
        self.best = instance.baseline().reshape(len(landscape.linear), landscape.n)
        self.energies = np.full(len(self.best), np.inf)
        self.losses = np.array([self._loss(row, x) for row, x in enumerate(self.best)])

    def descend(self) -> None:
        """Offer each row's baseline after a descent: more than short reads find on a layer of many rows."""
        for row in range(len(self.best)):
            if not self.run.stopped():
                self._quench(Chain(self.landscape, row, self.best[row]))

    def read(self, row: int, sweeps: int, hot: float, cold: float) -> None:
        """One annealing of a row from a random state, in blocks between which the run is asked."""
        chain = Chain(self.landscape, row, self.landscape.random(row, self.run.rng))
        block, since = per_look(self.landscape.cost), 0
        for first in range(0, sweeps, block):
            if self.run.stopped():
                break
            if since >= self.landscape.patience:
                self._offer(chain)
                chain.put(chain.values())
                since = 0
            done = np.arange(first, min(first + block, sweeps)) / max(1, sweeps - 1)
            self._sweep(chain, hot * (cold / hot) ** done)
            since += done.size
        self._quench(chain)

    def _quench(self, chain: Chain) -> None:
        chain.put(chain.best[: self.landscape.n].copy())
        self._sweep(chain, np.zeros(QUENCH))
        self._offer(chain)

    def _sweep(self, chain: Chain, temperatures: Floats) -> None:
        chain.anneal(temperatures, self.luck)
        self.run.tally("sweeps", temperatures.size)

    def _offer(self, chain: Chain) -> None:
        """Keep the lowest state of a chain where its row has no better one, and hand in the whole."""
        row, x = chain.row, chain.best[: self.landscape.n]
        if chain.lowest >= self.energies[row]:
            return
        self.energies[row], loss = chain.lowest, self._loss(row, x)
        if loss < self.losses[row]:
            self.best[row], self.losses[row] = x, loss
        self.run.offer(self.best.reshape(self.instance.shape), float(self.losses.sum()))

    def _loss(self, row: int, x: Bits) -> float:
        if isinstance(self.instance, Qubo):
            return self.instance.loss(x)
        error = x - self.instance.shift[row]
        return float(self.instance.scale[row] ** 2 * max(0.0, error @ self.instance.gram @ error))
