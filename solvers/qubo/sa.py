"""sa: simulated annealing, on a Qubo or on all neurons of a layer against their one Gram matrix.

Geometric cooling of Metropolis sweeps between temperatures that a pilot run finds. The lowest state of a
read counts, not its last one. Not to be confused with neal, D-Wave's annealer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import numpy as np
import torch

from ...problems import Qubo, Rounding
from ...problems.arrays import Bits, Floats
from ..compiled import per_look
from ..devices import NUMBA
from ..registry import Range, solver
from ..run import Run
from .metropolis import Chain, Landscape, Luck, landscape_of, temperature_range
from .metropolis_on_torch import Swarm

__all__ = ["sa"]

FIRST = 128
"""Sweeps of the first read where the time is the only limit."""

GROWTH = 4
"""How many times longer each further read is."""

QUENCH = 32
"""Sweeps at zero temperature that end a read."""


@solver(
    "sa",
    accepts=(Qubo, Rounding),
    reference="Kirkpatrick, Gelatt & Vecchi 1983",
    anytime=False,
    counts="sweeps",
)
def sa(
    instance: Qubo | Rounding,
    run: Run,
    *,
    num_reads: Annotated[int, Range(1, 10_000, log=True)] = 1,
    num_sweeps: Annotated[int, Range(1, 10_000_000, log=True)] = 1000,
    device: str = NUMBA,
) -> None:
    """Anneal from random states, ever longer while the budget lasts; a sweep costs O(n) a move.

    Parameters:
        num_reads: reads of each length, of every neuron.
        num_sweeps: sweeps of a read of fixed work. Under a budget alone each read is four times as long as
            the last, and the last is as long as the time that is left.
        device: "numba" for the compiled kernels, read by read, or torch's "cpu", "cuda", "cuda:1", … for all
            reads at once, from random numbers of their own.
    """
    landscape = landscape_of(instance)
    search = _Search(instance, landscape, run)
    if device != NUMBA:
        _together(search, device, num_reads, num_sweeps)
        return
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


def _together(search: _Search, device: str, num_reads: int, num_sweeps: int) -> None:
    """The same search with all reads of a length at once, on a torch device."""
    landscape, run = search.landscape, search.run
    rows = np.arange(len(landscape.linear))
    swarm = Swarm(landscape, rows, search.best, device)
    luck = torch.Generator(swarm.device).manual_seed(int(run.rng.integers(2**63)))
    swarm.quench(QUENCH)
    search.take(rows, *swarm.found())
    hot, cold = temperature_range(landscape, run)
    rows = np.repeat(rows, num_reads)
    for sweeps in _lengths(run, num_sweeps):
        x = np.array([landscape.random(int(row), run.rng) for row in rows])
        swarm = Swarm(landscape, rows, x, device)
        done = np.arange(sweeps) / max(1, sweeps - 1)
        swarm.anneal(hot * (cold / hot) ** done, luck, run)
        swarm.quench(QUENCH)
        search.take(rows, *swarm.found())


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
        self.losses = np.array([self.landscape.loss(row, x) for row, x in enumerate(self.best)])

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
        self.take([chain.row], chain.best[None, : self.landscape.n], [chain.lowest])

    def take(self, rows: Iterable[int], states: Bits, lows: Iterable[float]) -> None:
        """Keep the states (k, n) that are their rows' lowest so far; hand in the whole if one is."""
        gained = False
        for row, x, low in zip(rows, states, lows, strict=True):
            if low < self.energies[row]:
                self.energies[row], loss, gained = low, self.landscape.loss(row, x), True
                if loss < self.losses[row]:
                    self.best[row], self.losses[row] = x, loss
        if gained:
            self.run.offer(self.best.reshape(self.instance.shape), float(self.losses.sum()))
