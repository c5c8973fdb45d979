"""neal: D-Wave's simulated annealing, as the package dwave-samplers ships it."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np

from ...problems import Qubo
from ...problems.arrays import Bits, Floats
from ..registry import Range, solver
from ..run import Run
from .foreign.model import Model, model_of

__all__ = ["ANNEALER", "default_betas", "neal"]

ANNEALER = {"dwave-samplers": "dwave.samplers.sa.simulated_annealing"}

PIECE = 250_000_000
"""Couplings met between two looks at the clock, 0.1 to 0.4 s: the library polls it only between reads."""

NEAR = 200_000
"""Couplings of a sparse model beyond which most of them are met in far memory, some eight times as slowly."""

SWEEPS = 25
"""Least sweeps of a piece: the library sets its model up for each, as long as 50 to 800 sweeps take."""


@solver(
    "neal", accepts=Qubo, reference="D-Wave dwave-samplers", anytime=False, requires=ANNEALER, counts="sweeps"
)
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
    if not run.open():
        return
    # Only now, so that a short share of the time is spent on a read and not on the model alone.
    model = model_of(qubo)
    pieces = _pieces(qubo, len(model[1]), num_sweeps)
    going = True
    while going:
        states = run.rng.integers(0, 2, (num_reads, qubo.n), dtype=np.int8) * np.int8(2) - np.int8(1)
        for betas in pieces:
            states = _anneal(model, states, betas, run)
            run.tally("sweeps", len(states) * len(betas))
            if run.stopped():
                break
        run.offer(_best(qubo, states))
        going = run.open()


def _pieces(qubo: Qubo, couplings: int, num_sweeps: int) -> list[Floats]:
    """The inverse temperatures of a read, cut into pieces."""
    hot, cold = default_betas(qubo)
    betas = np.geomspace(hot, cold, num_sweeps) if num_sweeps > 1 else np.array([cold])
    met = qubo.n + 2 * couplings
    length = max(SWEEPS, (PIECE // 8 if qubo.sparse and met > NEAR else PIECE) // met)
    return [betas[first : first + length] for first in range(0, num_sweeps, length)]


def _anneal(model: Model, states: Any, betas: Floats, run: Run) -> Any:
    """Spins (reads, n) after one more piece; fewer reads where the budget ran out between them."""
    from dwave.samplers.sa.simulated_annealing import simulated_annealing

    seed = int(run.rng.integers(2**31))
    # The library draws from its seed as given, and takes 0 for none.
    start = np.ascontiguousarray(states)
    spins, _ = simulated_annealing(
        len(start), *model, 1, betas, seed, start, False, "Metropolis", run.stopped
    )
    return spins


def _best(qubo: Qubo, states: Any) -> Bits:
    reads = ((states + 1) // 2).astype(np.int8)
    return np.asarray(reads[np.argmin(qubo.losses(reads))])


def default_betas(qubo: Qubo) -> tuple[float, float]:
    """First and last inverse temperature of the library's default schedule.

    The largest field flips with probability ½ at first; at last fewer than 1 % of the smallest ones do.
    The library derives the same numbers in a loop over dictionaries that outlasts the annealing.
    """
    J = abs(qubo.couplings) / 2.0
    h = np.abs(qubo.linear + np.asarray(qubo.couplings.sum(axis=1)).ravel()) / 2.0
    high = float((h + np.asarray(J.sum(axis=1)).ravel()).max(initial=0.0))
    if not high:
        return 0.1, 1.0
    smallest = np.where(h > 0, h, np.inf)
    if qubo.sparse:
        np.minimum.at(smallest, J.tocoo().coords[0], J.data)
    else:
        smallest = np.minimum(smallest, np.where(J > 0, J, np.inf).min(axis=1))
    low = float(smallest.min())
    ties = np.count_nonzero(smallest == low)
    return math.log(2) / (2 * high), math.log(ties / 0.01) / (2 * low)
