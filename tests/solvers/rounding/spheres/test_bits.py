"""The search over bits goes on where it stopped and leaves nothing below its radius."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from layers import deficient

from qubopress.problems import Rounding
from qubopress.solvers import Run
from qubopress.solvers.rounding import sphere
from qubopress.solvers.rounding.sphere import _Search, _Tree
from qubopress.solvers.rounding.spheres.bits import BLOCK, form_of, rows_of


def planted(f: int, seed: int) -> _Search:
    """A neuron in a tree of its own, from a bad point."""
    shift = np.random.default_rng(seed).uniform(-0.2, 1.2, (1, f))
    one = Rounding(deficient(f, f, seed=seed), shift)
    search = _Search(one, _Tree(one, Run(one)), 0, one.settle(np.zeros(one.shape))[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Search, "_beam", lambda *_: None)
        search.replant()
    return search


def least(search: _Search) -> float:
    points = itertools.product((0, 1), repeat=search.free.size)
    return min(form_of(search.branch, search.point, np.array(one)) for one in points)


@pytest.mark.parametrize("f", [1, 2, 11])
@pytest.mark.parametrize("nodes", [1, 7, 10**6])
def test_it_ends_at_the_optimum_in_one_go_or_in_many(f: int, nodes: int) -> None:
    for seed in range(3):
        search = planted(f, seed)
        visits = 0
        while search.main.depth >= 0:
            visits += search._visit(search.main, nodes)
            assert visits <= 3 * 2**f
        assert search.form == least(search)


@pytest.mark.parametrize("stations", [1, 2, 4])
def test_least_costs_shared_by_depths_cut_off_no_optimum(
    stations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sphere, "STATIONS", stations)
    for seed in range(20):
        search = planted(12, seed)
        while search.main.depth >= 0:
            search._visit(search.main, 10**6)
        assert search.form == least(search)


def test_pieces_visit_the_nodes_that_one_go_visits() -> None:
    counts = []
    for nodes in (13, 10**6):
        search = planted(14, 4)
        counts.append(0)
        while search.main.depth >= 0:
            counts[-1] += search._visit(search.main, nodes)
    assert counts[0] == counts[1]


def test_nothing_is_found_in_a_sphere_that_is_empty() -> None:
    search = planted(10, 1)
    search.main.radius, before = 0.999 * least(search), search.best.copy()
    while search.main.depth >= 0:
        search._visit(search.main, 1_000)
    np.testing.assert_array_equal(search.best, before)


@pytest.mark.parametrize("k", [1, BLOCK, BLOCK + 1])
def test_rows_are_whole_blocks_with_the_last_bit_first(k: int) -> None:
    target, spread, curb = np.arange(k) + 1.0, np.ones((k, k)), np.ones((k + 1, k))
    found = rows_of(target, spread, curb)
    assert found.target.size % BLOCK == 0
    np.testing.assert_array_equal(found.target[:k], target[::-1] - 0.5)
    np.testing.assert_array_equal(found.spread.sum(axis=1), np.arange(k)[::-1])
    assert not found.target[k:].any()
    for depth, row in enumerate(found.curb):
        assert row.sum() == k - depth  # what is fixed costs no more
