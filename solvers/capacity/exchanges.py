"""The slice Σx = K: walk, anneal and descend by exchanges of a kept and a removed variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ...problems import Capacity, Qubo
from ...problems.arrays import Bits, Floats
from ..compiled import copy, entry, per_look, readonly, row_of
from ..qubo.flips import flip, loss_of, matrix_of, noise, slopes
from ..run import Run

__all__ = ["COLD", "HOT", "PILOT", "RESET", "SHORT", "Ints", "Slice", "between", "filled"]

Ints = npt.NDArray[np.int64]


PILOT = 2048
"""Random exchanges of a settled point that set the range of temperatures."""


HOT, COLD = 0.2, 0.02
"""First temperature as a share of an exchange's mean harm, the last one as a share of the least harm."""


RESET = 0.3
"""Largest share of the variables that a tabu restart draws anew."""


SHORT = 50
"""Sweeps of the annealing that begins every other tabu walk."""


@dataclass(frozen=True, eq=False)
class Slice:
    """A capacity as the kernels take it.

    Attributes:
        qubo: the objective.
        K: capacity, with half of the slack that the instance allows for the order of a sum.
        matrix: couplings (n, n) as `matrix_of` gives them.
        costs: (n,).
        exact: whether Σx = K rather than Σc·x ≤ K.
        least: change of the loss that may only be rounding noise.
    """

    qubo: Qubo
    K: float
    matrix: Any
    costs: Floats
    exact: bool
    least: float

    @classmethod
    def of(cls, capacity: Capacity) -> Slice:
        """The same instance."""
        qubo, K = capacity.qubo, capacity.K + 0.5 * capacity.slack
        return cls(qubo, K, matrix_of(qubo), readonly(capacity.costs), capacity.exact, noise(qubo))

    def room(self, x: Bits) -> Floats:
        """Capacity left, (1,)."""
        return np.array([self.K - float(self.costs @ x)])

    def settle(self, x: Bits, run: Run) -> float:
        """Descend by exchanges until none helps; x moves. The loss there."""
        done, moves = False, per_look(4 * x.size**2)
        while not done:
            slope = slopes(self.qubo, x)
            done = _settle(self.matrix, slope, x, self.costs, self.room(x), self.exact, self.least, moves)
            if run.stopped():
                break
        return loss_of(self.qubo, slope, x)

    def tabu(self, x: Bits, run: Run, moves: int) -> Bits:
        """The best point that `moves` tabu exchanges from x meet; x moves."""
        top, block, until = x.copy(), per_look(8 * x.size), np.zeros(x.size, dtype=np.int64)
        state = np.array([loss_of(self.qubo, slopes(self.qubo, x), x)] * 2)
        tenures = _tenures(x, run)
        for first in range(1, moves + 1, block):
            slope, steps = slopes(self.qubo, x), min(block, moves + 1 - first)
            arrays = self.matrix, slope, x, self.costs, self.room(x)
            _walk(*arrays, self.exact, self.least, until, tenures, state, top, first, steps)
            run.tally("moves", steps)
            if run.stopped():
                break
        return top

    def anneal(self, x: Bits, run: Run, heats: Floats) -> None:
        """Metropolis sweeps of n proposals at each of the temperatures; x moves."""
        block = per_look(40 * x.size + x.size**2 // 2)
        for first in range(0, heats.size, block):
            heat, slope = heats[first : first + block], slopes(self.qubo, x)
            order = np.argsort(1 - x, kind="stable")
            _anneal(self.matrix, slope, x, self.costs, self.room(x), self.exact, heat, order, run.rng)
            run.tally("sweeps", heat.size)
            if run.stopped():
                break

    def temperatures(self, x: Bits, run: Run) -> tuple[float, float]:
        """First and last temperature: shares of what random exchanges of a settled point cost."""
        kept, gone = np.flatnonzero(x == 1), np.flatnonzero(x == 0)
        if not kept.size or not gone.size:
            return 1.0, 1.0
        i, j = run.rng.choice(kept, PILOT), run.rng.choice(gone, PILOT)
        slope = slopes(self.qubo, x)
        coupled = np.asarray(self.qubo.couplings[i, j]).ravel()
        harm = np.abs(slope[j] - slope[i] - 2.0 * coupled)
        hot = HOT * float(harm.mean()) or 1.0
        # The least harmful exchange of n decides what still moves at the end.
        return hot, min(hot, max(COLD * float(np.quantile(harm, 1.0 / x.size)), 1e-4 * hot))

    def fresh(self, run: Run, settled: Bits) -> Bits:
        """A random point after a short annealing between the temperatures that a settled point suggests."""
        x = filled(self, np.zeros_like(settled), run)
        self.anneal(x, run, np.geomspace(*self.temperatures(settled, run), SHORT))
        return x


def between(piece: Slice, run: Run, elite: list[Bits]) -> Bits:
    """Two of the elite crossed, of what they keep a random share removed, and filled up at random."""
    one, other = (elite[i] for i in run.rng.integers(0, len(elite), 2))
    x = np.where(run.rng.random(one.size) < 0.5, one, other)
    x[run.rng.random(x.size) < run.rng.uniform(0.0, RESET)] = 0
    over = float(piece.costs @ x) - piece.K
    for i in run.rng.permutation(np.flatnonzero(x)):
        if over <= 0.0:
            break
        x[i] = 0
        over -= piece.costs[i]
    return filled(piece, x, run)


def filled(piece: Slice, x: Bits, run: Run) -> Bits:
    """`x` with variables added in random order while they fit; x itself changes."""
    left = piece.K - float(piece.costs @ x)
    for i in run.rng.permutation(np.flatnonzero(x == 0)):
        if piece.costs[i] <= left:
            x[i] = 1
            left -= piece.costs[i]
    return x


def _tenures(x: Bits, run: Run) -> Ints:
    """How long what was added stays kept, and what was dropped stays out: 2 × 512 draws, one a move."""
    kept = int(x.sum())
    add, drop = (max(1, min(20, some // 4)) for some in (kept, x.size - kept))
    return np.stack([run.rng.integers(0, add + 1, 512), run.rng.integers(1, drop + 1, 512)])


@numba.njit(cache=True, nogil=True)
def _delta(matrix: Any, slope: Floats, x: Bits, i: int, j: int) -> float:
    """Change of the loss when i is flipped, and j with it unless j = i."""
    change: float = (1.0 - 2.0 * x[i]) * slope[i]
    if j != i:
        coupling = entry(matrix, i, j)  # type: ignore[no-untyped-call]
        change += (1.0 - 2.0 * x[j]) * slope[j] - 2.0 * coupling
    return change


@numba.njit(cache=True, nogil=True)
def _use(costs: Floats, x: Bits, i: int, j: int) -> float:
    """Capacity that the move takes."""
    use: float = costs[i] if x[i] == 0 else -costs[i]
    if j != i:
        use += costs[j] if x[j] == 0 else -costs[j]
    return use


@numba.njit(cache=True, nogil=True)
def _apply(matrix: Any, slope: Floats, x: Bits, costs: Floats, room: Floats, i: int, j: int) -> None:
    room[0] -= _use(costs, x, i, j)
    flip(matrix, slope, x, i)
    if j != i:
        flip(matrix, slope, x, j)


@numba.njit(cache=True, nogil=True)
def _anneal(
    matrix: Any,
    slope: Floats,
    x: Bits,
    costs: Floats,
    room: Floats,
    exact: bool,
    heat: Floats,
    order: Ints,
    rng: np.random.Generator,
) -> None:
    """One Metropolis sweep of n proposals at each temperature; `order` holds the kept variables first."""
    n, kept = x.size, 0
    for i in range(n):
        kept += x[i]
    for temperature in heat:
        for _ in range(n):
            a = int(rng.random() * n)
            if exact or rng.random() < 0.5:
                if kept == 0 or kept == n:
                    continue
                b = kept + int(rng.random() * (n - kept)) if a < kept else int(rng.random() * kept)
            else:
                b = a
            i, j = order[a], order[b]
            change = _delta(matrix, slope, x, i, j)
            if change > 0.0 and rng.random() >= np.exp(-change / temperature):
                continue
            if not exact and _use(costs, x, i, j) > room[0]:
                continue
            _apply(matrix, slope, x, costs, room, i, j)
            if b == a:
                b = kept - 1 if a < kept else kept
                kept += 1 if x[i] else -1
            order[a], order[b] = order[b], order[a]


@numba.njit(cache=True, nogil=True)
def _pick(
    slope: Floats, x: Bits, costs: Floats, until: Ints, step: Any, side: Any, limit: float, worst: float
) -> int:
    """The free variable with x = side, costs ≤ limit and the least change per cost < worst; n if none."""
    best, lowest, sign = x.size, worst, 1.0 - 2.0 * side
    for i in range(x.size):
        if x[i] == side and until[i] <= step and costs[i] <= limit:
            change = sign * slope[i] / costs[i]
            if change < lowest:
                best, lowest = i, change
    return best


@numba.njit(cache=True, nogil=True)
def _walk(
    matrix: Any,
    slope: Floats,
    x: Bits,
    costs: Floats,
    room: Floats,
    exact: bool,
    least: float,
    until: Ints,
    tenures: Ints,
    state: Floats,
    top: Bits,
    first: int,
    steps: int,
) -> None:
    """`steps` moves; each drops or adds the best free variable, drops until x fits, adds while that helps.

    state holds the loss and the lowest loss of a whole move, which `top` has. Moves alternate in what they
    begin with, as the first variable is chosen without knowing its partner.
    """
    infinite, kept, out, cheapest = np.inf, x[0] * 0 + 1, x[0] * 0, costs.min()
    helps = infinite if exact else -least
    for step in range(first, first + steps):
        side = kept if step & 1 else out
        now = state[0]
        for turn in range(x.size + 2):
            if turn > 0:
                side = kept if room[0] < 0.0 else out
            if turn > 0 and 0.0 <= room[0] < cheapest:
                break
            forced = side == kept or turn == 0
            limit, worst = (infinite, infinite) if forced else (room[0], helps)
            i = _pick(slope, x, costs, until, step, side, limit, worst)
            if i == x.size and room[0] < 0.0:
                i = _pick(slope, x, costs, until, step + 2 * x.size, side, limit, worst)
            if i == x.size:
                if turn > 0:
                    break
                continue
            room[0] -= costs[i] if x[i] == 0 else -costs[i]
            now += flip(matrix, slope, x, i)
            until[i] = step + 1 + tenures[1 - x[i], step & 511]
        state[0] = now
        if now < state[1] - least:
            state[1] = now
            copy(x, top)


@numba.njit(cache=True, nogil=True)
def _partner(
    matrix: Any,
    slope: Floats,
    x: Bits,
    costs: Floats,
    room: Floats,
    exact: bool,
    gain: float,
    i: int,
    scratch: Floats,
) -> int:
    """With which variable i is best exchanged, i to flip it alone; n if no change lies below gain."""
    best, other, sign = x.size, 1 - x[i], 2.0 * x[i] - 1.0
    if exact and other == 1:
        return best
    if not exact and -sign * slope[i] < gain and _use(costs, x, i, i) <= room[0]:
        best, gain = i, -sign * slope[i]
    coupled = row_of(matrix, i, scratch)  # type: ignore[no-untyped-call]
    for j in range(x.size):
        change = sign * (slope[j] - slope[i]) - 2.0 * coupled[j]
        if change < gain and x[j] == other and _use(costs, x, i, j) <= room[0]:
            best, gain = j, change
    return best


@numba.njit(cache=True, nogil=True)
def _settle(
    matrix: Any,
    slope: Floats,
    x: Bits,
    costs: Floats,
    room: Floats,
    exact: bool,
    least: float,
    moves: int,
) -> bool:
    """Take feasible exchanges that help, `moves` times or until there is none: then True.

    Of the variable that is missed least or helps most where that has one, else of the next one that has.
    """
    i = idle = done = x.size * 0  # no literal, which would compile all that takes i once more
    scratch, out, kept = np.empty(x.size), x[0] * 0, x[0] * 0 + 1
    while idle < x.size and done < moves:
        best = x.size
        if idle == 0:
            for side in (kept, out):
                one = _leading(slope, x, side)
                if best == x.size and one != x.size:
                    best = _partner(matrix, slope, x, costs, room, exact, -least, one, scratch)
                    if best != x.size:
                        _apply(matrix, slope, x, costs, room, one, best)
                        done += 1
        if best != x.size:
            continue
        best = _partner(matrix, slope, x, costs, room, exact, -least, i, scratch)
        idle += 1
        if best != x.size:
            _apply(matrix, slope, x, costs, room, i, best)
            idle, done = 0, done + 1
        i = (i + 1) % x.size
    return idle == x.size


@numba.njit(cache=True, nogil=True)
def _leading(slope: Floats, x: Bits, side: Any) -> int:
    """The variable with x = side whose flip changes the loss least; n if there is none."""
    best, lowest, sign = x.size, np.inf, 1.0 - 2.0 * side
    for i in range(x.size):
        if x[i] == side and sign * slope[i] < lowest:
            best, lowest = i, sign * slope[i]
    return best
