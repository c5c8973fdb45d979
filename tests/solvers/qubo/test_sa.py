"""sa: its sweeps are true Metropolis sweeps, on a Qubo and on all neurons of a layer alike."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from instances import gram, levels, matrix, optimum, rounding, sparse_matrix

from qubopress import solvers
from qubopress.problems import Qubo, Rounding
from qubopress.solvers import Status


def test_dense_and_sparse_forms_of_a_matrix_give_the_same_bits() -> None:
    Q = np.round(8 * sparse_matrix(60).toarray())
    found = [solvers.solve(Qubo(form), "sa", restarts=2, num_sweeps=200) for form in (Q, sp.csr_array(Q))]
    np.testing.assert_array_equal(found[0].x, found[1].x)


def test_every_neuron_of_a_layer_reaches_its_optimum() -> None:
    for make in (rounding, levels):
        layer = make()
        found = solvers.solve(layer, "sa", restarts=3)
        assert found.loss == pytest.approx(optimum(layer), rel=1e-9)
        assert found.adapter == ""


def test_levels_that_are_no_power_of_two_are_reached() -> None:
    layer = Rounding(gram(3), np.random.default_rng(0).uniform(0, 4, (2, 3)), levels=5)
    assert solvers.solve(layer, "sa", restarts=2).loss == pytest.approx(optimum(layer), rel=1e-9)


def test_one_huge_coefficient_does_not_spoil_the_schedule() -> None:
    Q = matrix(100)
    plain = solvers.solve(Qubo(Q), "sa", restarts=3, num_sweeps=300)
    Q[0, 0] = -1e6
    spoilt = solvers.solve(Qubo(Q), "sa", restarts=3, num_sweeps=300)
    assert plain.loss is not None
    assert spoilt.loss is not None
    Q[0, 0] = matrix(100)[0, 0]
    assert Qubo(Q).loss(spoilt.x) < 0.95 * plain.loss


def test_a_read_longer_than_the_budget_is_cut_off() -> None:
    found = solvers.solve(Qubo(matrix(200)), "sa", seconds=0.2, restarts=1, num_sweeps=10_000_000)
    assert found.status is Status.BUDGET
    assert found.seconds < 0.2 + 3.0


def test_more_reads_are_never_worse_together_than_the_first() -> None:
    one = Qubo(matrix(40))
    few, many = (solvers.solve(one, "sa", restarts=1, num_reads=k, num_sweeps=10).loss for k in (1, 50))
    assert few is not None
    assert many is not None
    assert many <= few


def test_the_time_that_is_left_goes_into_a_longer_read() -> None:
    found = solvers.solve(Qubo(matrix(100)), "sa", seconds=0.3)
    assert found.counts["restarts"] < 12
    assert found.counts["sweeps"] > 1000
