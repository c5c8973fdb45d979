"""mip: what it calls proven is, within HiGHS' tolerances it claims nothing."""

from __future__ import annotations

import numpy as np
import proofs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import matrix

from qubopress import solvers
from qubopress.problems import Capacity, Qubo
from qubopress.solvers import Run, Status
from qubopress.solvers.exact.foreign import TOLERANCE, Scaled
from qubopress.solvers.exact.mip import _Model


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(1, 9),
    seed=st.integers(0, 10_000),
    size=st.sampled_from([1e-9, 1.0, 1e7]),
    offset=st.sampled_from([0.0, -3.0, 1e6]),
    sparse=st.booleans(),
)
def test_the_proven_optimum_is_that_of_enumeration(
    n: int, seed: int, size: float, offset: float, sparse: bool
) -> None:
    proofs.of_a_qubo("mip", n, seed, size, offset, sparse=sparse)


@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 9), seed=st.integers(0, 10_000), share=st.floats(0.05, 1.0), unit=st.booleans())
def test_the_proven_optimum_keeps_to_the_capacity(n: int, seed: int, share: float, unit: bool) -> None:
    proofs.of_a_capacity("mip", n, seed, share, unit=unit)


def test_what_only_the_tolerance_lets_in_is_forbidden_and_does_not_hide_the_optimum() -> None:
    capacity = Capacity(-np.diag([1.0, 1.0, 1.5, 0.1]), [0.1, 0.2, 0.29, 0.05], 0.3 - 5e-13)
    found = solvers.solve(capacity, "mip", restarts=1)
    assert found.x is not None
    assert found.x.tolist() == [0, 0, 1, 0]
    assert (found.status, found.violation) == (Status.OPTIMAL, 0.0)


def test_a_search_cut_off_gives_a_solution_and_no_false_bound() -> None:
    qubo = Qubo(matrix(60))
    found = solvers.solve(qubo, "mip", seconds=0.3)
    assert found.status is Status.BUDGET
    assert found.loss is not None
    assert found.bound is not None
    assert found.bound < solvers.solve(qubo, "tabu", restarts=2).loss


def test_a_used_node_limit_ends_finished_and_unproven() -> None:
    qubo = Qubo(matrix(24, seed=5))
    first, again = (solvers.solve(qubo, "mip", restarts=1, nodes=1, seed=3) for _ in range(2))
    assert first.status is Status.FINISHED
    assert first.bound is not None
    assert first.loss is not None
    assert first.bound < first.loss - 1e-3
    np.testing.assert_array_equal(first.x, again.x)
    assert first.bound == again.bound


def test_the_tolerance_of_every_variable_is_taken_off_the_bound() -> None:
    qubo = Qubo(matrix(5), 2.0)
    scaled, run = Scaled(qubo), Run(qubo)
    scaled.prove(run, 0.0)
    assert run.bound is not None
    off = scaled.scale * (2.0 - run.bound - qubo.resolution)
    assert off == pytest.approx(TOLERANCE * (5 + 10 + 1), rel=1e-3)


def test_products_are_written_by_one_side_only() -> None:
    qubo = Qubo([[0.0, 1.0, -1.0], [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    model = _Model(Scaled(qubo), qubo.baseline())
    assert len(model.costs) == 3 + 2
    assert model.places == [[0, 1, 3], [4, 0], [4, 2]]
    assert model.values == [[1.0, 1.0, -1.0], [1.0, -1.0], [1.0, -1.0]]
    assert model.high == [1.0, 0.0, 0.0]


def test_the_budget_is_kept_whatever_highs_is_busy_with() -> None:
    found = solvers.solve(Qubo(matrix(150)), "mip", seconds=0.5)
    assert found.status is Status.BUDGET
    assert found.seconds < 0.5 + 3.0
