"""oscillator finds ground states, and an imperfect chip changes what it finds, never what it says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from instances import matrix, optimum, qubo, sparse_qubo

from qubopress import solvers
from qubopress.problems import Qubo
from qubopress.problems.networks.dynamics import energy
from qubopress.solvers import Status
from qubopress.solvers.qubo.oscillator import LOCK, Oscillators, imperfect, quantized
from qubopress.solvers.qubo.spins import Forces, Spins


def oscillators(agents: int = 3, *, mismatch: float = 0.0, noise: float = 0.0, seed: int = 0) -> Oscillators:
    forces = Forces.of(Spins.of(qubo()), "cpu")
    return Oscillators(forces, agents, np.random.default_rng(seed), mismatch=mismatch, noise=noise)


@pytest.mark.parametrize("make", [qubo, sparse_qubo])
def test_ground_states_of_tiny_instances_are_found(make: Any) -> None:
    instance = make()
    found = solvers.solve(instance, "oscillator", restarts=1)
    assert found.loss == pytest.approx(optimum(instance))


def test_phases_settle_at_0_and_pi() -> None:
    swarm = oscillators(8)
    for _ in range(2000):
        swarm.advance([1.0])
    assert swarm.phases.sin().abs().max() < 0.05


def test_the_energy_of_a_settling_chip_never_rises() -> None:
    swarm = oscillators(8)
    spins = Spins.of(qubo())
    # The mobility of an oscillator is the inverse of its mass: times that, the forces have an energy.
    mass = torch.tensor(np.abs(spins.J).max(axis=1))[:, None] / swarm.forces.J.abs().amax(dim=1)[:, None]

    def now() -> torch.Tensor:
        J, h, lock = mass * swarm.forces.J, mass * swarm.forces.h, mass * LOCK
        return energy(swarm.phases.double(), J, h=h, lock=lock)

    last = now()
    for _ in range(100):
        swarm.advance([1.0])
        assert (now() <= last + 1e-5 * last.abs()).all()
        last = now()


def test_one_agent_settles_as_it_does_in_a_batch() -> None:
    whole, alone = oscillators(5), oscillators(1)
    alone.phases = whole.phases[:, 2:3].clone()
    for _ in range(5):
        whole.advance([0.5])
        alone.advance([0.5])
    torch.testing.assert_close(alone.phases[:, 0], whole.phases[:, 2])


def test_noise_ends_with_the_ramp() -> None:
    quiet, loud = oscillators(noise=0.0), oscillators(noise=1.0)
    quiet.advance([1.0])
    loud.advance([1.0])
    torch.testing.assert_close(loud.phases, quiet.phases)
    quiet.advance([0.5])
    loud.advance([0.5])
    assert not torch.allclose(loud.phases, quiet.phases)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_few_bits_have_few_levels_and_the_least_error(bits: int) -> None:
    values = matrix(40)
    levels = quantized(values, bits)
    step = np.abs(values).max() / (2 ** (bits - 1) - 1)
    assert len(np.unique(np.round(levels / step))) <= 2**bits - 1
    assert np.abs(levels - values).max() <= step / 2 + 1e-12


def test_no_bits_are_exact_and_one_keeps_signs() -> None:
    values = matrix(5)
    assert quantized(values, 0) is values
    np.testing.assert_array_equal(np.sign(quantized(values, 1)), np.sign(values))
    assert len(np.unique(np.abs(quantized(values, 1)))) == 1


def test_sparse_couplings_are_quantized_as_dense_ones() -> None:
    J = Spins.of(sparse_qubo()).J
    for bits in (1, 4):
        np.testing.assert_allclose(quantized(J, bits).toarray(), quantized(J.toarray(), bits))


@pytest.mark.parametrize("make", [qubo, sparse_qubo])
def test_mismatched_couplings_stay_symmetric_and_off_by_what_was_asked(make: Any) -> None:
    spins = Spins.of(make(60))
    chip = imperfect(spins, 0, 0.1, np.random.default_rng(0))
    true, real = (np.asarray(abs(J).todense()) if make is sparse_qubo else J for J in (spins.J, chip.J))
    real = chip.J.toarray() if make is sparse_qubo else real
    true = spins.J.toarray() if make is sparse_qubo else true
    np.testing.assert_array_equal(real, real.T)
    errors = (real / np.where(true == 0, 1, true) - 1)[true != 0]
    assert errors.std() == pytest.approx(0.1, rel=0.2)


@pytest.mark.parametrize("parameters", [{"couplings": 2}, {"mismatch": 0.5}])
def test_an_imperfect_chip_finds_other_bits_and_their_true_loss(parameters: dict[str, Any]) -> None:
    instance = qubo(60)
    exact = solvers.solve(instance, "oscillator", restarts=1, steps=40, agents=1, noise=0.0)
    found = solvers.solve(instance, "oscillator", restarts=1, steps=40, agents=1, noise=0.0, **parameters)
    assert found.x is not None
    assert found.loss == instance.loss(found.x)
    assert not np.array_equal(found.x, exact.x)


def test_fields_alone_turn_every_spin() -> None:
    found = solvers.solve(Qubo(np.diag([1.0, -1.0, 2.0, -2.0])), "oscillator", restarts=1)
    np.testing.assert_array_equal(found.x, [0, 1, 0, 1])


def test_a_target_ends_the_ramp_early() -> None:
    instance = qubo(40)
    reached = solvers.solve(instance, "oscillator", restarts=1, steps=100).loss
    assert reached is not None
    target = reached + 0.5 * abs(reached)
    found = solvers.solve(instance, "oscillator", restarts=1, steps=40_000, target=target)
    assert found.status is Status.TARGET
    assert found.counts["steps"] < 40_000
