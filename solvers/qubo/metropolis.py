"""Metropolis sweeps that sa and tempering share: one matrix in single precision, recycled random numbers.

A state moves by x_i += step_i, which changes its loss by step_i·slope_i + curve_i; where no step is allowed
step_i is NaN, which no comparison lets pass. The rule of Metropolis et al. 1953, accept with probability
exp(−change/T), is here change ≤ T·e with e exponential. A pool of such e is drawn once for some 20 ms and
every sweep reads it from another random place, so a sweep costs one comparison a variable, made for a chunk
at once, and one row of the matrix for each accepted move. Losses are for the caller to compute in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ...problems import Qubo, Rounding
from ...problems.arrays import Bits, Floats
from ..compiled import add_row, copy, per_look, readonly
from ..run import Run

__all__ = ["Chain", "Landscape", "Luck", "Singles", "landscape_of", "sweep", "temperature_range"]

Singles = npt.NDArray[np.float32]

CHUNK = np.uint64(64)
"""Variables compared at once. Unsigned, or numba does not vectorise the comparison."""

HALF = 0.6931472
"""The median of an exponential number, log 2."""

OFFSETS = 1 << 16
"""Places in the pool at which a sweep may begin."""

PILOT, OFFERS = 96, 1024
"""Temperatures of the pilot, each swept twice, or as often as gives that many steps to judge."""

COLDEST = 1e-6
"""Last temperature of the pilot, as a share of the first."""

HOT, COLD = 0.15, 0.001
"""Share of the variables that take an uphill step in a sweep at the first and at the last temperature."""


@dataclass(frozen=True, eq=False)
class Landscape:
    """What the chains of an instance share. A row is a neuron, or a whole Qubo.

    Attributes:
        unit: loss of 1 here, in units of the instance; of a neuron before its squared scale.
        matrix: by how much a step of 1 moves the slopes, single precision: (n, width) or a CSR's tuple.
        product: the same in double precision, (n, n).
        linear: slopes at x = 0, (rows, n).
        curve: what a step of ±1 costs beyond its slope, (width,).
        top: highest value of each variable, 0 where it is fixed, (rows, n).
        start: values of the fixed variables, 0 for the others, (rows, n).
        loss: of a row at x (n,), in float64.
    """

    unit: float
    matrix: Any
    product: Any
    linear: Floats
    curve: Singles
    top: Bits
    start: Bits
    loss: Callable[[int, Bits], float]

    @property
    def n(self) -> int:
        """Variables of a row."""
        return int(self.linear.shape[1])

    @property
    def width(self) -> int:
        """Length of a chain's arrays: n rounded up to whole chunks."""
        return int(self.curve.size)

    @property
    def cost(self) -> int:
        """Elementary operations of a sweep in which every fourth variable moves."""
        dense = isinstance(self.matrix, np.ndarray)
        row = self.n // 6 if dense else self.product.nnz // max(1, self.n)
        return self.n * (2 + (10 + row) // 4)

    @property
    def patience(self) -> int:
        """Sweeps between two sums in double precision, each of which costs as much as some 100 or 10."""
        return 1000 if isinstance(self.matrix, np.ndarray) else 100

    def slopes(self, row: int, x: Any) -> Floats:
        """Slope (n,) of every variable at x (n,)."""
        return np.asarray(self.linear[row] + self.product @ np.asarray(x, dtype=np.float64))

    def random(self, row: int, rng: np.random.Generator) -> Bits:
        """A random state (n,) with the fixed variables at their values."""
        return np.asarray(self.start[row] + rng.integers(0, self.top[row] + 1, dtype=np.int8))


def landscape_of(instance: Qubo | Rounding) -> Landscape:
    """The landscape of a Qubo, in one row, or of a layer, in a row for each neuron."""
    if isinstance(instance, Qubo):
        return _landscape(
            2.0 * instance.couplings,
            instance.linear[None],
            curve=np.zeros(instance.n),
            top=np.ones((1, instance.n), dtype=np.int8),
            start=np.zeros((1, instance.n), dtype=np.int8),
            loss=lambda _, x: instance.loss(x),
        )
    return _landscape(
        2.0 * instance.gram,
        -2.0 * instance.shift @ instance.gram,
        curve=np.diag(instance.gram),
        top=np.where(instance.fixed < 0, instance.levels - 1, 0).astype(np.int8),
        start=np.maximum(instance.fixed, 0),
        loss=lambda row, x: _of_neuron(instance, row, x),
    )


def _of_neuron(layer: Rounding, row: int, x: Bits) -> float:
    error = x - layer.shift[row]
    return float(layer.scale[row] ** 2 * max(0.0, error @ layer.gram @ error))


def _landscape(
    product: Any,
    linear: Floats,
    *,
    curve: Floats,
    top: Bits,
    start: Bits,
    loss: Callable[[int, Bits], float],
) -> Landscape:
    largest = max(float(abs(product).max()), float(np.abs(linear).max())) if linear.size else 0.0
    # A power of two keeps integers exact, so that equal losses stay equal in single precision.
    unit = float(np.exp2(np.ceil(np.log2(largest)))) if largest else 1.0
    width = -(-linear.shape[1] // int(CHUNK)) * int(CHUNK)
    product = product / unit
    return Landscape(
        unit, _single(product, width), product, linear / unit, _padded(curve / unit, width), top, start, loss
    )


def _single(product: Any, width: int) -> Any:
    """The matrix as the kernel reads it."""
    if isinstance(product, np.ndarray):
        return readonly(_padded(product, width))
    indices = (product.indices, product.indptr)
    return readonly(product.data.astype(np.float32)), *(
        readonly(one.astype(np.int32, copy=False)) for one in indices
    )


def _padded(values: Any, width: int) -> Any:
    """The values in single precision, their last axis filled up with zeros."""
    padded = np.zeros((*values.shape[:-1], width), dtype=np.float32)
    padded[..., : values.shape[-1]] = values
    return padded


class Luck:
    """Exponential random numbers, drawn anew after as many sweeps as fit between two looks at the clock."""

    def __init__(self, landscape: Landscape, rng: np.random.Generator) -> None:
        self.rng, self.width, self.lasts = rng, landscape.width, per_look(landscape.cost)
        self.left = 0

    def draw(self, sweeps: int, each: int) -> tuple[Singles, Any]:
        """The pool (OFFSETS + width,), and random places in it for so many sweeps, (sweeps, each)."""
        if self.left <= 0:
            self.pool = self.rng.standard_exponential(OFFSETS + self.width, dtype=np.float32)
            self.left = self.lasts
        self.left -= sweeps
        return self.pool, self.rng.integers(0, OFFSETS, (sweeps, each))


class Chain:
    """A state of one row that moves.

    Attributes:
        x: values (width,), zeros behind the n-th.
        energy: its loss in the landscape's unit, without the offset.
        best, lowest: the lowest state since the last `put`, (width,), and its energy.
    """

    def __init__(self, landscape: Landscape, row: int, x: Bits) -> None:
        self.landscape, self.row = landscape, row
        n, width = landscape.n, landscape.width
        self.x, self.best, self.top = (np.zeros(width, dtype=np.int8) for _ in range(3))
        self.slope = np.zeros(width, dtype=np.float32)
        self.step = np.full(width, np.nan, dtype=np.float32)
        self.top[:n] = landscape.top[row]
        self.put(x)

    def put(self, x: Bits) -> None:
        """Go to x (n,); slopes and energy are computed anew, free of the rounding errors of earlier moves."""
        n, slopes = self.landscape.n, self.landscape.slopes(self.row, x)
        self.x[:n] = self.best[:n] = x
        self.slope[:n] = slopes
        self.energy = self.lowest = 0.5 * float(x @ (self.landscape.linear[self.row] + slopes))
        self.step[:n] = np.where(self.top[:n] == 0, np.nan, np.where(self.x[:n] == 0, 1, -1))

    def values(self) -> Bits:
        """A copy of the state, (n,)."""
        return self.x[: self.landscape.n].copy()

    def anneal(self, temperatures: Floats, luck: Luck) -> Any:
        """Sweep once at each temperature; how many uphill steps each sweep took."""
        uphill = np.zeros(temperatures.size, dtype=np.int64)
        pool, starts = luck.draw(temperatures.size, 2)
        self.energy, self.lowest = _anneal(
            self.landscape.matrix,
            self.landscape.curve,
            self.slope,
            self.step,
            self.x,
            self.top,
            self.best,
            temperatures.astype(np.float32),
            pool,
            starts,
            uphill,
            self.energy,
            self.lowest,
        )
        return uphill


def temperature_range(landscape: Landscape, run: Run) -> tuple[float, float]:
    """First and last temperature, from how often a quick pilot run over all of them goes uphill.

    Extremes of the coefficients say little: a few large ones would make most of a schedule a random walk,
    a few tiny ones leave it frozen.
    """
    row = int(np.argmax((landscape.top > 0).sum(axis=1)))
    free = int(np.count_nonzero(landscape.top[row]))
    first = 2.0 * float(_typical(landscape, row).max(initial=0.0)) or 1.0
    temperatures = np.geomspace(first, COLDEST * first, PILOT)
    chain = Chain(landscape, row, landscape.random(row, run.rng))
    luck = Luck(landscape, run.rng)
    shares = np.zeros(PILOT)
    each = max(2, OFFERS // max(1, free))
    length = max(1, per_look(each * landscape.cost))
    for begin in range(0, PILOT, length):
        if run.stopped():
            break
        part = slice(begin, begin + length)
        uphill = chain.anneal(np.repeat(temperatures[part], each), luck)
        shares[part] = uphill.reshape(-1, each).mean(axis=1) / max(1, free)
        run.tally("sweeps", uphill.size)
    hot, cold = (_last_above(temperatures, shares, share) for share in (HOT, COLD))
    return hot, min(cold, hot / 5)


def _last_above(temperatures: Floats, shares: Floats, share: float) -> float:
    above = np.flatnonzero(shares >= share)
    return float(temperatures[above[-1] if above.size else 0])


def _typical(landscape: Landscape, row: int) -> Floats:
    """Root mean square (n,) of each free variable's slope over random states."""
    top, start = landscape.top[row].astype(np.float64), landscape.start[row]
    mean = landscape.slopes(row, start + top / 2)
    variance = landscape.product**2 @ (((top + 1) ** 2 - 1) / 12)
    return np.asarray(np.sqrt(mean**2 + variance)[top > 0])


@numba.njit(cache=True, nogil=True)
def _anneal(
    matrix: Any,
    curve: Singles,
    slope: Singles,
    step: Singles,
    x: Bits,
    top: Bits,
    best: Bits,
    temperatures: Singles,
    pool: Singles,
    starts: Any,
    uphill: Any,
    now: float,
    lowest: float,
) -> tuple[float, float]:
    """Sweep at each temperature from two random places in the pool, for luck and for directions.

    slope, step, x and the energy `now` move on; a state below `lowest` at the end of a sweep becomes `best`.
    """
    many = False
    for i in range(top.size):
        many |= top[i] > 1
    for t in range(temperatures.size):
        if many:
            _direct(step, x, top, pool, starts[t, 1])
        change, uphill[t] = sweep(matrix, curve, slope, step, x, pool, starts[t, 0], temperatures[t])
        now += change
        if now < lowest:
            lowest = now
            copy(x, best)
    return now, lowest


@numba.njit(cache=True, nogil=True)
def _direct(step: Singles, x: Bits, top: Bits, pool: Singles, start: int) -> None:
    """Draw whether each variable of more than two levels is to go up or down; never off its ends."""
    for i in range(step.size):
        if top[i] > 1:
            move = 1 if pool[start + i] > HALF else -1
            step[i] = move if 0 <= x[i] + move <= top[i] else np.nan


@numba.njit(cache=True, nogil=True)
def sweep(
    matrix: Any,
    curve: Singles,
    slope: Singles,
    step: Singles,
    x: Bits,
    pool: Singles,
    start: int,
    temperature: float,
) -> tuple[float, int]:
    """Offer every variable its step once, in order; the change of the loss and the uphill steps taken."""
    luck = pool[start:]
    total, uphill = 0.0, 0
    first, size = np.uint64(0), np.uint64(slope.size)
    while first < size:
        last = first + CHUNK
        hits = np.int32(0)
        for i in range(first, last):
            passes = step[i] * slope[i] + curve[i] <= temperature * luck[i]
            hits += np.int32(1) if passes else np.int32(0)
        # Most chunks of a cold sweep end here; in the others each step is judged after those before it.
        for i in range(first, last if hits else first):
            change = step[i] * slope[i] + curve[i]
            if change <= temperature * luck[i]:
                add_row(slope, matrix, i, step[i])  # type: ignore[no-untyped-call]
                x[i] += np.int8(step[i])
                step[i] = -step[i]
                total += change
                uphill += change > 0
        first = last
    return total, uphill
