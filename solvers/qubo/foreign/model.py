"""The model over spins, as D-Wave's compiled kernels take it."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from ....problems import Qubo

__all__ = ["Model", "model_of"]

Model = tuple[Any, Any, Any, Any]
"""Fields (n,), and of every coupling its first spin, its second and its weight."""


def model_of(qubo: Qubo) -> Model:
    """The model over spins. dimod's own way there, and back in every call, outlasts the annealing."""
    fields = (qubo.linear + np.asarray(qubo.couplings.sum(axis=1)).ravel()) / 2.0
    if qubo.sparse:
        upper = sp.triu(qubo.couplings, k=1, format="csr").tocoo()
        (i, j), weights = upper.coords, upper.data
    else:
        i, j = np.triu_indices(qubo.n, k=1)
        weights = qubo.couplings[i, j]
        i, j, weights = (part[weights != 0] for part in (i, j, weights))
    return fields, i.astype(np.intc), j.astype(np.intc), weights / 2.0
