"""tabu: one-flip tabu search in exact integers; a restart decides most variables of its last point anew.

Search and restarts are those of the multistart tabu search MST2 of Palubeckis 2004, MQLib's best heuristic on
our rounding instances. Ours are the share and the tenure drawn anew for each restart, and the windows for
sparse instances.

Losses are scaled to integers, of which a flip's bookkeeping loses nothing however long a search gets, and
whose low bits hold the number of a variable. So one vectorised pass moves all gains and finds the next flip.
"""

from __future__ import annotations

from itertools import count
from typing import Annotated, Any

import numba
import numpy as np
import numpy.typing as npt

from ...problems import Qubo
from ...problems.arrays import Bits, Floats
from ..compiled import per_look, readonly
from ..registry import Range, solver
from ..run import Run
from .flips import flip, matrix_of, reach, slopes
from .reassignment import reassigned

__all__ = ["search", "tabu"]

Ints = npt.NDArray[np.int64]

WHOLE = 256
"""Variables up to which a sparse instance is searched as a whole, after a round of windows."""

WINDOW, WALK = 16, 32
"""Variables of a window in a sparse instance, and flips in it."""

CENTERS = 512
"""Windows between two looks at the clock, some 5 ms."""

TENURE, SHARE = 20, 0.95

PASSES = 10
"""Flips a variable of a restart; fewer would often lead where the one before has been."""

WIDTH = 60
"""Bits of the largest gain that any point can have, so that two of them still fit into an int64."""

FAR = 2**62
"""Above every gain."""


@solver("tabu", accepts=Qubo, reference="Palubeckis 2004", counts="flips")
def tabu(
    qubo: Qubo,
    run: Run,
    *,
    tenure: Annotated[int, Range(1, 1_000)] = TENURE,
    flips: Annotated[int, Range(100, 10_000_000, log=True)] = 5_000,
    share: Annotated[float, Range(0.01, 1.0)] = SHARE,
) -> None:
    """Always flip the best variable that was not flipped lately, even uphill. A flip costs O(n).

    Parameters:
        tenure: most flips for which a variable stays tabu, at most a quarter of the variables; each restart
            draws a magnitude up to it.
        flips: least length of a restart, which is ten flips a variable, of a sparse instance of at most 256
            variables or a dense one.
        share: most of the variables that a restart decides anew; each draws between a third of it and it.
    """
    search(qubo, run, tenure=tenure, flips=max(flips, PASSES * qubo.n), share=share)


def search(qubo: Qubo, run: Run, *, flips: int, tenure: int = TENURE, share: float = SHARE) -> None:
    """The search of `tabu` with restarts of just so many flips."""
    if qubo.sparse and qubo.n > WHOLE:
        _search_windows(qubo, run, tenure)
    else:
        _search_whole(qubo, run, tenure, flips, share)


def _search_whole(qubo: Qubo, run: Run, tenure: int, flips: int, share: float) -> None:
    bits = qubo.n.bit_length()
    scale = _scale(qubo, bits)
    couplings = readonly(qubo.couplings.toarray() if qubo.sparse else qubo.couplings)
    matrix = _integers(2.0 * couplings, scale, bits)
    until, block = np.zeros(qubo.n, dtype=np.int64), per_look(2 * qubo.n)
    x = run.rng.integers(0, 2, qubo.n, dtype=np.int8)
    for restart in count():
        if not run.open():
            return
        if restart:
            x = reassigned(couplings, slopes(qubo, x), x, share * run.rng.uniform(1 / 3, 1.0), run.rng)
        if qubo.sparse:
            _round(qubo, run, x, tenure)
        side, gain = -x.astype(np.int64), _integers((1.0 - 2.0 * x) * slopes(qubo, x), scale, bits)
        state = np.array([0, 0, run.rng.integers(1 << bits)], dtype=np.int64)
        tenures, top = _tenures(qubo.n, run, tenure), x.copy()
        until.fill(0)
        for start in range(0, flips, block):
            steps = min(block, flips - start)
            _walk(matrix, gain, side, until, tenures, state, top, start + 1, steps, bits)
            run.tally("flips", steps)
            if run.stopped():
                break
        run.offer(top)
        x = -side.astype(np.int8)


def _search_windows(qubo: Qubo, run: Run, tenure: int) -> None:
    """Search windows around every variable in random order, over and over; a restart is one such round.

    A flip costs O(WINDOW) here, whatever n. No window ever raises the loss, so this ends in a local optimum.
    """
    x = run.rng.integers(0, 2, qubo.n, dtype=np.int8)
    while run.open():
        _round(qubo, run, x, tenure)


def _round(qubo: Qubo, run: Run, x: Bits, tenure: int) -> None:
    """Search the window around every variable once, which moves x."""
    bits, slope = WINDOW.bit_length(), slopes(qubo, x)
    matrix, scale = matrix_of(qubo), _scale(qubo, bits)
    place, centers = np.full(qubo.n, -1, dtype=np.int64), run.rng.permutation(qubo.n)
    for first in range(0, qubo.n, CENTERS):
        some = centers[first : first + CENTERS]
        _visit(matrix, slope, x, some, place, _tenures(WINDOW, run, tenure), scale, bits)
        run.tally("flips", len(some) * WALK)
        run.offer(x)
        if run.stopped():
            return


