"""tensor-cross: ask for the loss on crosses of a tensor, move them to where it is low.

After TTOpt (Sozykin et al. 2022, arXiv:2205.00293) on the cross approximation of Oseledets & Tyrtyshnikov
2010: a sweep visits one bit after the other and asks for the loss of every kept prefix, with both values of
the bit, with every kept suffix. The rows of that table that span the most volume, found by tntorch's maxvol
after losses were mapped so that low ones are large, are kept as the prefixes, or suffixes, of the next bit.
tntorch's own `cross` cannot be stopped inside and forgets what it has seen, so only its maxvol is used.

Exactly K ones: every point is brought to K ones before it is asked, so all of them are feasible; the table
is then no longer a function of its rows and columns alone. Not to be confused with tensor-train, which
learns where to sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np

from ...problems import BlackBox, Capacity, Qubo
from ...problems.arrays import Bits, Floats
from ..registry import Range, solver
from ..run import Run
from .crosses import largest, with_bit

__all__ = ["tensor_cross"]


@solver(
    "tensor-cross",
    accepts=(Qubo, Capacity, BlackBox),
    reference="Sozykin et al. 2022",
    max_variables=1000,
    requires={"tntorch": "tntorch.maxvol"},
    counts="evaluations",
)
def tensor_cross(
    instance: Qubo | Capacity | BlackBox,
    run: Run,
    *,
    rank: Annotated[int, Range(1, 64)] = 4,
    sweeps: Annotated[int, Range(1, 10_000, log=True)] = 10,
) -> None:
    """Sweep over the bits, keep the prefixes and suffixes of largest volume. A sweep asks 4n·rank² losses.

    Parameters:
        rank: how many prefixes and suffixes are kept at each bit.
        sweeps: sweeps to the right and back in a restart.
    """
    if instance.start is not None:
        run.offer(instance.start)
    while run.open():
        asked = run.evaluations_left()
        for _ in _sweep(instance, run, rank, sweeps):
            if run.stopped() or run.evaluations_left() < 2 * rank**2:
                break  # A part of a table would be asked for, perhaps of points known already.
        if instance.counted and run.restarts is None and run.evaluations_left() == asked:
            return  # The sweeps find no new point, or none within the evaluations left.


def _sweep(instance: Qubo | Capacity | BlackBox, run: Run, rank: int, sweeps: int) -> Iterator[None]:
    """`sweeps` sweeps to and fro; yields after every bit."""
    n, order = instance.n, np.argsort(-run.rng.random(instance.n))
    seeds = run.rng.integers(0, 2, (rank, n), dtype=np.int8)
    if instance.start is not None:
        seeds[0] = instance.start
    suffixes = [np.unique(seeds[:, k + 1 :], axis=0) for k in range(n)]
    prefixes = [np.empty((1, 0), dtype=np.int8)] * n
    for _ in range(sweeps):
        for k in range(n):
            table = _table(instance, run, prefixes[k], suffixes[k], order)
            if k + 1 < n:
                rows = with_bit(prefixes[k], first=False)
                prefixes[k + 1] = rows[largest(table.reshape(len(rows), -1), rank)]
            yield
        for k in reversed(range(n)):
            table = _table(instance, run, prefixes[k], suffixes[k], order)
            if k:
                rows = with_bit(suffixes[k], first=True)
                suffixes[k - 1] = rows[largest(table.reshape(len(prefixes[k]), -1).T, rank)]
            yield


def _table(
    instance: Qubo | Capacity | BlackBox, run: Run, prefixes: Bits, suffixes: Bits, order: Any
) -> Floats:
    """Losses (p, 2, s) of every prefix with either bit with every suffix; infinite where not asked."""
    ahead = np.repeat(with_bit(prefixes, first=False), len(suffixes), axis=0)
    points = np.hstack([ahead, np.tile(suffixes, (2 * len(prefixes), 1))])
    points = instance.repair(points, order)[: run.evaluations_left()]
    losses = np.full(2 * len(prefixes) * len(suffixes), np.inf)
    losses[: len(points)] = run.losses(points)
    run.offer(points[np.argmin(losses[: len(points)])])
    return losses.reshape(len(prefixes), 2, len(suffixes))
