"""A matrix of pairs of channels, dense or CSR, as plain arrays that the cache keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..arrays import Floats
from ..cache import cached
from ..tasks.task import Task

__all__ = ["measured_once"]

PARTS = ("data", "indices", "indptr", "shape")


def measured_once(task: Task, piece: str, build: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Arrays by name, of which some may be CSR, measured once for all sparsities where the task allows."""
    found = cached(task, piece, lambda: _plain(build()))
    names = dict.fromkeys(name.partition(".")[0] for name in found)
    return {name: found[name] if name in found else _csr(name, found) for name in names}


def _plain(arrays: Mapping[str, Any]) -> dict[str, Floats]:
    made: dict[str, Floats] = {}
    for name, one in arrays.items():
        if sp.issparse(one):
            made |= {f"{name}.{part}": np.asarray(getattr(sp.csr_array(one), part)) for part in PARTS}
        else:
            made[name] = one
    return made


def _csr(name: str, arrays: Mapping[str, Any]) -> Any:
    data, indices, indptr, shape = (arrays[f"{name}.{part}"] for part in PARTS)
    return sp.csr_array((data, indices, indptr), shape=tuple(map(int, shape)))
