"""field-search meets every capacity, closes the gap that no field closes, and beats greedy there."""

from __future__ import annotations

import numpy as np
import pytest
from instances import matrix, optimum

from qubopress import solvers
from qubopress.problems import Capacity
from qubopress.suites.conformance.specimens import all_bits


def clusters(sizes: list[int], K: int, *, seed: int = 0) -> Capacity:
    """Groups that pay off only whole, so every field keeps or removes a group at once."""
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    label = np.repeat(np.arange(len(sizes)), sizes)
    Q = np.where(label[:, None] == label, -1.0, 0.0) * rng.uniform(0.8, 1.2, (n, n))
    Q += 0.2 * rng.normal(size=(n, n))
    np.fill_diagonal(Q, 0.4 * np.array(sizes)[label])
    return Capacity(Q, np.ones(n), K)


def supported(capacity: Capacity) -> bool:
    """Whether the lower convex hull of the curve E(k) has a vertex at K."""
    every, K = all_bits(capacity.n), int(capacity.K)
    losses, kept = capacity.losses(every), every.sum(axis=1)
    curve = np.array([losses[kept == k].min() for k in range(capacity.n + 1)])
    below = [(curve[K] - curve[k]) / (K - k) for k in range(K)]
    above = [(curve[k] - curve[K]) / (k - K) for k in range(K + 1, capacity.n + 1)]
    return max(below) <= min(above)


@pytest.mark.parametrize("K", range(1, 11))
def test_small_slices_are_solved_at_every_capacity(K: int) -> None:
    capacity = Capacity(matrix(11, seed=K), np.ones(11), K, 0.5)
    found = solvers.solve(capacity, "field-search", restarts=6)
    assert found.adapter == ""
    assert found.violation == 0.0
    assert found.loss is not None
    # A capacity in a dent of the curve is finished greedily, which need not be optimal.
    if supported(capacity):
        assert found.loss == pytest.approx(optimum(capacity), abs=1e-9)
    assert found.loss >= optimum(capacity) - 1e-9


def test_it_beats_greedy_where_no_field_reaches_the_capacity() -> None:
    wins = losses = 0
    for seed in range(8):
        capacity = clusters([5, 4, 4], 6, seed=seed)
        assert not supported(capacity)
        field = solvers.solve(capacity, "field-search", restarts=1)
        greedy = solvers.solve(capacity, "greedy", restarts=1)
        assert field.violation == 0.0
        assert field.loss is not None
        assert greedy.loss is not None
        wins += field.loss < greedy.loss - 1e-9
        losses += field.loss > greedy.loss + 1e-9
    assert wins > losses


def test_the_gap_before_the_finish_is_counted() -> None:
    found = solvers.solve(clusters([5, 4, 4], 6), "field-search", restarts=1)
    assert found.counts["answers"] > 0
    assert found.counts["gap before finish"] >= found.counts["answers"]
    met = solvers.solve(Capacity(np.diag([-1.0, -1.0, 1.0, 1.0]), np.ones(4), 2), "field-search", restarts=1)
    assert met.counts["gap before finish"] == 0
