"""The bootstrap interval of a median without a draw: the law of the resampled median is known.

A resample's median is at most x if more than half of its cells are. Each of the I instances
drawn, of n cells k of which are at most x, adds 2B - n to the lead of these cells, B being binomial (n, k/n);
so the lead is a sum of I independent terms, and its law one term's, folded I times (Efron 1982 gives this for
one cell an instance).
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

__all__ = ["median_ends"]

Floats = NDArray[np.float64]
Whole = NDArray[np.intp]

SLACK = 1e-12
"""Noise of a sum of probabilities."""

DEVIATIONS, TERMS = 10, 40
"""So many deviations and largest terms off its mean a sum is not found (Bernstein 1924: below 1e-10)."""


def median_ends(cells: Floats, counts: Whole, level: float) -> tuple[float, float]:
    """Where the resampled medians' middle `level` begins and ends.

    Of an even number of cells either of the two in the middle is the median, with equal chances.

    Parameters:
        cells: (cells,) values, an instance's side by side.
        counts: (instances,) how many cells each has.
        level: from 0 to 1.
    """
    ordered, tail = np.unique(cells), (1.0 - level) / 2.0
    first = np.cumsum(counts) - counts

    def reached(place: int) -> float:
        below = np.add.reduceat((cells <= ordered[place]).astype(np.intp), first)
        return _lead(counts, below)

    places = range(len(ordered))
    low = bisect_left(places, tail - SLACK, key=reached)
    high = bisect_left(places, 1.0 - tail - SLACK, key=reached)
    last = len(ordered) - 1
    return float(ordered[min(low, last)]), float(ordered[min(high, last)])


def _lead(counts: Whole, below: Whole) -> float:
    """Probability that in a resample more than half of the cells are of those `below`; a tie counts half."""
    terms, most = counts.size, int(counts.max())
    law = _term(counts, below)
    leads = np.arange(-most, most + 1)
    mean = float(law @ leads)
    deviation = float(np.sqrt(law @ (leads - mean) ** 2))
    reach = DEVIATIONS * deviation * np.sqrt(terms) + TERMS * most
    if abs(mean) * terms > reach:
        return float(mean > 0)
    # Beyond its reach the sum would come round to the other side, where it has no mass.
    length = 1 << int(min(terms * most, abs(mean) * terms + reach)).bit_length() + 1
    wrapped = np.zeros(length)
    np.add.at(wrapped, leads % length, law)
    folded = np.fft.irfft(np.fft.rfft(wrapped) ** terms, length)
    return float(folded[1 : length // 2].sum() + folded[0] / 2)


def _term(counts: Whole, below: Whole) -> Floats:
    """Probability of each lead from -most to most that one drawn instance adds."""
    most = int(counts.max())
    law = np.zeros(2 * most + 1)
    for cells in np.unique(counts):
        held, times = np.unique(below[counts == cells], return_counts=True)
        law[most - cells : most + cells + 1 : 2] += times @ _binomial(int(cells), held) / counts.size
    return law


def _binomial(cells: int, held: Whole) -> Floats:
    """(held, draws): of so many draws with replacement, how many are among the held ones of the cells."""
    k, b = held[:, None] / cells, np.arange(cells + 1)
    # scipy.special has logarithms of factorials too, and takes .3 s to import.
    factorials = np.append(0.0, np.cumsum(np.log(b[1:])))
    ways = factorials[-1] - factorials - factorials[::-1]
    return np.asarray(np.exp(ways + _powers(k, b) + _powers(1.0 - k, cells - b)))


def _powers(base: Floats, exponents: Whole) -> Floats:
    """Logarithms of powers, 0 where the exponent is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(exponents == 0, 0.0, exponents * np.log(base))
