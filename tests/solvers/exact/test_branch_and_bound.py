"""branch-and-bound: what it calls proven is, its bounds hold wherever it stops, and it reaches far."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import costly, gram, matrix, optimum
from proofs import poor_start

from qubopress import problems, solvers
from qubopress.problems import Capacity, Qubo, Rounding
from qubopress.solvers import Status

KINDS = st.sampled_from(["normal", "whole", "sparse", "convex", "low rank", "badly scaled"])


def objective(kind: str, n: int, seed: int) -> Any:
    """Q (n, n) of the kinds that bend the bound in different ways."""
    rng = np.random.default_rng(seed)
    if kind == "whole":
        return rng.integers(-2, 3, (n, n)).astype(float)
    if kind == "sparse":
        return sp.csr_array(sp.random_array((n, n), density=0.3, rng=rng, data_sampler=rng.normal))
    if kind == "convex":
        return gram(n, seed=seed) + np.diag(rng.normal(size=n))
    if kind == "low rank":
        return np.outer(*2 * (rng.normal(size=n),)) - np.diag(rng.random(n))
    size = 10.0 ** rng.integers(-5, 6, n) if kind == "badly scaled" else np.ones(n)
    return size[:, None] * rng.normal(size=(n, n)) * size


def sparse_signs(n: int, seed: int) -> Any:
    """±1 couplings of about six neighbours a variable, ±1 fields."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((n, n)) < 6 / (n - 1), 1) * rng.choice([-1.0, 1.0], (n, n))
    return upper + upper.T + np.diag(rng.choice([-1.0, 1.0], n))


@settings(max_examples=100, deadline=None)
@given(kind=KINDS, n=st.integers(1, 11), seed=st.integers(0, 10_000), nodes=st.sampled_from([1, 2, 5, 10**6]))
def test_no_bound_exceeds_the_optimum_wherever_the_search_stops(
    kind: str, n: int, seed: int, nodes: int
) -> None:
    qubo = Qubo(objective(kind, n, seed), float(seed % 3))
    with poor_start(hasty=(0, 3, 10**6)[seed % 3]):
        found, best = solvers.solve(qubo, "branch-and-bound", restarts=1, nodes=nodes), optimum(qubo)
    assert found.bound is not None
    assert found.bound <= best
    assert found.loss is not None
    assert found.loss >= best - qubo.resolution
    if nodes > 2**12 or found.status is Status.OPTIMAL:
        assert found.status is Status.OPTIMAL
        assert found.loss <= best + 2 * qubo.resolution + 1e-9 * abs(best - qubo.offset)


@settings(max_examples=80, deadline=None)
@given(
    kind=KINDS,
    n=st.integers(1, 10),
    seed=st.integers(0, 10_000),
    share=st.floats(0.05, 1.0),
    unit=st.booleans(),
    nodes=st.sampled_from([1, 3, 10**6]),
)
def test_no_bound_exceeds_the_optimum_under_a_capacity(
    kind: str, n: int, seed: int, share: float, unit: bool, nodes: int
) -> None:
    costs = np.ones(n) if unit else np.random.default_rng(seed).integers(11, 90, n) / 10
    K = round(share * n) if unit else share * float(costs.sum())
    capacity = Capacity(objective(kind, n, seed), costs, K)
    with poor_start(hasty=(0, 3, 10**6)[seed % 3]):
        found = solvers.solve(capacity, "branch-and-bound", restarts=1, nodes=nodes)
    best = optimum(capacity)
    assert found.violation == 0.0
    assert found.bound is not None
    assert found.bound <= best
    if nodes > 2**10 or found.status is Status.OPTIMAL:
        assert found.status is Status.OPTIMAL
        assert found.loss <= best + 2 * capacity.resolution + 1e-9 * abs(best)


