"""Agents over shared couplings: forces, read-outs, the best so far."""

from __future__ import annotations

import numpy as np
import pytest
from instances import levels, matrix, optimum, qubo

from qubopress.problems import Rounding
from qubopress.solvers import Run
from qubopress.solvers.qubo.spins import Best, Spins, lengths, spectrum


def test_the_spectrum_equals_that_of_a_full_decomposition() -> None:
    A = matrix(40)
    low, high = spectrum(A, steps=40)
    values = np.linalg.eigvalsh(A)
    assert (low, high) == pytest.approx((values[0], values[-1]))
    assert spectrum(matrix(300)) == pytest.approx(tuple(np.linalg.eigvalsh(matrix(300))[[0, -1]]), rel=0.02)


def test_what_is_read_out_is_polished_to_a_local_minimum() -> None:
    instance = qubo(30)
    run = Run(instance)
    Best(Spins.of(instance), run).take(np.zeros((1, 2, 30), dtype=np.int8))
    assert run.best is not None
    for i in range(30):
        neighbour = run.best.copy()
        neighbour[i] ^= 1
        assert instance.loss(neighbour) >= run.loss


def test_polishing_leaves_fixed_bits() -> None:
    layer = Rounding(np.eye(3), [[0.9, 0.9, 0.1]], fixed=[[0, -1, 1]])
    run = Run(layer)
    Best(Spins.of(layer), run).take(np.array([[[0, 0, 1]]], dtype=np.int8))
    np.testing.assert_array_equal(run.best, [[0, 1, 1]])


def test_losses_of_bits_differ_from_the_instance_by_a_constant() -> None:
    layer = levels()
    spins = Spins.of(layer)
    x = np.random.default_rng(0).integers(0, 2, (2, 9, spins.h.shape[1]), dtype=np.int8)
    ours = spins.losses(x, spins.slopes(x)) * (layer.scale**2)[:, None]
    theirs = np.array([layer.row_losses(spins.decode(x[:, k])) for k in range(9)]).T
    np.testing.assert_allclose(np.ptp(ours - theirs, axis=1), 0.0, atol=1e-9)


def test_the_layer_keeps_the_best_of_each_neuron() -> None:
    layer = Rounding(np.eye(2) + 0.1, [[0.2, 0.7], [0.6, 0.1]])
    run = Run(layer)
    best = Best(Spins.of(layer), run)
    best.take(np.array([[[0, 1]], [[0, 0]]], dtype=np.int8))
    best.take(np.array([[[1, 0]], [[1, 0]]], dtype=np.int8))
    assert run.loss == pytest.approx(optimum(layer))


def test_schedules_lengthen_against_the_clock_and_stay_with_a_number_of_restarts() -> None:
    assert list(lengths(Run(qubo(), restarts=3), 80)) == [80, 80, 80]
    clock = lengths(Run(qubo(), seconds=60.0), 80)
    assert [next(clock) for _ in range(10)] == [10, 10, 20, 10, 20, 40, 10, 20, 40, 80]
