"""exhaustive and cp-sat: what they call proven is, and their bounds hold."""

from __future__ import annotations

import numpy as np
import proofs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import optimum

from qubopress import solvers
from qubopress.problems import Capacity
from qubopress.solvers import Status


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 8),
    seed=st.integers(0, 10_000),
    size=st.sampled_from([1e-9, 1.0, 1e7]),
    offset=st.sampled_from([0.0, -3.0, 1e6]),
    sparse=st.booleans(),
)
@pytest.mark.parametrize("name", ["exhaustive", "cp-sat"])
def test_the_proven_optimum_is_that_of_enumeration(
    name: str, n: int, seed: int, size: float, offset: float, sparse: bool
) -> None:
    proofs.of_a_qubo(name, n, seed, size, offset, sparse=sparse)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 8), seed=st.integers(0, 10_000), share=st.floats(0.05, 1.1), unit=st.booleans())
@pytest.mark.parametrize("name", ["exhaustive", "cp-sat"])
def test_the_proven_optimum_keeps_to_the_capacity(
    name: str, n: int, seed: int, share: float, unit: bool
) -> None:
    proofs.of_a_capacity(name, n, seed, share, unit=unit)


@pytest.mark.parametrize("name", ["exhaustive", "cp-sat"])
def test_a_sum_of_tenths_that_meets_the_capacity_is_not_lost_to_float64(name: str) -> None:
    capacity = Capacity(-np.eye(3), [0.1, 0.2, 0.7], 0.3)
    found = solvers.solve(capacity, name, restarts=1)
    assert found.x is not None
    assert found.x.tolist() == [1, 1, 0]
    assert found.violation == 0.0


@pytest.mark.parametrize("name", ["exhaustive", "cp-sat"])
@pytest.mark.parametrize("unit", [1.0, 1e-13, 1e9, np.pi])
def test_costs_that_only_a_wider_allowance_would_fit_do_not_hide_the_optimum(name: str, unit: float) -> None:
    # 0.1 + 0.2 passes K by 5e-13, far more than its slack; by 1e-12 a search would call it feasible.
    costs = unit * np.array([0.1, 0.2, 0.29, 0.05])
    capacity = Capacity(-np.diag([1.0, 1.0, 1.5, 0.1]), costs, unit * (0.3 - 5e-13))
    found = solvers.solve(capacity, name, restarts=1)
    assert found.x is not None
    assert found.x.tolist() == [0, 0, 1, 0]
    assert (found.status, found.violation) == (Status.OPTIMAL, 0.0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.sampled_from([-5e-13, -1e-15, 0.0, 1e-15]))
@pytest.mark.parametrize("name", ["exhaustive", "cp-sat"])
def test_capacities_at_a_sum_of_tenths_are_judged_as_the_instance_judges(
    name: str, seed: int, shift: float
) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 9))
    costs = rng.integers(1, 9, n) / 10
    K = float(costs @ rng.integers(0, 2, n)) + 1.0
    capacity = Capacity(rng.normal(size=(n, n)) - np.eye(n), costs, K * (1 + shift))
    found, best = solvers.solve(capacity, name, restarts=1), optimum(capacity)
    assert (found.status, found.violation) == (Status.OPTIMAL, 0.0)
    assert found.loss == pytest.approx(best, abs=1e-12)
