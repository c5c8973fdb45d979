"""What a solver that proves its results must say of small random instances, against enumeration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numba
import numpy as np
import pytest
import scipy.sparse as sp
from instances import optimum

from qubopress import solvers
from qubopress.problems import Capacity, Qubo, Rounding
from qubopress.solvers import Run, Status


def of_a_qubo(name: str, n: int, seed: int, size: float, offset: float, *, sparse: bool) -> None:
    """OPTIMAL, at the least loss up to its resolution, with a bound that does not exceed it."""
    Q = size * np.random.default_rng(seed).normal(size=(n, n))
    qubo = Qubo(sp.csr_array(Q) if sparse else Q, offset)
    found, best = solvers.solve(qubo, name, restarts=1), optimum(qubo)
    assert found.status is Status.OPTIMAL
    assert found.loss is not None
    assert found.loss <= best + 2 * qubo.resolution + 1e-9 * abs(best - offset)
    assert found.bound is not None
    assert found.bound <= best


def of_a_capacity(name: str, n: int, seed: int, share: float, *, unit: bool) -> None:
    """OPTIMAL and feasible, for a capacity of that share of all costs."""
    rng = np.random.default_rng(seed)
    costs = np.ones(n) if unit else rng.integers(11, 90, n) / 10
    K = round(min(share, 1.0) * n) if unit else share * float(costs.sum())
    capacity = Capacity(rng.normal(size=(n, n)), costs, K)
    found, best = solvers.solve(capacity, name, restarts=1), optimum(capacity)
    assert (found.status, found.violation) == (Status.OPTIMAL, 0.0)
    assert found.loss == pytest.approx(best, rel=1e-9, abs=1e-9)
    assert found.bound is not None
    assert found.bound <= best


@contextmanager
def poor_start(hasty: int = 3) -> Iterator[None]:
    """Exact solvers begin with a bad incumbent, so that a bound too high cuts off the optimum and is seen.

    After so many `hasty` nodes branch-and-bound gives each depth a shift of its own.
    """
    with ExitStack() as stack:
        for name, value in {
            "exact.branch_and_bound._begin": lambda *_: None,
            "exact.branch_and_bound.HASTY": hasty,
            "exact.branch_and_bound._beam": lambda *_: None,
            "rounding.sphere._begin": _at_zero,
            "rounding.sphere._Search._beam": lambda *_: None,
        }.items():
            stack.enter_context(patch(f"qubopress.solvers.{name}", value))
        yield


def _at_zero(rounding: Rounding, run: Run) -> Any:
    x = rounding.settle(np.zeros(rounding.shape))
    run.offer(x)
    return x


OWN_TREE = patch("qubopress.solvers.rounding.sphere.PATIENCE", 0)
"""Otherwise neurons this small would never leave the tree that all share."""

SCALES = (1e-8, 1e-5, 1e-2, 1e2, 1e5, 1e8)


def least(qubo: Qubo) -> float:
    """Least loss over all bits, by Gray code; sums are begun anew before they drift."""
    return float(qubo.offset + _lowest(qubo.couplings + np.diag(qubo.linear)))


@numba.njit
def _lowest(Q: Any) -> float:
    n, best, loss = len(Q), 0.0, 0.0
    x, slope = np.zeros(n), np.diag(Q).copy()
    for code in range(1, 1 << n):
        i = 0
        while not (code >> i) & 1:
            i += 1
        sign = 1.0 - 2.0 * x[i]
        loss += sign * slope[i]
        x[i] += sign
        for j in range(n):
            if j != i:
                slope[j] += 2.0 * sign * Q[i, j]
        if code % 1024 == 0:
            for j in range(n):
                slope[j] = Q[j, j]
                for k in range(n):
                    slope[j] += 2.0 * Q[j, k] * x[k] if k != j else 0.0
            loss = 0.0
            for j in range(n):
                loss += 0.5 * x[j] * (slope[j] + Q[j, j])
        best = min(best, loss)
    return best


def objective(rng: np.random.Generator, scale: float) -> Any:
    """Q (n, n), n ≤ 18, drawn at random: normal, whole, with ties, zero rows, sparse or of low rank."""
    n = int(rng.integers(2, 19))
    Q = [
        lambda: rng.normal(size=(n, n)),
        lambda: rng.integers(-9, 10, (n, n)).astype(float),
        lambda: np.round(rng.normal(size=(n, n)) / 2),
        lambda: rng.normal(size=(n, n)) * (rng.random((n, 1)) < 0.6) * (rng.random((1, n)) < 0.6),
        lambda: rng.normal(size=(n, n)) * (rng.random((n, n)) < 0.2),
        lambda: np.cov(rng.normal(size=(n, 2 + n // 3))) - np.diag(rng.random(n)),
    ][rng.integers(6)]()
    return scale * Q


def neurons(rng: np.random.Generator, scale: float) -> Rounding:
    """Two neurons of at most 18 bits: a gram of any rank, columns 0 or equal, shifts clipped or halves."""
    f = int(rng.integers(2, 19))
    X = rng.normal(size=(int(rng.integers(1, f + 3)), f)) * (rng.random(f) < 0.85)
    if rng.random() < 0.3:
        X = np.round(X)
    if rng.random() < 0.3:
        X[:, 0] = X[:, -1]
    shift = rng.uniform(-0.5, 1.5, (2, f)) if rng.random() < 0.7 else rng.integers(0, 3, (2, f)) / 2
    fixed = np.where(rng.random((2, f)) < 0.1, rng.integers(0, 2, (2, f)), -1)
    return Rounding(scale * X.T @ X, shift, fixed=fixed)


def holds(found: solvers.Solution, best: float, resolution: float, offset: float = 0.0) -> None:
    """No bound above the optimum, no loss below it, and nothing called optimal that is not."""
    assert found.loss is not None
    assert found.bound is not None
    size = 1e-9 * abs(best - offset)
    assert found.status is not Status.LIED
    assert found.bound <= best + resolution
    assert found.loss >= best - resolution - 1e-3 * size
    if found.status is Status.OPTIMAL:
        assert found.loss <= best + 2 * resolution + size
