"""neal-penalty: neal on E + λ(Σx − K)², the baseline that a search which knows the capacity must beat.

The adapter `penalty` brings a solver of Qubos to Σx = K so. It hands in the bits as the solver left them,
which may be infeasible, and counts how many answers were. Σc·x ≤ K would need slack bits besides: there the
solver goes through the field search like any other.
"""

from __future__ import annotations

from typing import Annotated

from ...problems import Qubo
from ..registry import Range, solver
from ..run import Run
from .neal import ANNEALER, neal

__all__ = ["neal_penalty"]


@solver(
    "neal-penalty",
    accepts=Qubo,
    reference="D-Wave dwave-samplers",
    anytime=False,
    capacity="penalty",
    requires=ANNEALER,
    counts="sweeps",
)
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
