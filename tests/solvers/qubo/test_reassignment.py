"""Reassignment: which variables are decided anew is drawn, what they become follows from the point."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from instances import matrix

from qubopress.problems import Qubo
from qubopress.problems.arrays import Bits
from qubopress.solvers.compiled import readonly
from qubopress.solvers.qubo.flips import slopes
from qubopress.solvers.qubo.reassignment import FAVOUR, MOST, _decide, _draw, reassigned


def point(n: int, seed: int = 0) -> Bits:
    return np.random.default_rng(seed).integers(0, 2, n, dtype=np.int8)


def by_halves(qubo: Qubo, x: Bits, chosen: list[int]) -> Bits:
    """What `_decide` does, by losses of points with halves."""
    y = x.astype(float)
    y[chosen] = 0.5
    open_ = list(chosen)
    while open_:
        kept, flipped = [], []
        for i in open_:
            for value, losses in ((x[i], kept), (1 - x[i], flipped)):
                z = y.copy()
                z[i] = value
                losses.append(z @ qubo.couplings @ z + qubo.linear @ z)
        best = int(np.argmax(np.abs(np.subtract(flipped, kept))))
        i = open_.pop(best)
        y[i] = 1 - x[i] if flipped[best] < kept[best] else x[i]
    return y.astype(np.int8)


@pytest.mark.parametrize("seed", range(10))
def test_variables_are_decided_the_clearest_first_while_the_others_are_at_one_half(seed: int) -> None:
    qubo, x = Qubo(matrix(12, seed=seed)), point(12, seed)
    chosen = np.random.default_rng(seed).permutation(12)[:8]
    change = (1.0 - 2.0 * x) * slopes(qubo, x)
    found = _decide(readonly(qubo.couplings), change, x, chosen)
    np.testing.assert_array_equal(found, by_halves(qubo, x, chosen.tolist()))


def test_those_that_would_lower_the_loss_are_drawn_before_all_others() -> None:
    change, x = np.array([3.0, -1.0, 2.0, -4.0, 5.0, 0.0]), point(6)
    rng, none = np.random.default_rng(0), np.zeros((6, 6))
    drawn = [_draw(none, change.copy(), x, rng.random(2)) for _ in range(200)]
    assert np.mean([set(pair) == {1, 3} for pair in drawn]) > 1 - 20 / FAVOUR * 6
    assert 0.6 < np.mean([pair[0] == 3 for pair in drawn]) < 0.95


def test_a_draw_counts_those_before_it_as_flipped() -> None:
    couplings = readonly(np.array([[0.0, 3.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    x = np.array([1, 0, 0], dtype=np.int8)
    # Once variable 0 is flipped to 0, variable 1 does not cost its coupling any more.
    change = np.array([-1.0, 5.0, 4.0])
    drawn = [_draw(couplings, change.copy(), x, np.random.default_rng(k).random(2)) for k in range(50)]
    assert {tuple(pair) for pair in drawn} == {(0, 1)}


@pytest.mark.parametrize("change", [np.zeros(5), -np.ones(5), np.ones(5), np.array([0.0, 0, 0, 0, -1])])
def test_every_draw_is_of_different_variables(change: np.ndarray) -> None:
    for luck in itertools.product((0.0, 1 - 2**-53), repeat=5):
        drawn = _draw(np.zeros((5, 5)), change.copy(), point(5), np.array(luck))
        assert sorted(drawn) == list(range(5))


@pytest.mark.parametrize(("n", "share", "most"), [(6, 0.1, 6), (100, 0.01, 10), (100, 0.3, 30)])
def test_no_more_than_the_share_changes_and_ten_may(n: int, share: float, most: int) -> None:
    qubo, x = Qubo(matrix(n)), point(n)
    found = reassigned(readonly(qubo.couplings), slopes(qubo, x), x, share, np.random.default_rng(0))
    assert 0 < np.count_nonzero(found != x) <= most
    assert set(found) <= {0, 1}


def test_of_many_variables_no_more_are_decided_than_time_allows() -> None:
    n = MOST + 500
    x, slope = point(n), np.where(point(n), 1.0, -1.0)  # every flip lowers the loss
    found = reassigned(np.zeros((n, n)), slope, x, 1.0, np.random.default_rng(0))
    assert np.count_nonzero(found != x) == MOST
