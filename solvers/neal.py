"""neal: D-Wave's simulated annealing, as the package dwave-samplers ships it."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from ..problems import Qubo
from ..problems.arrays import Bits, Floats
from .registry import Range, solver
from .run import Run

__all__ = ["default_betas", "neal"]

PIECE = 1_000_000_000
"""Couplings met between two looks at the clock, some 0.2 s: the library polls it only between reads."""


@solver("neal", accepts=Qubo, reference="D-Wave dwave-samplers", anytime=False)
def neal(
    qubo: Qubo,
    run: Run,
    *,
    num_reads: Annotated[int, Range(1, 10_000, log=True)] = 1,
    num_sweeps: Annotated[int, Range(1, 1_000_000, log=True)] = 1000,
) -> None:
    """Metropolis sweeps over the library's default schedule; a restart is num_reads reads.

    A long read is annealed in pieces, each from where the last one ended, so that it can be cut off.
    """
    from dwave.samplers import SimulatedAnnealingSampler

    sampler, bqm = SimulatedAnnealingSampler(), qubo.to_bqm().change_vartype("SPIN", inplace=True)
    betas = np.geomspace(*default_betas(qubo), num_sweeps) if num_sweeps > 1 else default_betas(qubo)[1:]
    length = max(1, PIECE // (qubo.n + 2 * bqm.num_interactions))
    while run.open():
        states: Any = run.rng.integers(0, 2, (num_reads, qubo.n), dtype=np.int8) * np.int8(2) - np.int8(1)
        for first in range(0, num_sweeps, length):
            found = sampler.sample(
                bqm,
                num_reads=len(states),
                initial_states=(states, range(qubo.n)),
                beta_schedule_type="custom",
                beta_schedule=betas[first : first + length],
                seed=int(run.rng.integers(2**31)),
                interrupt_function=run.stopped,
            )
            states = found.record.sample[:, np.argsort(np.asarray(found.variables, dtype=np.int64))]
            if run.stopped():
                break
        run.offer(_best(qubo, states))


def _best(qubo: Qubo, states: Any) -> Bits:
    reads = ((states + 1) // 2).astype(np.int8)
    return np.asarray(reads[np.argmin(qubo.losses(reads))])


def default_betas(qubo: Qubo) -> Floats:
    """First and last inverse temperature of the library's default schedule.

    The largest field flips with probability ½ at first; at last fewer than 1 % of the smallest ones do.
    The library derives the same numbers in a loop over dictionaries that outlasts the annealing.
    """
    J = abs(qubo.couplings) / 2.0
    h = np.abs(qubo.linear + np.asarray(qubo.couplings.sum(axis=1)).ravel()) / 2.0
    high = float((h + np.asarray(J.sum(axis=1)).ravel()).max(initial=0.0))
    if not high:
        return np.array([0.1, 1.0])
    smallest = np.where(h > 0, h, np.inf)
    if qubo.sparse:
        np.minimum.at(smallest, J.tocoo().coords[0], J.data)
    else:
        smallest = np.minimum(smallest, np.where(J > 0, J, np.inf).min(axis=1))
    low = float(smallest.min())
    ties = np.count_nonzero(smallest == low)
    return np.array([np.log(2) / (2 * high), np.log(ties / 0.01) / (2 * low)])
