"""Crosses of a tensor: rows of largest volume, and prefixes with one more bit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...problems.arrays import Bits, Floats

__all__ = ["largest", "with_bit"]


def with_bit(kept: Bits, *, first: bool) -> Bits:
    """Every kept part (m, k) with either bit put after it, or before it: (2m, k + 1)."""
    bit = np.array([[0], [1]], dtype=np.int8)
    if first:
        return np.hstack([np.repeat(bit, len(kept), axis=0), np.tile(kept, (2, 1))])
    return np.hstack([np.repeat(kept, 2, axis=0), np.tile(bit, (len(kept), 1))])


def largest(losses: Floats, rank: int) -> npt.NDArray[np.int64]:
    """Rows of the table (r, c) to keep: those that span the most volume, and the one of the lowest loss.

    A loss is infinite where it was not asked for.
    """
    from tntorch.maxvol import py_maxvol

    lowest, known = losses.min(), losses[np.isfinite(losses)]
    if not known.size:  # The budget ended before the table: no row is better than another.
        return np.arange(min(rank, len(losses)))
    spread = float(known.mean() - lowest) or 1.0
    # Of this size whatever the losses' unit; a table of equal rows still has an orthonormal basis.
    basis, _ = np.linalg.qr(np.exp(-(losses - lowest) / spread))
    rows = py_maxvol(basis[:, :rank])[0][:rank].astype(np.int64)
    best = int(np.argmin(losses.min(axis=1)))
    return rows if best in rows else np.append(rows[: rank - 1], best)
