"""Exact solvers against enumeration at every scale: no bound is too high and no proof false."""

from __future__ import annotations

import numpy as np
import proofs
import pytest

from qubopress import solvers
from qubopress.problems import Qubo
from qubopress.solvers import Status

each_scale = pytest.mark.parametrize("scale", proofs.SCALES)
each_size = pytest.mark.parametrize("many", [15, pytest.param(180, marks=pytest.mark.slow)])


@each_scale
@each_size
def test_branch_and_bound_agrees_with_enumeration(scale: float, many: int) -> None:
    rng = np.random.default_rng(many)
    for k in range(many):
        qubo = Qubo(proofs.objective(rng, scale))
        with proofs.poor_start():
            found = solvers.solve(qubo, "branch-and-bound", restarts=1, nodes=(1, 10, 10**6)[k % 3])
        proofs.holds(found, proofs.least(qubo), qubo.resolution)
        assert found.status is Status.OPTIMAL or k % 3 < 2


@each_scale
@each_size
def test_sphere_agrees_with_enumeration_in_a_tree_of_the_neurons_own(scale: float, many: int) -> None:
    rng = np.random.default_rng(many)
    for _ in range(many):
        one = proofs.neurons(rng, scale)
        best = sum(proofs.least(one.row(i).qubo) for i in range(2))
        with proofs.poor_start(), proofs.OWN_TREE:
            found = solvers.solve(one, "sphere", restarts=1)
        proofs.holds(found, best, one.resolution)
        assert found.status is Status.OPTIMAL
