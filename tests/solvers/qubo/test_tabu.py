"""tabu: integers that lose nothing, a flip that is the best allowed, longer restarts, windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from instances import matrix, sparse_matrix

from qubopress import solvers
from qubopress.problems import Qubo
from qubopress.solvers.qubo.flips import slopes
from qubopress.solvers.qubo.tabu import _integers, _scale, _walk

BITS, SCALE = 5, 2.0**20


def walk(qubo: Qubo, x: Any, steps: int, *, tenure: int) -> tuple[Any, Any, Any]:
    """End point, best point and gains after `steps` flips from x."""
    side, top = -x.astype(np.int64), x.copy()
    gain = _integers((1.0 - 2.0 * x) * slopes(qubo, x), SCALE, BITS)
    couplings, state = _integers(2.0 * qubo.couplings, SCALE, BITS), np.zeros(3, dtype=np.int64)
    tenures, until = np.full(1024, tenure), np.zeros(qubo.n, dtype=np.int64)
    _walk(couplings, gain, side, until, tenures, state, top, 1, steps, BITS)
    return (-side).astype(np.int8), top, gain


def test_the_gains_are_exact_however_long_the_walk() -> None:
    A = np.random.default_rng(0).integers(-9, 9, (20, 20)).astype(float)
    qubo = Qubo(A)
    end, _, gain = walk(qubo, np.zeros(20, dtype=np.int8), 100_000, tenure=4)
    expected = _integers((1.0 - 2.0 * end) * slopes(qubo, end), SCALE, BITS)
    np.testing.assert_array_equal(gain, expected)


def test_without_tenure_every_flip_is_the_best_one() -> None:
    qubo, x = Qubo(matrix(20)), np.zeros(20, dtype=np.int8)
    end, _, _ = walk(qubo, x, 1, tenure=0)
    neighbours = np.bitwise_xor(x, np.eye(20, dtype=np.int8))
    assert qubo.loss(end) == qubo.losses(neighbours).min()


def test_a_tabu_variable_is_not_flipped_back() -> None:
    qubo, x = Qubo(np.diag([1.0, 2.0, 3.0])), np.zeros(3, dtype=np.int8)
    ends = [walk(qubo, x, steps, tenure=9)[0].tolist() for steps in (1, 2, 3, 4)]
    assert ends == [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1]]


def test_the_best_point_met_is_kept() -> None:
    qubo = Qubo(matrix(20))
    losses = [qubo.loss(walk(qubo, np.zeros(20, dtype=np.int8), k, tenure=4)[0]) for k in range(1, 60)]
    _, top, _ = walk(qubo, np.zeros(20, dtype=np.int8), 59, tenure=4)
    assert qubo.loss(top) == pytest.approx(min(losses))


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_gains_and_couplings_fit_into_integers(size: float) -> None:
    qubo = Qubo(size * np.full((200, 200), 1.0))
    scale = _scale(qubo, 8)
    top = abs(_integers(slopes(qubo, np.ones(200, dtype=np.int8)), scale, 8)).max()
    assert 2**58 < top < 2**60 + 2**20


def test_a_restart_flips_ten_times_a_variable_or_as_often_as_is_asked() -> None:
    small, large = Qubo(matrix(20)), Qubo(matrix(600))
    flips = [
        solvers.solve(qubo, "tabu", restarts=restarts, flips=100).counts["flips"]
        for qubo, restarts in ((small, 1), (small, 3), (large, 1))
    ]
    assert flips == [200, 600, 6_000]
    assert solvers.solve(small, "tabu", restarts=2, flips=3_000).counts["flips"] == 6_000


def test_no_window_raises_the_loss_and_one_round_is_below_one_flip() -> None:
    qubo = Qubo(sparse_matrix(1000))
    losses = [solvers.solve(qubo, "tabu", restarts=k, seed=1).loss for k in (1, 2, 4)]
    assert losses == sorted(losses, key=lambda loss: -float(loss or 0.0))
    descended = solvers.solve(qubo, "one-flip", restarts=5, seed=1).loss
    assert losses[0] is not None
    assert descended is not None
    assert losses[0] < descended


def test_sparse_and_dense_are_the_same_problem() -> None:
    Q = sp.csr_array(matrix(60))
    assert solvers.solve(Qubo(Q), "tabu", restarts=20).loss == pytest.approx(
        solvers.solve(Qubo(Q.toarray()), "tabu", restarts=20).loss
    )
