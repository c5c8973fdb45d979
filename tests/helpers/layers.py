"""Layers to round, of every kind of level and with fixed coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from instances import gram

from qubopress.problems import Rounding


def layer(n: int = 4, f: int = 7, *, seed: int = 0, levels: Any = 2, held: bool = False) -> Rounding:
    rng = np.random.default_rng(seed)
    top = np.broadcast_to(levels, (f,))
    fixed = np.where(rng.random((n, f)) < 0.3, 1, -1) if held else None
    shift = rng.uniform(-0.5, 0.5, (n, f)) + rng.uniform(0, top - 1, (n, f))
    return Rounding(gram(f, seed=seed), shift, rng.uniform(0.5, 2.0, n), levels, fixed)


CASES = {
    "two levels": layer(),
    "many levels": layer(seed=1, levels=[2, 3, 16, 2, 5, 127, 2]),
    "fixed": layer(seed=2, held=True),
    "fixed levels": layer(seed=3, levels=4, held=True),
}


each_case = pytest.mark.parametrize("case", CASES)


def deficient(f: int, rank: int, *, seed: int) -> Any:
    """Gram matrix (f, f) of `rank`, with a column of zeros where there is room for one."""
    X = np.random.default_rng(seed).normal(size=(rank, f)) @ (np.eye(f) + 0.3)
    X[:, 0] *= f <= rank
    return X.T @ X / f
