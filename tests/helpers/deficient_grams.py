"""Gram matrices that are not of full rank."""

from __future__ import annotations

from typing import Any

import numpy as np


def deficient(f: int, rank: int, *, seed: int) -> Any:
    """Gram matrix (f, f) of `rank`, with a column of zeros where there is room for one."""
    X = np.random.default_rng(seed).normal(size=(rank, f)) @ (np.eye(f) + 0.3)
    X[:, 0] *= f <= rank
    return X.T @ X / f
