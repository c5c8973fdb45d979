"""beam: keep the K cheapest prefixes of every neuron at each coordinate, then descend.

The M-algorithm (Anderson & Mohan 1984) on the layer's closest-vector problem; with K = 1 it is nearest plane.
Coordinates go in blocks: within a block each neuron extends its prefixes alone, between blocks one matrix
product brings every prefix of every neuron up to date, so most of the arithmetic runs at BLAS speed. What
decides how good a beam is, is the order: the sorted one of V-BLAST (Wolniansky et al. 1998) leaves the
coordinates that the others hardly tell apart to the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Protocol

import numpy as np

from ...problems import Rounding
from ...problems.arrays import Bits, Floats
from ..devices import NUMBA, PRECISIONS
from ..registry import Choice, Range, solver
from ..run import Run
from . import on_torch
from .box_minimum import centres
from .descent import SCANS, descend, descend_pairs, keep
from .factors import Columns, triangle
from .levels.prefixes import cheapest_levels
from .levels.units import check_steps, factored, units_of
from .prefixes import HORIZON, cheapest, never

__all__ = ["beam"]

PREFIXES, PARTS = 1 << 22, 16
"""Numbers that the prefixes of a batch of neurons take, but a layer has so many batches at most: after each
the whole layer is offered, and every offer is judged once more after the clock."""

LOOKS = 4
"""The same where a pass takes hardly longer than the judgement of an offer."""

CACHED = 1 << 19
"""Numbers that the prefixes of neurons searched at once may take, so that a processor's cache holds them."""


MOST = 1 << 26
"""Numbers that the prefixes of one neuron may take under a budget alone: 320 MiB with their errors."""


@solver("beam", accepts=Rounding, reference="Anderson & Mohan 1984", groups=True)
def beam(
    rounding: Rounding,
    run: Run,
    *,
    width: Annotated[int, Range(1, 65_536, log=True)] = 64,
    damping: Annotated[float, Range(1e-8, 1.0, log=True)] = 3e-3,
    order: Annotated[str, Choice("sorted", "act", "given")] = "sorted",
    device: str = NUMBA,
    precision: Annotated[str, Choice(*PRECISIONS)] = "float32",
) -> None:
    """Widen the beam from one prefix, fourfold a time, while the budget lasts; a pass costs O(n K f²).

    Parameters:
        width: prefixes that a run of fixed work keeps, in one pass.
        damping: added to the Gram matrix's diagonal, as a share of its mean.
        order: "sorted" is V-BLAST's, "act" takes the columns of the largest mean square first, "given" left
            to right.
        device: "numba" for the compiled kernels, or torch's "cpu", "cuda", "cuda:1", … for one batch.
        precision: of the matrix products between blocks; costs and losses are float64 always.
    """
    layer = _layer(rounding, order, damping, device, precision)
    best = rounding.nearest()
    losses = layer.losses(best, np.arange(rounding.n))
    pace = 0.0
    for kept in _widths(run, width, rounding.f):
        for rows in layer.batches(kept):
            # One prefix of one neuron costs the same at every width, so a batch too long is known before it.
            if pace * kept * len(rows) > run.remaining():
                run.exhausted = True
                return
            begun = run.elapsed()
            # The narrowest pass is quick and always ends, so that there is a solution.
            halt = run.stopped if kept > 1 and run.restarts is None else never
            found = layer.beam(rows, kept, halt)
            if found is None:
                return
            keep(rounding, best, losses, rows, found, layer.losses(found, rows))
            run.offer(best, float(losses.sum()))
            run.share = float(rows[-1] + 1) / rounding.n
            if run.stopped():
                return
            pace = (run.elapsed() - begun) / (kept * len(rows))


def _widths(run: Run, width: int, f: int) -> Iterator[int]:
    """Fixed work: one pass of `width`. With a budget alone: 1, 4, 16, … while prefixes fit into memory."""
    if run.restarts is not None:
        if run.open():
            yield width
        return
    kept = 1
    while kept <= 1 << 20 and kept * min(f, HORIZON) <= MOST and run.open():
        yield kept
        kept *= 4


