"""sphere proves optima, and what it could not finish it bounds from below."""

from __future__ import annotations

import itertools
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import gram, optimum
from layers import deficient

from qubopress import solvers
from qubopress.problems import Rounding
from qubopress.solvers import Run, Status
from qubopress.solvers.rounding.sphere import _Search, _Tree


def layer(f: int, rank: int, *, seed: int, n: int = 2, levels: int = 2, held: float = 0.0) -> Rounding:
    """Neurons on a gram of some rank; a share of the coordinates is fixed, the first one in every neuron."""
    rng = np.random.default_rng(seed)
    fixed = np.where(rng.random((n, f)) < held, rng.integers(0, levels, (n, f)), -1)
    if held:
        fixed[:, 0] = 1
    shift = rng.uniform(-0.5, levels - 0.5, (n, f))
    return Rounding(deficient(f, rank, seed=seed), shift, rng.uniform(0.5, 2.0, n), levels, fixed)


def best_of_bits(one: Rounding) -> float:
    """Lowest loss of a single neuron of free bits; halves of the bits are enumerated side by side."""
    half = one.f // 2
    left, right = (
        np.array(list(itertools.product((0, 1), repeat=size)), dtype=float) for size in (half, one.f - half)
    )
    a, b = left - one.shift[0, :half], right - one.shift[0, half:]
    own = [np.einsum("ki,ij,kj->k", e, one.gram[s, s], e) for e, s in _halves(a, b, half)]
    forms = own[0][:, None] + own[1] + 2 * a @ one.gram[:half, half:] @ b.T
    return float(one.scale[0] ** 2 * forms.min())


def _halves(a: Any, b: Any, half: int) -> list[tuple[Any, slice]]:
    return [(a, slice(None, half)), (b, slice(half, None))]


@settings(max_examples=60, deadline=None)
@given(
    f=st.integers(1, 6),
    rank=st.integers(1, 7),
    seed=st.integers(0, 10_000),
    levels=st.sampled_from([2, 3, 5]),
    held=st.sampled_from([0.0, 0.3]),
)
def test_it_proves_what_enumeration_finds(f: int, rank: int, seed: int, levels: int, held: float) -> None:
    one = layer(f, rank, seed=seed, n=1, levels=levels, held=held)
    if (one.fixed >= 0).all():
        return
    found = solvers.solve(one, "sphere", restarts=1)
    best = optimum(one)
    assert found.status is Status.OPTIMAL
    assert found.loss == pytest.approx(best, rel=1e-9, abs=one.resolution)
    assert found.bound is not None
    assert found.bound <= best + one.resolution


@pytest.mark.parametrize("rank", [6, 12, 18])
@pytest.mark.parametrize("nodes", [1_000, 10**6])
def test_the_bound_of_eighteen_bits_never_exceeds_the_optimum(rank: int, nodes: int) -> None:
    for seed in range(4):
        one = layer(18, rank, seed=seed, n=1)
        found, best = solvers.solve(one, "sphere", restarts=1, nodes=nodes), best_of_bits(one)
        assert found.loss is not None
        assert found.bound is not None
        assert best - one.resolution <= found.loss
        assert found.bound <= best + one.resolution
        if nodes > 1_000:
            assert found.status is Status.OPTIMAL
            assert found.loss == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize(("levels", "f"), [(2, 18), (3, 8), (5, 6)])
def test_from_a_poor_start_the_bound_rises_and_the_best_falls_to_the_optimum(levels: int, f: int) -> None:
    steps = 0
    for seed in range(6):
        one = layer(f, f, seed=seed, n=1, levels=levels, held=0.2 if levels > 2 else 0.0)
        best = (best_of_bits if levels == 2 else optimum)(one) / one.scale[0] ** 2
        search = _Search(one, _Tree(one, Run(one)), 0, one.settle(np.zeros(one.shape))[0])
        noise = one.resolution / one.scale[0] ** 2
        while not search.done:
            assert search.given + search.least <= best + noise
            assert search.given + search.form >= best - noise
            search.dig(8)
            steps += 1
        assert search.given + search.form == pytest.approx(best, rel=1e-9)
    assert steps > 6


