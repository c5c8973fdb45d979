"""neal-penalty: neal on E + λ(Σx − K)², the baseline that a search which knows the capacity must beat.

The adapter `penalty` brings a solver of Qubos to Σx = K so. It hands in the bits as the solver left them,
which may be infeasible, and counts how many answers were. Σc·x ≤ K would need slack bits besides: there the
solver goes through the field search like any other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Annotated, Any

import numpy as np

from ...problems import Capacity, Qubo
from ..registry import Entry, Range, solver
from ..run import Run
from ..solution import Solution, conclude
from .flips import reach
from .neal import neal

__all__ = ["neal_penalty", "penalised", "penalty"]

ABOVE = 1.01
"""Default weight over the largest change of E by one flip."""


@solver("neal-penalty", accepts=Qubo, reference="D-Wave dwave-samplers", anytime=False)
def neal_penalty(
    qubo: Qubo,
    run: Run,
    *,
    weight: Annotated[float, Range(0.0, 1e300)] = 0.0,
    num_reads: Annotated[int, Range(1, 10_000, log=True)] = 1,
    num_sweeps: Annotated[int, Range(1, 1_000_000, log=True)] = 1000,
) -> None:
    """Anneal with the capacity Σx = K as a penalty; without a capacity this is neal.

    Parameters:
        weight: λ, in units of the loss; 0 takes the least that is sure to make every local optimum feasible.
        num_reads: reads of a restart.
        num_sweeps: sweeps of a read.
    """
    neal(qubo, run, num_reads=num_reads, num_sweeps=num_sweeps)


def penalty(capacity: Capacity, run: Run, entry: Entry, values: dict[str, Any]) -> Solution:
    """The adapter: each restart searches the penalised Qubo once. The solution's energy is the penalised one.

    Counts "answers", one a restart, and how many of them were "infeasible".
    """
    weight = float(values.get("weight", 0.0))
    qubo = penalised(capacity, weight)
    while run.open():
        child = run.part(qubo, run.opened)
        # The child's own restart is this one, which is counted already.
        child.restarts, child.counts = 1, Counter[str]()
        entry.search(qubo, child, **values)
        if child.best is not None:
            run.tally("answers")
            run.tally("infeasible", int(capacity.violation(child.best) > 0))
            run.offer(child.best)
        run.exhausted |= child.exhausted
    found = conclude(run, seconds=run.elapsed(), adapter="penalty")
    return found if found.x is None else replace(found, energy=qubo.loss(found.x))


def penalised(capacity: Capacity, weight: float = 0.0) -> Qubo:
    """E + λ(Σx − K)² as a dense Qubo; λ = `weight`, or just above the largest change of E by one flip.

    With d = Σx − K ≠ 0 some flip changes the penalty by λ(1 − 2|d|) ≤ −λ, so under the default no local
    optimum is infeasible.
    """
    weight = weight or ABOVE * float(reach(capacity.qubo).max(initial=0.0)) or 1.0
    Q = np.array(capacity.Q.toarray() if capacity.sparse else capacity.Q)
    Q += weight
    Q[np.diag_indices(capacity.n)] -= 2.0 * weight * capacity.K
    return Qubo(Q, capacity.offset + weight * capacity.K**2)