def test_fixed_work_is_nodes_per_restart() -> None:
    qubo = Qubo(matrix(60))
    first, again, twice = (
        solvers.solve(qubo, "branch-and-bound", restarts=restarts, nodes=50) for restarts in (1, 1, 2)
    )
    assert (first.status, first.counts["nodes"], twice.counts["nodes"]) == (Status.FINISHED, 50, 100)
    np.testing.assert_array_equal(first.x, again.x)
    assert first.bound == again.bound
    assert first.bound is not None
    assert twice.bound is not None
    assert first.bound <= twice.bound


def test_the_bound_at_the_root_is_far_above_what_the_variables_may_save() -> None:
    qubo = Qubo(matrix(50, seed=1))
    found = solvers.solve(qubo, "branch-and-bound", restarts=1, nodes=1)
    assert found.bound is not None
    assert found.loss is not None
    assert found.bound > 1.2 * found.loss
    assert np.minimum(qubo.Q, 0).sum() < 3 * found.loss


@pytest.mark.parametrize(
    ("qubo", "nodes"),
    [
        (Qubo(matrix(50)), 2_000),
        (Qubo(matrix(90)), 10_000),
        (Qubo(sparse_signs(70, 0)), 20_000),
        (Rounding(gram(30), np.random.default_rng(0).random((1, 30))).row(0).qubo, 100_000),
    ],
    ids=["dense", "larger", "sparse", "rounding"],
)
def test_it_proves_what_enumeration_never_could(qubo: Qubo, nodes: int) -> None:
    found = solvers.solve(qubo, "branch-and-bound", restarts=1, nodes=nodes)
    assert found.status is Status.OPTIMAL
    assert found.loss is not None
    assert found.loss <= solvers.solve(qubo, "tabu", restarts=2).loss + 2 * qubo.resolution


def test_losses_on_a_lattice_save_nodes() -> None:
    Q = sparse_signs(60, 1)
    whole = solvers.solve(Qubo(Q), "branch-and-bound", restarts=1)
    off = solvers.solve(Qubo(Q + np.diag(np.full(60, 1e-4 / 3))), "branch-and-bound", restarts=1)
    assert whole.status is off.status is Status.OPTIMAL
    assert 2 * whole.counts["nodes"] < off.counts["nodes"]


def test_a_capacity_holds_at_a_size_beyond_enumeration() -> None:
    capacity = Capacity(matrix(40, seed=3), np.ones(40), 12)
    found = solvers.solve(capacity, "branch-and-bound", restarts=1)
    assert (found.status, found.violation) == (Status.OPTIMAL, 0.0)
    assert found.loss is not None
    assert found.loss <= solvers.solve(capacity, "swap", restarts=3).loss + 2 * capacity.resolution


def test_costs_that_only_rounding_would_fit_are_refused() -> None:
    capacity = Capacity(-np.diag([1.0, 1.0, 1.5]), [0.1, 0.2, 0.29], 0.3 - 5e-13)
    found = solvers.solve(capacity, "branch-and-bound", restarts=1)
    assert found.x is not None
    assert found.x.tolist() == [0, 0, 1]
    assert found.status is Status.OPTIMAL


def test_a_budget_that_ends_in_the_preparation_leaves_a_valid_bound() -> None:
    qubo = costly(150).qubo
    found = solvers.solve(qubo, "branch-and-bound", seconds=0.05)
    assert found.status is Status.BUDGET
    assert found.bound is not None
    assert found.loss is not None
    assert np.minimum(qubo.Q, 0).sum() - 1e-6 <= found.bound < found.loss


@pytest.mark.parametrize("bits", [3, 4])
def test_its_incumbent_of_a_neuron_is_never_above_beams(bits: int) -> None:
    task, formulation = problems.classification_task("digits-mlp"), problems.get("adaround-neuron")
    settings = {**formulation.defaults, "layer": 0, "per": "tensor", "bits": bits}
    for neuron in range(5):
        one = next(formulation.generate(task, **{**settings, "neuron": neuron}))
        found, beam = (
            solvers.solve(one, name, restarts=1, **more)
            for name, more in (("branch-and-bound", {"nodes": 1}), ("beam", {}))
        )
        assert found.loss <= beam.loss + one.resolution