class _Layer(Protocol):
    """What the search asks of a layer, wherever its arrays are."""

    def batches(self, kept: int) -> list[Columns]:
        """Neurons in groups whose prefixes fit into memory."""

    def beam(self, rows: Columns, kept: int, stopped: Callable[[], bool]) -> Bits | None:
        """The beam's choice (k, f) for some neurons, after a descent; None where `stopped`."""

    def losses(self, x: Bits, rows: Columns) -> Floats:
        """Loss (k,) of some neurons at x (k, f), in float64."""


def _layer(rounding: Rounding, order: str, damping: float, device: str, precision: str) -> _Layer:
    if device == NUMBA and (rounding.grouped or not rounding.binary):
        return _ManyLevels(rounding, order=order, damping=damping)
    if device == NUMBA:
        return _Compiled(rounding, order=order, damping=damping, precision=precision)
    check_steps(rounding, device)
    return on_torch.Layer(rounding, device, order=order, damping=damping, precision=precision)


class _Compiled:
    """A layer in this process's memory, factored, for the compiled kernels."""

    def __init__(self, rounding: Rounding, *, order: str, damping: float, precision: str) -> None:
        self.rounding, self.losses, self.kind = rounding, rounding.row_losses, np.dtype(precision)
        self.columns, self.lower = triangle(rounding.gram, order, damping)
        self.aim, self.charge = centres(rounding, self.columns, self.lower)

    def batches(self, kept: int) -> list[Columns]:
        """As `_Layer` says, but these are searched in turn."""
        size = max(self._fitting(kept, PREFIXES), -(-self.rounding.n // PARTS))
        return _groups(np.arange(self.rounding.n), size)

    def _fitting(self, kept: int, numbers: int) -> int:
        """Neurons whose prefixes take so many numbers."""
        return max(1, numbers // (kept * max(1, min(self.rounding.f, HORIZON))))

    def beam(self, rows: Columns, kept: int, stopped: Callable[[], bool]) -> Bits | None:
        """As `_Layer` says."""
        x = np.zeros(self.rounding.shape, dtype=np.int8)
        for some in _groups(rows, self._fitting(kept, CACHED)):
            chosen = self._cheapest(some, kept, stopped)
            if chosen is None:
                return None
            x[np.ix_(some, self.columns)] = chosen
        descend(self.rounding, x, rows)
        descend_pairs(self.rounding, x, rows, kept // SCANS)
        return np.asarray(x[rows])

    def _cheapest(self, rows: Columns, kept: int, stopped: Callable[[], bool]) -> Bits | None:
        arrays, target = (self.rounding, rows, self.columns, self.lower), (self.aim, self.charge)
        return cheapest(*arrays, kept, target=target, kind=self.kind, stopped=stopped)


class _ManyLevels:
    """A layer of more than two levels, whose prefixes have the two children nearest to their centre."""

    def __init__(self, rounding: Rounding, *, order: str, damping: float) -> None:
        self.rounding, self.losses = rounding, rounding.row_losses
        self.units, self.planes = units_of(rounding), factored(rounding.gram, order, damping)

    def batches(self, kept: int) -> list[Columns]:
        """As `_Layer` says, but these are searched in turn."""
        return _groups(np.arange(self.rounding.n), max(1, -(-self.rounding.n // LOOKS)))

    def beam(self, rows: Columns, kept: int, stopped: Callable[[], bool]) -> Bits | None:
        """As `_Layer` says."""
        units = self.units.rows(rows)
        levels = cheapest_levels(units, self.planes, kept, stopped)
        if levels is None:
            return None
        units.sweep(levels)
        return np.asarray(levels.clip(0, self.units.top), dtype=np.int8)


def _groups(rows: Columns, size: int) -> list[Columns]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]
