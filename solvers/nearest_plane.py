"""nearest-plane: round one coordinate after another, each given the errors of those before it.

Babai 1986; on the Gram matrix of the inputs this is GPTQ (Frantar et al. 2022, arXiv:2210.17323;
Chen et al. 2025, arXiv:2507.18553 show the two equal). Not to be confused with rounding to nearest,
which ignores the Gram matrix.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ..problems import Rounding
from .lattice import column_order, factor, planes
from .registry import Choice, Range, solver
from .run import Run

__all__ = ["nearest_plane"]


@solver("nearest-plane", accepts=Rounding, reference="Babai 1986; Frantar et al. 2022")
def nearest_plane(
    rounding: Rounding,
    run: Run,
    *,
    damping: Annotated[float, Range(1e-8, 1.0, log=True)] = 0.01,
    order: Annotated[str, Choice("act", "given")] = "act",
) -> None:
    """One pass over the columns for all neurons at once; O(f³ + n f²).

    Parameters:
        damping: added to the Gram matrix's diagonal, as a share of its mean.
        order: "act" rounds the columns of the largest mean square first, "given" left to right.
    """
    columns = column_order(rounding.gram, order)
    lower = factor(rounding.gram[np.ix_(columns, columns)], damping)
    run.offer(planes(rounding, np.arange(rounding.n), columns, lower))
