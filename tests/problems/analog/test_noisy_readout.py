"""A network on analog hardware is the network with its weights disturbed as stated, read by read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import cnn, mlp, mlp_task, network_task, one_thread
from torch import nn

from qubopress.problems import InputError
from qubopress.problems.analog.noisy_readout import (
    Converter,
    Readout,
    analog,
    estimate,
    measures,
    monte_carlo,
)

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

DRAWS = 20_000


def repeated(x: torch.Tensor) -> torch.Tensor:
    """One sample, as often as noise is drawn."""
    return x[None].expand(DRAWS, *x.shape)


def spread_of(network: nn.Module, readout: Readout, x: torch.Tensor, **others) -> np.ndarray:
    """Standard deviation of each output over the draws."""
    with torch.no_grad():
        return analog(network, readout, **others)(repeated(x)).std(dim=0).numpy()


def disturbed(part: nn.Module, x: torch.Tensor, read: float, additive: float, exists=None) -> np.ndarray:
    """The same by disturbing the weights themselves, draw by draw."""
    generator = torch.Generator().manual_seed(1)
    w = part.weight.detach()
    there = (w != 0) if exists is None else exists
    full = w.abs().amax(dim=tuple(range(1, w.dim())), keepdim=True)
    outputs = []
    for _ in range(DRAWS // 10):
        xi, zeta = (torch.randn(w.shape, generator=generator) for _ in range(2))
        read_as = w * (1 + read * xi) + additive * full * zeta * there
        outputs.append(torch.func.functional_call(part, {"weight": read_as}, (x[None],))[0].detach())
    return torch.stack(outputs).std(dim=0).numpy()


@pytest.mark.parametrize(("read", "additive"), [(0.2, 0.0), (0.0, 0.1), (0.2, 0.1)])
@pytest.mark.parametrize(
    ("part", "shape"), [(nn.Linear(6, 4), (6,)), (nn.Conv2d(2, 3, 2, padding=1), (2, 3, 3))], ids=str
)
def test_the_noise_has_the_spread_of_disturbed_weights(part, shape, read, additive) -> None:
    with torch.no_grad():
        part.weight[:, 1] = 0.0
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    ours = spread_of(nn.Sequential(part), Readout(read, additive), x)
    np.testing.assert_allclose(ours, disturbed(part, x, read, additive), rtol=0.12)


def test_a_learned_zero_that_was_fabricated_has_additive_noise_and_no_read_noise() -> None:
    network = mlp(8, 3)
    with torch.no_grad():
        network[0].weight[:, 2:] = 0.0
    x, fabricated = torch.ones(8), {"0": np.ones((3, 8), dtype=bool)}
    noise = Readout(additive_noise=0.1)
    ratio = spread_of(network, noise, x, exists=fabricated) / spread_of(network, noise, x)
    np.testing.assert_allclose(ratio, 2.0, rtol=0.05)
    read = Readout(read_noise=0.1)
    np.testing.assert_array_equal(spread_of(network, read, x, exists=fabricated), spread_of(network, read, x))


@pytest.mark.parametrize("network", [mlp(5, 6, 3), cnn()], ids=["dense", "conv"])
def test_hardware_without_imperfections_runs_the_network_itself(network) -> None:
    task = network_task(network, *((5,) if len(network) == 3 else (1, 4, 4)))
    before = [tensor.clone() for tensor in network.parameters()]
    with torch.no_grad():
        torch.testing.assert_close(analog(network, Readout())(task.inputs), network(task.inputs))
        analog(network, Readout(0.5, 0.5))(task.inputs)
    assert all(map(torch.equal, before, network.parameters()))


def test_the_same_seed_draws_the_same_noise_and_every_pass_its_own() -> None:
    network, x = mlp(5, 6, 3), torch.ones(4, 5)
    first, second = (analog(network, Readout(0.3), seed=7) for _ in range(2))
    again = first(x)
    assert torch.equal(again, second(x))
    assert not torch.equal(again, first(x))
    assert not torch.equal(again, analog(network, Readout(0.3), seed=8)(x))


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_a_converter_knows_its_levels_alone(bits) -> None:
    x = torch.linspace(-2, 3, 5000)
    converted = Converter(-1.0, 2.0, bits=bits)(x)
    assert len(converted.unique()) == 2**bits
    inside = (x >= -1) & (x <= 2)
    assert float((converted - x)[inside].abs().max()) <= 3 / (2**bits - 1) / 2 + 1e-6


def test_converters_reach_over_what_the_inputs_make_of_the_layers() -> None:
    task = mlp_task()
    with torch.no_grad():
        wanted = task.network(task.inputs)
        errors = [
            float(
                (analog(task.network, Readout(converter_bits=b), inputs=task.inputs)(task.inputs) - wanted)
                .abs()
                .max()
            )
            for b in (4, 8, 12)
        ]
    assert errors[0] > 5 * errors[1] > 25 * errors[2]


def test_an_estimate_holds_the_mean_of_many_runs() -> None:
    rng = np.random.default_rng(0)
    found = [estimate(list(rng.normal(3.0, 1.0, 4))) for _ in range(400)]
    inside = np.mean([one.low <= 3.0 <= one.high for one in found])
    assert 0.92 < inside < 0.98
    assert np.isnan(estimate([1.0]).low)


def test_monte_carlo_averages_runs_of_their_own_noise() -> None:
    network, x = mlp(5, 3), torch.ones(1, 5)
    found = monte_carlo(lambda made: made(x)[0, 0].item(), network, Readout(0.5), draws=50)
    assert found.low < network(x)[0, 0].item() < found.high
    assert found.high - found.low > 0


def test_a_record_holds_the_connections_and_nothing_without_a_judge() -> None:
    task = mlp_task()
    assert measures(task, task.network) == {"connections": 5 * 6 + 6 * 4 + 4 * 3}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Readout(read_noise=-1), "read_noise must not be negative, got -1; 0.1 is 10 %"),
        (lambda: Readout(additive_noise=float("inf")), "additive_noise must be a finite number, got inf"),
        (lambda: Readout(converter_bits=17), r"converter_bits must be an integer in \[0, 16\], got 17"),
        (lambda: analog(mlp(5, 3), Readout(converter_bits=4)), "converters need inputs whose span"),
        (
            lambda: analog(mlp(5, 3), Readout(), exists={"0": np.ones((2, 5), dtype=bool)}),
            "exists must have 15 entries for layer 0, got 10",
        ),
    ],
)
def test_hardware_that_there_is_not_is_refused(make, message) -> None:
    with pytest.raises(InputError, match=message):
        make()
