"""Beyond what enumeration reaches, two methods that share no bound prove the same optimum."""

from __future__ import annotations

import numpy as np
import proofs
import pytest
import scipy.sparse as sp

from qubopress import solvers
from qubopress.problems import Qubo, Rounding
from qubopress.solvers import Solution, Status

seeds = pytest.mark.parametrize("seed", range(12))


def agree(one: Solution, other: Solution, resolution: float) -> None:
    assert (one.status, other.status) == (Status.OPTIMAL, Status.OPTIMAL)
    assert one.loss is not None
    assert other.loss is not None
    for found, best in (one, other.loss), (other, one.loss):
        proofs.holds(found, best, resolution)


@seeds
def test_sphere_and_branch_and_bound_agree_on_a_neuron(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, scale = int(rng.integers(32, 37)), 10.0 ** rng.integers(-6, 7)
    inputs = rng.normal(size=(int(rng.integers(n // 2, 2 * n)), n)) * rng.uniform(0.2, 3.0, n)
    one = Rounding(scale * inputs.T @ inputs / n, rng.uniform(-0.1, 1.1, (1, n)))
    with proofs.poor_start(), proofs.OWN_TREE:
        found = solvers.solve(one, "sphere", restarts=1)
        other = solvers.solve(one.row(0).qubo, "branch-and-bound", restarts=1, nodes=10**9)
    agree(found, other, one.resolution)


@seeds
@pytest.mark.parametrize("degree", [2.0, 5.0])
def test_branch_and_cut_and_branch_and_bound_agree_on_a_sparse_qubo(seed: int, degree: float) -> None:
    rng = np.random.default_rng(seed)
    n, scale = int(rng.integers(32, 61)), 10.0 ** rng.integers(-6, 7)
    Q = scale * np.triu(rng.normal(size=(n, n)) * (rng.random((n, n)) < degree / n))
    with proofs.poor_start():
        found = solvers.solve(Qubo(sp.csr_array(Q)), "branch-and-cut", restarts=1)
        other = solvers.solve(Qubo(Q), "branch-and-bound", restarts=1, nodes=10**9)
    agree(found, other, Qubo(Q).resolution)
