"""Ising energies are the losses of the Qubo, on every assignment."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from instances import levels, qubo, rounding, sparse_qubo

from qubopress.problems import InputError, Qubo, Rounding
from qubopress.problems.instances.ising import bits_of, ising, neurons, spins_of


def every(n: int) -> np.ndarray:
    return np.array(list(itertools.product((0, 1), repeat=n)), dtype=np.int8).reshape(2**n, n)


@pytest.mark.parametrize("make", [qubo, sparse_qubo])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 10])
def test_energies_equal_losses_on_every_assignment(make, n: int) -> None:  # type: ignore[no-untyped-def]
    instance, x = make(n), every(n)
    model = ising(instance)
    np.testing.assert_allclose(model.energies(spins_of(x)), instance.losses(x), rtol=1e-12, atol=1e-10)
    assert model.n == n


@pytest.mark.parametrize("make", [qubo, sparse_qubo])
def test_couplings_and_fields_equal_those_of_dimod(make) -> None:  # type: ignore[no-untyped-def]
    model, other = ising(make(6)), make(6).to_bqm().spin
    assert dict(enumerate(-model.h)) == pytest.approx(dict(other.linear))
    assert model.offset == pytest.approx(other.offset)
    for (i, j), bias in other.quadratic.items():
        assert -model.J[i, j] == pytest.approx(bias)


def test_a_sparse_qubo_stays_sparse() -> None:
    assert ising(sparse_qubo()).J.nnz == sparse_qubo().couplings.nnz


@pytest.mark.parametrize("make", [rounding, levels])
def test_neurons_that_share_couplings_have_the_losses_of_their_rows_up_to_a_constant(make) -> None:  # type: ignore[no-untyped-def]
    layer = make()
    shared = neurons(layer)
    s = spins_of(every(len(shared.columns)))
    for k in range(layer.n):
        energies = -0.5 * np.einsum("ki,ki->k", s @ shared.J, s) - s @ shared.h[k]
        rows = shared.decode(bits_of(s))
        alone = Rounding(layer.gram, layer.shift[[k]], layer.scale[[k]], layer.levels)
        losses = alone.losses(rows[:, None])
        np.testing.assert_allclose(np.ptp(losses - layer.scale[k] ** 2 * energies), 0.0, atol=1e-9)


@pytest.mark.parametrize("make", [rounding, levels])
def test_decoded_bits_take_every_value_once(make) -> None:  # type: ignore[no-untyped-def]
    layer = make()
    rows = neurons(layer).decode(every(int(np.log2(layer.levels).sum())))
    assert len(np.unique(rows, axis=0)) == len(rows) == np.prod(layer.levels)
    np.testing.assert_array_equal(rows.max(axis=0), layer.levels - 1)


def test_held_spins_decode_to_the_fixed_values() -> None:
    layer = Rounding(np.eye(3), np.zeros((2, 3)), levels=[2, 4, 8], fixed=[[1, -1, 5], [-1, 2, -1]])
    shared = neurons(layer)
    rows = shared.decode(bits_of(shared.held))
    np.testing.assert_array_equal(rows[layer.fixed >= 0], layer.fixed[layer.fixed >= 0])
    np.testing.assert_array_equal((shared.held == 0), (layer.fixed < 0)[:, shared.columns])


def test_levels_that_are_no_powers_of_two_are_refused() -> None:
    with pytest.raises(InputError, match="levels must be powers of two"):
        neurons(Rounding(np.eye(2), np.zeros((1, 2)), levels=3))


def test_bits_and_spins_are_each_others_inverse() -> None:
    x = every(3)
    np.testing.assert_array_equal(bits_of(spins_of(x)), x)
    assert set(np.unique(spins_of(x))) == {-1, 1}


def test_an_offset_survives() -> None:
    assert ising(Qubo(np.zeros((2, 2)), 3.5)).offset == 3.5
