"""branch-and-cut: proofs of sparse instances, and bounds that hold whatever the simplex method says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import proofs
import pytest
import scipy.sparse as sp
from instances import matrix
from scipy.optimize import linprog

from qubopress import solvers
from qubopress.problems import Qubo
from qubopress.solvers import Run, Status
from qubopress.solvers.exact import branch_and_cut as module
from qubopress.solvers.exact.cut_relaxation import PLACES, Fixed, Relaxation
from qubopress.solvers.exact.elimination import terms_of


def glass(n: int, degree: float, seed: int = 0) -> Qubo:
    """±1 over spins without fields: what no slope decides."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((n, n)) < degree / n, 1) * rng.choice([-1.0, 1.0], (n, n))
    return Qubo(sp.csr_array(upper + upper.T - np.diag((upper + upper.T).sum(axis=1))))


@contextmanager
def bare(*, star: int = 3) -> Iterator[None]:
    """No annealing, so that a bound that is too high cuts the optimum off and is seen."""
    with patch.object(module, "STARTS", 0), patch("qubopress.solvers.exact.elimination.STAR", star):
        yield


@pytest.mark.parametrize("scale", proofs.SCALES)
@pytest.mark.parametrize("many", [12, pytest.param(350, marks=pytest.mark.slow)])
def test_it_agrees_with_enumeration(scale: float, many: int) -> None:
    rng = np.random.default_rng(many)
    for k in range(many):
        qubo = Qubo(proofs.objective(rng, scale))
        # Variables of few neighbours stay in every other one, so that more come to the programs.
        with bare(star=(3, -1)[k % 2]):
            found = solvers.solve(qubo, "branch-and-cut", restarts=1, nodes=(1, 3, 10**6)[k % 3])
        proofs.holds(found, proofs.least(qubo), qubo.resolution)
        assert found.status is Status.OPTIMAL or k % 3 < 2


def test_four_hundred_sparse_bits_are_proven() -> None:
    from qubopress.suites.experiments.exact_frontier import signs

    found = solvers.solve(signs(400), "branch-and-cut", restarts=1, nodes=100)
    assert found.status is Status.OPTIMAL
    assert found.loss == found.bound or abs(found.loss - found.bound) < 1e-9 * abs(found.loss)


def test_a_glass_takes_branching_and_agrees_with_branch_and_bound() -> None:
    qubo, hasty = glass(40, 6, 1), {True: (0, 1.0), False: (3, 0.5)}
    with patch.object(module, "STARTS", 0), patch.object(module, "PATIENCE", hasty):
        found = solvers.solve(qubo, "branch-and-cut", restarts=1)
    assert found.status is Status.OPTIMAL
    assert found.counts["nodes"] > 1
    assert found.loss == solvers.solve(qubo, "branch-and-bound", seconds=60).loss


def test_searches_that_find_nothing_reach_no_farther_than_the_graph() -> None:
    qubo = glass(60, 6)
    relaxation, x = Relaxation(terms_of(qubo)), np.zeros(60, dtype=np.int8)
    for _ in range(80):  # 50 doublings of it would pass 64 bits
        assert not relaxation.separate(np.zeros(len(relaxation.cost)), x, Run(qubo))
    assert relaxation.places <= 2 * relaxation.graph.n + PLACES


def test_fixed_work_ends_finished_with_a_bound_and_the_same_bits_again() -> None:
    qubo = glass(150, 6)
    first, again = (solvers.solve(qubo, "branch-and-cut", restarts=1, nodes=1, seed=3) for _ in range(2))
    assert first.status is Status.FINISHED
    assert first.bound is not None
    assert first.loss is not None
    assert first.bound < first.loss - 0.5
    assert first.bound == again.bound
    np.testing.assert_array_equal(first.x, again.x)


def test_a_search_cut_off_says_budget_and_no_false_bound() -> None:
    found = solvers.solve(Qubo(matrix(90)), "branch-and-cut", seconds=0.7)
    assert found.status is Status.BUDGET
    assert found.bound is not None
    assert found.bound < solvers.solve(Qubo(matrix(90)), "branch-and-bound", seconds=30).loss


def test_only_a_root_that_rounds_do_not_prove_is_annealed() -> None:
    from qubopress.suites.experiments.exact_frontier import signs

    for qubo, annealed in ((signs(150), False), (glass(150, 6), True)):
        with patch.object(module, "annealed", return_value=iter(())) as called:
            solvers.solve(qubo, "branch-and-cut", restarts=1, nodes=1)
        assert called.called == annealed


def test_any_multipliers_give_a_bound() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        qubo = Qubo(matrix(9, seed=seed))
        one = Relaxation(terms_of(qubo))
        run, least = Run(qubo, seed=seed), proofs.least(qubo)
        for _ in range(3):
            found = one.solve(Fixed.none(10), run)
            assert found is not None
            assert found.bound <= least
            one.separate(found.y, rng.integers(0, 2, 9, dtype=np.int8), run)
        one.pool.multipliers[:] = np.abs(rng.normal(size=one.pool.count))
        assert one._read().bound <= least


def test_rounds_come_to_the_bound_of_the_linear_program() -> None:
    qubo = glass(60, 6, 2)
    one, run = Relaxation(terms_of(qubo)), Run(qubo)
    for _ in range(60):
        found = one.solve(Fixed.none(61), run)
        assert found is not None
        one.separate(found.y, np.zeros(60, dtype=np.int8), run)
    rows, high = one.pool.matrix(len(one.cost)), one.pool.high[: one.pool.count]
    best = linprog(one.cost, A_ub=rows, b_ub=high, bounds=(0, 1)).fun + one.terms.offset
    assert best - 0.2 < found.bound <= best + 1e-9


def test_pairs_that_exclude_each_other_have_no_groups() -> None:
    a, b = np.array([0, 1, 2]), np.array([1, 2, 0])
    made = Fixed.none(4).all_joined(a, b, np.array([1, 0, 1], dtype=np.int8))
    assert made is not None
    np.testing.assert_array_equal(made.side ^ made.side[0], [0, 1, 1, 0])
    assert len(set(made.group[:3])) == 1
    assert made.group[3] == 3
    assert Fixed.none(4).all_joined(a, b, np.array([1, 1, 1], dtype=np.int8)) is None


def test_edges_fixed_by_their_prices_lose_no_better_point() -> None:
    # The ceiling lies between the best two values, so that all but the best may go.
    for seed in range(8):
        qubo = Qubo(matrix(8, seed=seed))
        points = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(np.int8)
        order = np.argsort(qubo.losses(points))
        with bare(), patch.object(module, "SHRUNK", {True: 2.0, False: 0.99}):
            found = solvers.solve(qubo, "branch-and-cut", restarts=1)
        np.testing.assert_array_equal(found.x, points[order[0]])


def test_it_lives_beside_or_tools_and_highspy_in_one_process() -> None:
    qubo = glass(40, 6, 1)
    losses = [solvers.solve(qubo, name, seconds=30).loss for name in ("branch-and-cut", "cp-sat", "mip")]
    again = solvers.solve(qubo, "branch-and-cut", restarts=1)
    assert again.loss == losses[0] <= min(losses[1:])
