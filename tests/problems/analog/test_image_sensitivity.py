"""Sensitivities are the derivatives of the images, and grams the mean squares that they say."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from generating import system
from tiny import one_thread

from qubopress.problems import InputError
from qubopress.problems.analog import image_sensitivity
from qubopress.problems.networks.interaction import InteractionSystem

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

each_dynamics = pytest.mark.parametrize(
    "made",
    [
        pytest.param(
            system(kind=kind, directed=directed, method=method, segments=3, hidden=1, seed=2),
            id=f"{kind}-{'directed' if directed else 'symmetric'}-{method}",
        )
        for kind in ("tanh", "phase")
        for directed in (True, False)
        for method in ("heun", "rk4")
    ],
)


def starts_of(made: InteractionSystem, wanted: int = 4) -> torch.Tensor:
    return made.starts(wanted, random=torch.Generator().manual_seed(5)).double()


def moved(made: InteractionSystem, segment: int, change: torch.Tensor) -> InteractionSystem:
    other = copy.deepcopy(made)
    other.couplings[segment] += change
    return other


@each_dynamics
def test_sensitivities_are_finite_differences_of_the_images(made: InteractionSystem) -> None:
    starts, step = starts_of(made), 1e-5
    for segment, found in enumerate(image_sensitivity.sensitivities(made, starts, [0, 1, 2])):
        assert found.shape == (4, 4, len(made.edges))
        for edge in range(0, len(made.edges), 7):
            change = torch.zeros(len(made.edges), dtype=torch.float64)
            change[edge] = step
            up, down = (
                image_sensitivity.images_of(moved(made, segment, sign * change), starts) for sign in (1, -1)
            )
            expected = (up - down).flatten(1) / (2 * step)
            assert torch.allclose(found[:, :, edge], expected, rtol=1e-6, atol=1e-9)


@each_dynamics
def test_the_gradient_is_the_residual_through_the_sensitivities(made: InteractionSystem) -> None:
    starts = starts_of(made)
    wanted = image_sensitivity.images_of(system(kind=made.design.kind, segments=3, hidden=1, seed=9), starts)
    residual = (image_sensitivity.images_of(made, starts) - wanted).flatten(1)
    (one,) = image_sensitivity.sensitivities(made, starts, [1])
    expected = torch.einsum("bpe,bp->e", one, residual) / len(starts)
    assert np.allclose(image_sensitivity.gradient(made, starts, wanted, 1), expected.numpy())


def test_a_gram_is_the_mean_square_of_the_moves_to_first_order() -> None:
    made = system(hidden=1)
    starts = starts_of(made, 60)  # more than are taken at a time
    rng = np.random.default_rng(0)
    for segment in (0, 1):
        change = 1e-5 * rng.standard_normal(len(made.edges))
        error = image_sensitivity.images_of(moved(made, segment, torch.tensor(change)), starts)
        square = (error - image_sensitivity.images_of(made, starts)).square().sum(dim=(1, 2, 3)).mean()
        assert change @ image_sensitivity.gram(made, starts, segment) @ change == pytest.approx(
            float(square), rel=1e-3
        )


def test_the_joint_gram_is_of_moves_of_all_segments_at_once() -> None:
    made = system(hidden=1)
    starts = starts_of(made, 60)
    change = 1e-5 * np.random.default_rng(0).standard_normal(len(made.edges))
    other = copy.deepcopy(made)
    other.couplings *= 1 + torch.tensor(change)
    error = image_sensitivity.images_of(other, starts) - image_sensitivity.images_of(made, starts)
    found = change @ image_sensitivity.joint_gram(made, starts, made.couplings) @ change
    assert found == pytest.approx(float(error.square().sum(dim=(1, 2, 3)).mean()), rel=1e-3)


def test_couplings_go_one_by_one_each_the_one_that_is_missed_least() -> None:
    rows = np.random.default_rng(0).standard_normal((20, 9))
    cost = rows.T @ rows
    left = np.zeros(9)
    for wanted in range(8, -1, -1):
        options = [e for e in range(9) if not left[e]]
        tried = [(left + (np.arange(9) == e)) @ cost @ (left + (np.arange(9) == e)) for e in options]
        left[options[int(np.argmin(tried))]] = 1.0
        assert np.array_equal(image_sensitivity.least_missed(cost, wanted), left == 0)


def test_measuring_leaves_system_and_generators_of_numbers_as_they_were() -> None:
    made = system().float()
    before, state = copy.deepcopy(made.state_dict()), torch.random.get_rng_state()
    image_sensitivity.gram(image_sensitivity.double(made), starts_of(made), 0)
    assert all(torch.equal(before[name], tensor) for name, tensor in made.state_dict().items())
    assert torch.equal(state, torch.random.get_rng_state())
    assert not made.couplings.requires_grad


def test_other_networks_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"interaction system, such as digits-generator, got a Linear"):
        image_sensitivity.system_of(torch.nn.Linear(2, 2))


def test_couplings_go_one_by_one_from_a_sparse_cost_too() -> None:
    rows = np.random.default_rng(1).standard_normal((20, 9)) * (np.arange(9) < 5)
    cost = rows.T @ rows + np.eye(9)
    for wanted in range(10):
        found = image_sensitivity.least_missed(sp.csr_array(cost), wanted)
        assert np.array_equal(found, image_sensitivity.least_missed(cost, wanted))
