"""bifurcation finds ground states, polishes what it reads out, and keeps uneven couplings in step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from instances import gram, levels, optimum, qubo, rounding, sparse_qubo

from qubopress import solvers
from qubopress.problems import InputError, Instance, Qubo, Rounding
from qubopress.solvers import Status
from qubopress.solvers.qubo.bifurcation import Agents
from qubopress.solvers.qubo.spins import Forces, Spins

MODES = ["ballistic", "discrete"]


def agents(instance: Qubo | Rounding, each: int = 3, *, discrete: bool = False, seed: int = 0) -> Agents:
    forces = Forces.of(Spins.of(instance), "cpu")
    return Agents(forces, each, np.random.default_rng(seed), discrete=discrete, dt=0.9)


def uneven(f: int = 60, n: int = 1) -> Rounding:
    """Inputs with a large mean and strengths over three decades, as images and their bias have."""
    rng = np.random.default_rng(7)
    X = (1.0 + 0.3 * rng.normal(size=(200, f))) * np.geomspace(1e-2, 10.0, f)
    return Rounding(X.T @ X / 200, rng.random((n, f)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("make", [qubo, sparse_qubo, rounding, levels])
def test_ground_states_of_tiny_instances_are_found(make, mode: str) -> None:  # type: ignore[no-untyped-def]
    instance: Instance = make()
    found = solvers.solve(instance, "bifurcation", restarts=1, mode=mode)
    assert found.loss == pytest.approx(optimum(instance))


def test_discrete_agents_feel_signs_and_ballistic_ones_positions() -> None:
    instance = qubo()
    for discrete in (False, True):
        swarm = agents(instance, discrete=discrete)
        x, y = swarm.x.clone(), swarm.y.clone()
        swarm.advance([0.25])
        seen = x.sign() if discrete else x
        force = swarm.coupling * (swarm.J @ seen + swarm.h) - 0.75 * x
        expected = y * (1 - swarm.friction * swarm.dt) + swarm.dt * force
        inside = swarm.x.abs() < 1
        assert inside.any()
        torch.testing.assert_close(swarm.y[inside], expected[inside])


def test_walls_stop_what_passes_them() -> None:
    swarm = agents(qubo(), each=20)
    swarm.advance(np.linspace(0, 1, 200).tolist())
    at_wall = swarm.x.abs() == 1.0
    assert at_wall.any()
    assert swarm.x.abs().max() == 1.0
    swarm.x.fill_(1.0)
    swarm.y.fill_(100.0)
    swarm.advance([1.0])
    assert (swarm.x == 1.0).all()
    assert (swarm.y == 0.0).all()


def test_one_agent_moves_as_it_does_in_a_batch() -> None:
    whole = agents(qubo(), each=5)
    alone = agents(qubo(), each=1)
    alone.x, alone.y = whole.x[:, 2:3].clone(), whole.y[:, 2:3].clone()
    alone.coupling, alone.friction, alone.dt = whole.coupling[2:3], whole.friction[2:3], whole.dt[2:3]
    for swarm in (whole, alone):
        swarm.advance([0.1, 0.2, 0.3, 0.4])
    torch.testing.assert_close(alone.x[:, 0], whole.x[:, 2])
    torch.testing.assert_close(alone.y[:, 0], whole.y[:, 2])


def test_neurons_of_a_layer_move_as_they_do_alone() -> None:
    layer = Rounding(gram(6), np.random.default_rng(0).random((3, 6)))
    whole = agents(layer, each=2)
    for k in range(3):
        alone = agents(Rounding(layer.gram, layer.shift[[k]]), each=2)
        columns = slice(2 * k, 2 * k + 2)
        torch.testing.assert_close(alone.h, whole.h[:, columns])
        torch.testing.assert_close(alone.J, whole.J)
        assert np.array_equal(whole.bits()[k], (whole.x[:, columns].T > 0).numpy())


def test_fixed_coordinates_never_move() -> None:
    layer = rounding()
    swarm = agents(layer)
    swarm.advance([0.5] * 20)
    x = swarm.bits()
    fixed = np.repeat(layer.fixed[:, None], 3, axis=1)
    np.testing.assert_array_equal(x[fixed >= 0], fixed[fixed >= 0])


def test_rows_of_very_uneven_size_exert_forces_of_one_size() -> None:
    forces = Forces.of(Spins.of(uneven()), "cpu")
    norms = forces.J.norm(dim=1)
    assert norms.max() / norms.min() == pytest.approx(1.0, rel=1e-4)
    assert forces.stiffness > 5.0


@pytest.mark.parametrize("dt", [0.5, 1.0])
def test_no_step_up_to_the_largest_is_unstable(dt: float) -> None:
    forces = Forces.of(Spins.of(uneven()), "cpu")
    swarm = Agents(forces, 8, np.random.default_rng(0), discrete=False, dt=dt)
    matrix = swarm.J.double().numpy()
    highest = np.abs(np.linalg.eigvals(matrix)).max()
    frequency = np.sqrt(1.0 + swarm.coupling.numpy() * highest)
    assert (swarm.dt.numpy() * frequency <= 2.0 * dt * 1.02).all()


def test_uneven_couplings_are_solved_far_below_round_to_nearest() -> None:
    layer = uneven(n=3)
    found = solvers.solve(layer, "bifurcation", restarts=2)
    assert found.loss is not None
    assert found.loss < 0.1 * layer.loss(layer.nearest())


def test_a_target_ends_the_schedule_early() -> None:
    instance = qubo(40)
    reached = solvers.solve(instance, "bifurcation", restarts=1).loss
    assert reached is not None
    found = solvers.solve(
        instance, "bifurcation", restarts=1, steps=40_000, target=reached + 0.5 * abs(reached)
    )
    assert found.status is Status.TARGET
    assert found.counts["steps"] < 40_000


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said_in_one_line() -> None:
    found = solvers.solve(qubo(), "bifurcation", restarts=1, device="cuda")
    assert found.status is Status.SKIPPED
    assert found.message == "device cuda needs a GPU that torch can see; pass one of those there: cpu"


def test_a_device_that_is_none_of_torchs_is_refused() -> None:
    with pytest.raises(InputError, match=r"device must be cpu, cuda or cuda:1 and so on, got 'numba'"):
        solvers.solve(qubo(), "bifurcation", restarts=1, device="numba")


@pytest.mark.skipif(torch.cuda.device_count() > 1, reason="there is a second GPU")
def test_a_gpu_may_be_named_by_its_number() -> None:
    found = solvers.solve(qubo(), "bifurcation", restarts=1, device="cuda:1")
    assert found.status is Status.SKIPPED
    assert "device cuda:1 needs a GPU that torch can see" in (found.message or "")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("make", [qubo, sparse_qubo, rounding])
def test_a_gpu_finds_what_the_cpu_finds(make) -> None:  # type: ignore[no-untyped-def]
    instance: Instance = make()
    found = solvers.solve(instance, "bifurcation", restarts=1, device="cuda")
    assert found.loss == pytest.approx(optimum(instance))


def test_levels_that_are_no_powers_of_two_are_declined() -> None:
    found = solvers.solve(Rounding(np.eye(2), np.zeros((1, 2)), levels=3), "bifurcation", restarts=1)
    assert found.status is Status.SKIPPED
    assert "powers of two" in (found.message or "")
