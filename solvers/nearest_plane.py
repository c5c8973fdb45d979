"""nearest-plane: round one coordinate after another, each given the errors of those before it.

Babai 1986; on the Gram matrix of the inputs this is GPTQ (Frantar et al. 2022, arXiv:2210.17323;
Chen et al. 2025, arXiv:2507.18553 show the two equal). Not to be confused with rounding to nearest,
which ignores the Gram matrix.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt

from ..problems import Rounding
from ..problems.arrays import Bits, Floats
from .registry import Choice, Range, solver
from .run import Run

__all__ = ["column_order", "factor", "nearest_plane"]


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
    x = np.empty(rounding.shape, dtype=np.int8)
    x[:, columns] = _one_pass(rounding, columns, lower)
    run.offer(x)


def _one_pass(rounding: Rounding, columns: npt.NDArray[np.int64], lower: Floats) -> Bits:
    """Levels (n, f) in the order of `columns`."""
    shift, fixed = rounding.shift[:, columns], rounding.fixed[:, columns]
    top = rounding.levels[columns] - 1
    error, x = np.zeros(shift.shape), np.zeros(shift.shape, dtype=np.int8)
    for i in range(shift.shape[1]):
        pull = error[:, :i] @ lower[i, :i] / lower[i, i]
        level = np.clip(np.floor(shift[:, i] - pull + 0.5), 0, top[i])
        x[:, i] = np.where(fixed[:, i] >= 0, fixed[:, i], level)
        error[:, i] = x[:, i] - shift[:, i]
    return x


def column_order(gram: Floats, order: str) -> npt.NDArray[np.int64]:
    """Columns in the order of rounding: "act" by falling mean square, "given" as they stand."""
    if order == "given":
        return np.arange(len(gram))
    return np.argsort(-np.diag(gram), kind="stable")


def factor(gram: Floats, damping: float) -> Floats:
    """Lower triangular T with gram + damping·mean(diag)·I = TᵀT.

    Then the loss is Σ_i (Σ_{j≤i} T_ij e_j)², one term a coordinate given those before it. Where the sum is
    not positive definite in float64, which a rank-deficient gram may cause, the damping grows tenfold.
    """
    ridge = damping * (float(np.mean(np.diag(gram))) or 1.0)
    while True:
        try:
            damped = gram + ridge * np.eye(len(gram))
            return np.asarray(np.linalg.cholesky(damped[::-1, ::-1])[::-1, ::-1].T)
        except np.linalg.LinAlgError:
            ridge *= 10.0
