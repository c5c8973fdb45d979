"""tempering: parallel tempering, replicas at a ladder of temperatures that trade places.

All replicas sweep once, then neighbours on the ladder swap with the probability that keeps every
temperature's distribution; a state cut off in a valley at the bottom comes out over the top. The path does
not depend on the budget.
"""

from __future__ import annotations

from typing import Annotated, Any

import numba
import numpy as np

from ...problems import Qubo
from ...problems.arrays import Bits, Floats
from ..compiled import copy, per_look
from ..registry import Range, solver
from ..run import Run
from .metropolis import Chain, Landscape, Luck, Singles, landscape_of, sweep, temperature_range

__all__ = ["tempering"]

QUENCH = 8
"""Sweeps at zero temperature that polish what is offered."""


@solver("tempering", accepts=Qubo, reference="Hukushima & Nemoto 1996", counts="sweeps")
def tempering(
    qubo: Qubo,
    run: Run,
    *,
    num_reads: Annotated[int, Range(2, 1000, log=True)] = 16,
    num_sweeps: Annotated[int, Range(1, 10_000_000, log=True)] = 1000,
) -> None:
    """Sweep replicas at several temperatures and swap neighbours; a round costs a sweep for each.

    Parameters:
        num_reads: replicas, one at each temperature of a geometric ladder.
        num_sweeps: sweeps of each replica in fixed work. Under a budget alone they go on to its end.
    """
    landscape = landscape_of(qubo)
    while run.open():
        temperatures = np.geomspace(*temperature_range(landscape, run), num_reads)
        replicas = Replicas(landscape, temperatures, run.rng)
        _temper(qubo, run, replicas, num_sweeps if run.restarts is not None else None)


def _temper(qubo: Qubo, run: Run, replicas: Replicas, num_sweeps: int | None) -> None:
    """Advance the replicas in blocks until the run or, where there is one, the number of sweeps ends."""
    size, landscape = len(replicas.temperatures), replicas.landscape
    block, offered = per_look(size * landscape.cost), np.inf
    done = since = 0
    going = True
    while going:
        rounds = block if num_sweeps is None else min(block, num_sweeps - done)
        replicas.advance(rounds)
        run.tally("sweeps", rounds * size)
        done, since = done + rounds, since + rounds * size
        going = done != num_sweeps and not run.stopped()
        if replicas.lowest < offered and (since >= landscape.patience or not going):
            offered, since = replicas.lowest, 0
            run.offer(replicas.polished())


class Replicas:
    """States of one landscape, the k-th at the k-th temperature.

    Attributes:
        order: (R,) which state is at each temperature, hottest first.
        energies: (R,) of each state, in the landscape's unit and without its offset.
        swaps: (R − 1,) how often each pair of neighbours has swapped.
        best, lowest: the lowest state met, (width,), and its energy.
    """

    def __init__(self, landscape: Landscape, temperatures: Floats, rng: np.random.Generator) -> None:
        self.landscape, self.temperatures, self.rng = landscape, temperatures, rng
        self.luck = Luck(landscape, rng)
        chains = [Chain(landscape, 0, landscape.random(0, rng)) for _ in temperatures]
        self.x = np.array([chain.x for chain in chains])
        self.slope = np.array([chain.slope for chain in chains])
        self.step = np.array([chain.step for chain in chains])
        self.order = np.arange(len(chains))
        self.energies = np.array([chain.energy for chain in chains])
        self.best = self.x[np.argmin(self.energies)].copy()
        self.lowest, self.rounds = float(self.energies.min()), 0
        self.swaps = np.zeros(len(chains) - 1, dtype=np.int64)

    def advance(self, rounds: int) -> None:
        """Sweep and swap so many times."""
        if self.rounds >= self.landscape.patience:
            self.refresh()
        self.rounds += rounds
        pool, starts = self.luck.draw(rounds, len(self.order))
        self.lowest = _advance(
            self.landscape.matrix,
            self.landscape.curve,
            self.slope,
            self.step,
            self.x,
            self.best,
            self.energies,
            self.order,
            self.swaps,
            self.temperatures.astype(np.float32),
            pool,
            starts,
            self.rng.standard_exponential((rounds, len(self.order))),
            self.lowest,
        )

    def polished(self) -> Bits:
        """The lowest state (n,) so far after sweeps at temperature zero; the replicas stay as they are."""
        n = self.landscape.n
        chain = Chain(self.landscape, 0, self.best[:n])
        chain.anneal(np.zeros(QUENCH), Luck(self.landscape, np.random.default_rng(0)))
        return chain.best[:n]

    def refresh(self) -> None:
        """Slopes and energies from scratch, free of the rounding errors of earlier moves."""
        self.rounds = 0
        n, linear = self.landscape.n, self.landscape.linear[0]
        for k, x in enumerate(self.x[:, :n]):
            slopes = self.landscape.slopes(0, x)
            self.slope[k, :n] = slopes
            self.energies[k] = 0.5 * float(x @ (linear + slopes))


@numba.njit(cache=True, nogil=True)
def _advance(
    matrix: Any,
    curve: Singles,
    slope: Any,
    step: Any,
    x: Any,
    best: Bits,
    energies: Floats,
    order: Any,
    swaps: Any,
    temperatures: Singles,
    pool: Singles,
    starts: Any,
    luck: Floats,
    lowest: float,
) -> float:
    """Sweep every replica, then swap every other pair of neighbours; below `lowest` lies a new `best`."""
    for t in range(starts.shape[0]):
        for k in range(order.size):
            r = order[k]
            change, _ = sweep(matrix, curve, slope[r], step[r], x[r], pool, starts[t, k], temperatures[k])
            energies[r] += change
            if energies[r] < lowest:
                lowest = energies[r]
                copy(x[r], best)
        for k in range(t % 2, order.size - 1, 2):
            hot, cold = order[k], order[k + 1]
            # Minus the log of the odds that the pair is found the other way round.
            against = (1.0 / temperatures[k] - 1.0 / temperatures[k + 1]) * (energies[cold] - energies[hot])
            if against <= luck[t, k]:
                order[k], order[k + 1] = cold, hot
                swaps[k] += 1
    return lowest
