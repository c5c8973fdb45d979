"""swap: annealing inside the slice Σx = K; a move exchanges a kept variable for a removed one (Kawasaki).

Under Σc·x ≤ K a move may also add or drop one variable. Feasible at every step, so no penalty is needed.
"""

from __future__ import annotations

from typing import Annotated

import numba
import numpy as np

from ..problems import Capacity, Qubo
from ..problems.arrays import Bits, Floats
from .kernels import flip, noise, per_look, reach, readonly, slopes
from .registry import Range, solver
from .run import Run

__all__ = ["swap"]


@solver("swap", accepts=Capacity, reference="Kawasaki 1966; Kirkpatrick et al. 1983")
def swap(
    capacity: Capacity, run: Run, *, num_sweeps: Annotated[int, Range(1, 1_000_000, log=True)] = 500
) -> None:
    """Anneal swaps on a geometric schedule, then descend. A proposal costs O(1), an accepted one O(n).

    Parameters:
        num_sweeps: sweeps of n proposals in a restart.
    """
    qubo, costs, exact = capacity.qubo, readonly(capacity.costs), capacity.exact
    matrix = readonly(qubo.couplings.toarray() if qubo.sparse else qubo.couplings)
    least, block, moves = noise(qubo), per_look(qubo.n**2), per_look(4 * qubo.n**2)
    start = capacity.baseline()
    run.offer(start)
    while run.open():
        x = start.copy() if run.opened == 1 else _shuffled(capacity, run)
        for heat in _schedule(qubo, num_sweeps, block):
            if run.stopped():
                break
            room, slope = _room(capacity, x), slopes(qubo, x)
            _anneal(matrix, slope, x, costs, room, exact, heat, run.rng)
        room, slope = _room(capacity, x), slopes(qubo, x)
        while not _settle(matrix, slope, x, costs, room, exact, least, moves) and not run.stopped():
            pass
        run.offer(x)


def _schedule(qubo: Qubo, num_sweeps: int, block: int) -> list[Floats]:
    """Temperatures in blocks: from where most swaps are accepted down to where few are."""
    hot = float(reach(qubo).max(initial=0.0)) or 1.0
    heat = hot * np.geomspace(1.0, 1e-4, num_sweeps)
    return [heat[first : first + block] for first in range(0, num_sweeps, block)]


def _room(capacity: Capacity, x: Bits) -> Floats:
    """Capacity left, with half of the slack that the instance allows for the order of a sum."""
    left = capacity.K - float(capacity.costs @ x)
    return np.array([left + 0.5 * capacity.slack])


def _shuffled(capacity: Capacity, run: Run) -> Bits:
    """A random feasible point: variables in random order while they fit."""
    x = np.zeros(capacity.n, dtype=np.int8)
    left = capacity.K
    for i in run.rng.permutation(capacity.n):
        if capacity.costs[i] <= left:
            x[i] = 1
            left -= capacity.costs[i]
    return x


@numba.njit(cache=True, nogil=True)
def _delta(matrix: Floats, slope: Floats, x: Bits, i: int, j: int) -> float:
    """Change of the loss when i is flipped, and j with it unless j = i."""
    change: float = (1.0 - 2.0 * x[i]) * slope[i]
    if j != i:
        change += (1.0 - 2.0 * x[j]) * slope[j] - 2.0 * matrix[i, j]
    return change


@numba.njit(cache=True, nogil=True)
def _use(costs: Floats, x: Bits, i: int, j: int) -> float:
    """Capacity that the move takes."""
    use: float = costs[i] if x[i] == 0 else -costs[i]
    if j != i:
        use += costs[j] if x[j] == 0 else -costs[j]
    return use


@numba.njit(cache=True, nogil=True)
def _apply(matrix: Floats, slope: Floats, x: Bits, costs: Floats, room: Floats, i: int, j: int) -> None:
    room[0] -= _use(costs, x, i, j)
    flip(matrix, slope, x, i)
    if j != i:
        flip(matrix, slope, x, j)


@numba.njit(cache=True, nogil=True)
def _anneal(
    matrix: Floats,
    slope: Floats,
    x: Bits,
    costs: Floats,
    room: Floats,
    exact: bool,
    heat: Floats,
    rng: np.random.Generator,
) -> None:
    """One Metropolis sweep of n proposals at each temperature."""
    n = x.size
    for temperature in heat:
        for _ in range(n):
            i, j = int(rng.random() * n), int(rng.random() * n)
            if x[i] == x[j]:
                if exact:
                    continue
                j = i
            if _use(costs, x, i, j) > room[0]:
                continue
            change = _delta(matrix, slope, x, i, j)
            if change <= 0.0 or rng.random() < np.exp(-change / temperature):
                _apply(matrix, slope, x, costs, room, i, j)


@numba.njit(cache=True, nogil=True)
def _settle(
    matrix: Floats,
    slope: Floats,
    x: Bits,
    costs: Floats,
    room: Floats,
    exact: bool,
    least: float,
    moves: int,
) -> bool:
    """Take the best feasible move, `moves` times or until none helps by `least`: then True."""
    for _ in range(moves):
        best_i, best_j, gain = x.size, x.size, -least
        for i in range(x.size):
            for j in range(i + 1):
                if exact if j == i else x[i] == x[j]:
                    continue
                change = _delta(matrix, slope, x, i, j)
                if change < gain and _use(costs, x, i, j) <= room[0]:
                    best_i, best_j, gain = i, j, change
        if best_i == x.size:
            return True
        _apply(matrix, slope, x, costs, room, best_i, best_j)
    return False
