"""round-to-nearest: each weight to its nearest grid point, blind to the data. The baseline of every board."""

from __future__ import annotations

from ...problems import Rounding
from ..registry import solver
from ..run import Run

__all__ = ["round_to_nearest"]


@solver("round-to-nearest", accepts=Rounding, groups=True)
def round_to_nearest(rounding: Rounding, run: Run) -> None:
    """Round each weight alone; O(n f)."""
    run.offer(rounding.nearest())
