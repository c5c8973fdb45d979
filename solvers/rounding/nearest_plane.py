"""nearest-plane: round one coordinate after another, each given the errors of those before it.

Babai 1986. On the Gram matrix of the inputs this is GPTQ (Frantar et al. 2022, arXiv:2210.17323; Chen et al.
2025, arXiv:2507.18553 show the two equal): the defaults are its act-order and its usual damping of 1 %. Not
to be confused with rounding to nearest, which ignores the Gram matrix.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ...problems import Rounding
from ..devices import NUMBA, PRECISIONS
from ..registry import Choice, Range, solver
from ..run import Run
from . import on_torch
from .factors import triangle
from .levels.units import check_steps, factored, units_of
from .plane_kernel import planes

__all__ = ["nearest_plane"]


@solver("nearest-plane", accepts=Rounding, reference="Babai 1986; Frantar et al. 2022", groups=True)
def nearest_plane(
    rounding: Rounding,
    run: Run,
    *,
    damping: Annotated[float, Range(1e-8, 1.0, log=True)] = 0.01,
    order: Annotated[str, Choice("act", "given", "sorted")] = "act",
    device: str = NUMBA,
    precision: Annotated[str, Choice(*PRECISIONS)] = "float64",
) -> None:
    """GPTQ: one pass over the columns for all neurons at once; O(f³ + n f²).

    Parameters:
        damping: added to the Gram matrix's diagonal, as a share of its mean.
        order: "act" rounds the columns of the largest mean square first, "given" left to right, "sorted" is
            V-BLAST's.
        device: "numba" for the compiled kernels, which are float64 for two levels and float32 for more, or
            torch's "cpu", "cuda", "cuda:1", …
        precision: of the matrix products between blocks on a device of torch's.
    """
    if device == NUMBA and (rounding.grouped or not rounding.binary):
        factor = factored(rounding.gram, order, damping)  # first, as it takes most memory
        levels = units_of(rounding).nearest(factor)
        run.offer(rounding.settle(levels))
        return
    if device != NUMBA:
        check_steps(rounding, device)
        layer = on_torch.Layer(rounding, device, order=order, damping=damping, precision=precision)
        x = layer.plane()
        run.offer(x, float(layer.losses(x, np.arange(rounding.n)).sum()))
        return
    columns, lower = triangle(rounding.gram, order, damping)
    run.offer(planes(rounding, np.arange(rounding.n), columns, lower))