def _scale(qubo: Qubo, bits: int) -> float:
    """Factor that brings the largest gain to WIDTH bits, of which `bits` are left to a variable's number."""
    return 2.0 ** (WIDTH - bits) / (float(reach(qubo).max(initial=0.0)) or 1.0)


def _integers(values: Floats, scale: float, bits: int) -> Ints:
    return np.asarray(np.rint(scale * values).astype(np.int64) << bits)


def _tenures(n: int, run: Run, tenure: int) -> Ints:
    """How long each of 1024 flips in turn stays tabu: a magnitude for the restart, and up to half as much."""
    most = max(1, min(tenure, n // 4))
    chosen = round(float(np.exp(run.rng.uniform(0.0, np.log(most)))))
    return chosen + run.rng.integers(0, min(chosen // 2, n // 8) + 1, 1024)


@numba.njit(cache=True, nogil=True)
def _move(row: Ints, sign: Any, gain: Ints, side: Ints, until: Ints, step: int, luck: int) -> Any:
    """Move the gains for a flip whose couplings are `row`; the lowest key of those free, and of all.

    A key is a gain with a variable's number, mixed with `luck` to break ties, in the low bits.
    """
    free = lowest = np.int64(FAR)
    for j in range(gain.size):
        turn = sign ^ side[j]
        value = gain[j] + ((row[j] ^ turn) - turn)
        gain[j] = value
        key = value | (j ^ luck)
        lowest = min(lowest, key)
        free = min(free, key if until[j] < step else np.int64(FAR))
    return free, lowest


@numba.njit(cache=True, nogil=True)
def _walk(
    matrix: Any,
    gain: Ints,
    side: Ints,
    until: Ints,
    tenures: Ints,
    state: Ints,
    top: Bits,
    first: Any,
    steps: Any,
    bits: int,
) -> None:
    """`steps` tabu flips; `top` becomes the best point met.

    side (n,) is 0 where x = 0 and -1 where x = 1; state holds the loss, the best loss, both from where the
    restart began, and the luck. A tabu variable may be flipped if that leads below the best.
    """
    none, low = np.zeros(gain.size, dtype=np.int64), (np.int64(1) << bits) - 1
    now, best, luck = state
    free, lowest = _move(none, np.int64(0), gain, side, until, first, luck)
    for step in range(first, first + steps):
        key = lowest if now + (lowest >> bits) < best else free
        row, sign = none, np.int64(0)
        if key != FAR:
            i = (key ^ luck) & low
            now += gain[i] >> bits
            gain[i] = -gain[i]
            until[i] = step + tenures[step & 1023]
            row, sign = matrix[i], side[i]
            side[i] = ~side[i]
        luck = (luck * 1103515245 + 12345) & low
        free, lowest = _move(row, sign, gain, side, until, step + 1, luck)
        if now <= best:
            best = now
            for j in range(gain.size):
                top[j] = -side[j]
    state[0], state[1], state[2] = now, best, luck


@numba.njit(cache=True, nogil=True)
def _visit(
    matrix: Any,
    slope: Floats,
    x: Bits,
    centers: Ints,
    place: Ints,
    tenures: Ints,
    scale: float,
    bits: int,
) -> None:
    """Walk WALK flips in a window around each center and leave x at the best point met; slope follows."""
    data, indices, indptr = matrix
    members = np.empty(WINDOW, dtype=np.int64)
    state = np.zeros(3, dtype=np.int64)
    for center in centers:
        count = _gather(indices, indptr, center, place, members)
        couplings = np.zeros((count, count), dtype=np.int64)
        gain, side, until = np.empty(count, np.int64), np.empty(count, np.int64), np.zeros(count, np.int64)
        top = np.empty(count, dtype=np.int8)
        for a in range(count):
            i = members[a]
            gain[a] = np.int64(round((1.0 - 2.0 * x[i]) * slope[i] * scale)) << bits
            side[a], top[a] = -x[i], x[i]
            for k in range(indptr[i], indptr[i + 1]):
                if place[indices[k]] >= 0:
                    couplings[a, place[indices[k]]] = np.int64(round(2.0 * data[k] * scale)) << bits
        state[0] = state[1] = 0
        _walk(couplings, gain, side, until, tenures, state, top, np.int64(1), np.int64(WALK), bits)
        for a in range(count):
            place[members[a]] = -1
            if top[a] != x[members[a]]:
                flip(matrix, slope, x, members[a])


@numba.njit(cache=True, nogil=True)
def _gather(indices: Any, indptr: Any, center: int, place: Ints, members: Ints) -> int:
    """Write the variables nearest to the center to `members`, their order to `place`; return how many."""
    members[0], place[center] = center, 0
    count, head = 1, 0
    while head < count < members.size:
        for k in range(indptr[members[head]], indptr[members[head] + 1]):
            j = indices[k]
            if place[j] < 0 and count < members.size:
                members[count], place[j] = j, count
                count += 1
        head += 1
    return count
