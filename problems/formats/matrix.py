"""A matrix Q as NumPy's .npy or .npz, or as scipy.sparse.save_npz writes it: minimise xᵀQx."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import scipy.sparse as sp

from ..instances.npz import DAMAGE, FileError, arrays_of
from ..instances.qubo import Qubo

__all__ = ["read"]

PACKED = {"csr": sp.csr_array, "csc": sp.csc_array}


def read(path: str | Path) -> Qubo:
    """Read the one matrix of a file; it need not be symmetric.

    Raises:
        MissingDataError: there is no such file.
        InputError: it holds no matrix, several, or one that is not square, real and finite.
    """
    arrays = arrays_of(path)
    if "format" in arrays:
        return Qubo(_sparse(arrays, path))
    if len(arrays) != 1:
        names = ", ".join(sorted(arrays)[:5])
        raise FileError(
            f"{path} must hold one matrix or an instance of ours, got {len(arrays)} arrays: {names}"
        )
    (matrix,) = arrays.values()
    return Qubo(matrix)


def _sparse(arrays: dict[str, Any], path: str | Path) -> Any:
    try:
        kind, shape = str(arrays["format"].item(), "ascii"), tuple(map(int, arrays["shape"]))
        if kind == "coo":
            coordinates = (arrays["row"], arrays["col"]) if "row" in arrays else tuple(arrays["coords"])
            return sp.coo_array((arrays["data"], coordinates), shape=shape)
        return PACKED[kind]((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)
    except DAMAGE:
        cure = "save it by scipy.sparse.save_npz as csr, csc or coo"
        raise FileError(f"{path} must hold a whole sparse matrix, got another file; {cure}") from None