def test_the_ladder_alone_climbs_to_the_optimum_and_not_beyond() -> None:
    for seed in range(6):
        one = layer(18, 18, seed=seed, n=1)
        best, noise = best_of_bits(one) / one.scale[0] ** 2, one.resolution / one.scale[0] ** 2
        search, rungs = _Search(one, _Tree(one, Run(one)), 0, one.nearest()[0]), {-1.0}
        while search.least < search.form:
            search.climb(1_000)
            assert search.least <= best + noise
            rungs.add(search.least)
        assert len(rungs) > 3
        assert search.form == pytest.approx(best, rel=1e-9)


def test_a_search_given_up_leaves_a_bound_above_zero_that_more_nodes_raise() -> None:
    one = layer(60, 60, seed=1)
    few, more = (solvers.solve(one, "sphere", restarts=1, nodes=nodes) for nodes in (1_000, 100_000))
    assert few.status is more.status is Status.FINISHED
    assert few.bound is not None
    assert more.bound is not None
    assert 0.0 < few.bound < more.bound < (more.loss or 0.0)


def test_two_threads_prove_the_same_as_one() -> None:
    one = layer(24, 24, seed=2, n=5)
    single, double = (solvers.solve(one, "sphere", restarts=1, threads=threads) for threads in (1, 2))
    assert single.status is double.status is Status.OPTIMAL
    assert single.loss == double.loss
    assert single.counts["nodes"] == double.counts["nodes"]


def test_nearly_dependent_columns_are_no_excuse_for_a_wrong_proof() -> None:
    rng = np.random.default_rng(5)
    for size in (1e-4, 1e-6, 1e-8):
        X = np.repeat(rng.normal(size=(12, 6)), 2, axis=1)
        X += size * rng.normal(size=X.shape)
        one = Rounding(X.T @ X, rng.random((1, 12)))
        found, best = solvers.solve(one, "sphere", restarts=1), best_of_bits(one)
        assert found.bound is not None
        assert found.bound <= best + one.resolution
        assert found.loss == pytest.approx(best, rel=1e-6)


def test_a_bound_does_not_need_the_optimum_inside_the_unit_box() -> None:
    one = Rounding(gram(6, seed=3), np.full((1, 6), 7.0))
    found = solvers.solve(one, "sphere", restarts=1)
    assert found.status is Status.OPTIMAL
    assert found.loss == pytest.approx(optimum(one), rel=1e-9)


def test_a_neurons_own_tree_needs_fewer_nodes_than_the_one_that_all_share() -> None:
    one, nodes = layer(40, 28, seed=4), []
    for patience in (np.inf, 0):
        with patch("qubopress.solvers.rounding.sphere.PATIENCE", patience):
            found = solvers.solve(one, "sphere", restarts=1)
        assert found.status is Status.OPTIMAL
        nodes.append(found.counts["nodes"])
    assert 2 * nodes[1] < nodes[0]


def test_many_levels_keep_to_the_tree_that_all_share() -> None:
    one = layer(6, 4, seed=1, levels=3)
    search = _Search(one, _Tree(one, Run(one)), 0, one.nearest()[0])
    point = search.point
    search.replant()
    assert search.tried
    assert search.point is point


def test_a_tree_that_is_not_ended_soon_looks_again_with_a_wider_beam() -> None:
    one = layer(40, 28, seed=4, n=1)
    search, widths = _Search(one, _Tree(one, Run(one)), 0, one.nearest()[0]), []
    with patch.multiple(
        "qubopress.solvers.rounding.sphere", PATIENCE=0, ROOTED=2, ROOTED_MOST=8, PER_PREFIX=50
    ):
        while not search.done:
            before = search.form
            search.dig(100)
            widths.append(search.width)
            assert search.form <= before
    assert sorted(set(widths)) == [2, 8]


def test_an_own_tree_begins_with_a_bound_where_the_shared_one_has_none() -> None:
    one = layer(30, 20, seed=3, n=1)
    search = _Search(one, _Tree(one, Run(one)), 0, one.nearest()[0])
    before, form = search.least, search.form
    search.replant()
    assert before < search.least <= search.form <= form
