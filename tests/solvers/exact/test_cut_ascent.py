"""Cut ascent: rows come once and go with age, and sweeps come to the bound of the linear program."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from qubopress.solvers.exact.cut_ascent import LOOKS, Pool


def filled(rows: int, columns: int, seed: int) -> Pool:
    """A pool of random triples of columns."""
    rng, pool = np.random.default_rng(seed), Pool()
    edges = np.concatenate([rng.choice(columns, 3, replace=False) for _ in range(rows)])
    inside = np.tile(np.array([1, 0, 0], dtype=np.int8), rows)
    assert pool.add(edges, inside, np.arange(3, 3 * rows + 1, 3)) == pool.count
    return pool


def bound(pool: Pool, cost: Any) -> float:
    price, paid, _ = pool.priced(cost)
    return float(np.minimum(price, 0.0).sum() - paid)


def test_a_row_comes_once_whatever_the_order_of_its_edges() -> None:
    pool, F = Pool(), np.array([1, 0, 0], dtype=np.int8)
    assert pool.add(np.array([4, 7, 2]), F, np.array([3])) == 1
    assert pool.add(np.array([4, 2, 7]), F, np.array([3])) == 0
    assert pool.add(np.array([4, 2, 7]), F[::-1].copy(), np.array([3])) == 1
    np.testing.assert_array_equal(pool.matrix(8).toarray()[0], [0, 0, -1, 0, 1, 0, 0, -1])
    assert pool.high[:2].tolist() == [0.0, 0.0]


def test_old_rows_go_and_the_others_keep_their_multipliers() -> None:
    pool = filled(60, 30, 0)
    before, kept = pool.matrix(30).toarray(), np.arange(pool.count) % 3 > 0
    pool.multipliers[:] = np.where(kept, 1.0 + np.arange(pool.count), 0.0)
    for _ in range(4):
        pool.aged()
    pool.drop(5)
    assert pool.count == len(kept)
    pool.drop(4)
    np.testing.assert_array_equal(pool.matrix(30).toarray(), before[kept])
    np.testing.assert_array_equal(pool.multipliers, 1.0 + np.flatnonzero(kept))
    edges = np.flatnonzero(before[0])
    assert pool.add(edges, (before[0, edges] > 0).astype(np.int8), np.array([3])) == 1
    assert pool.multipliers[-1] == 0.0


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("seed", range(4))
def test_sweeps_come_to_the_bound_of_the_linear_program(seed: int, scale: float) -> None:
    pool, rng = filled(200, 60, seed), np.random.default_rng(seed)
    cost = scale * rng.normal(size=60)
    y, ones = np.full(60, 0.5), np.ones(60)
    pool.ascend(cost.copy(), 0 * ones, ones, y, 0.5 * float(np.abs(cost).mean()), 2000)
    best = linprog(cost / scale, A_ub=pool.matrix(60), b_ub=pool.high[: pool.count], bounds=(0, 1)).fun
    assert (pool.multipliers >= 0).all()
    assert best - 1e-2 < bound(pool, cost) / scale <= best + 1e-9
    assert cost @ y / scale == pytest.approx(best, abs=0.05)


def test_columns_stay_in_their_bounds_and_prices_follow_the_multipliers() -> None:
    pool, rng = filled(100, 40, 1), np.random.default_rng(1)
    cost, least = rng.normal(size=40), (rng.random(40) < 0.2).astype(float)
    price, y = cost.copy(), np.full(40, 0.5)
    pool.ascend(price, least, np.ones(40), y, 0.4, 10)
    assert (y >= least).all()
    np.testing.assert_allclose(price, pool.priced(cost)[0], atol=1e-9)


def test_sweeps_are_over_at_the_first_look_at_a_bound_that_is_enough() -> None:
    cost = np.random.default_rng(2).normal(size=40)
    prices = []
    for sweeps, enough in ((LOOKS, np.inf), (10 * LOOKS, -1e3), (10 * LOOKS, np.inf)):
        pool, price, y = filled(100, 40, 1), cost.copy(), np.full(40, 0.5)
        pool.ascend(price, np.zeros(40), np.ones(40), y, 0.4, sweeps, enough)
        prices.append(price)
    np.testing.assert_array_equal(prices[0], prices[1])
    assert (prices[2] != prices[0]).any()
