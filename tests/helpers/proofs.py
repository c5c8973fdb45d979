"""What a solver that proves its results must say of small random instances, against enumeration."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from instances import optimum

from qubopress import solvers
from qubopress.problems import Capacity, Qubo
from qubopress.solvers import Status


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
