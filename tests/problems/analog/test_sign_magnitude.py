"""The sign-magnitude loss of a layer is the error of the layer that its levels decode to, noise included."""

from __future__ import annotations

import copy
from functools import partial

import dimod
import numpy as np
import pytest
import tiny
import torch
from tiny import cnn, mlp, mlp_task, network_task, one_thread
from torch import nn
from torch.nn import functional

from qubopress import problems, solvers
from qubopress.problems import InputError
from qubopress.problems.analog.connections import connections
from qubopress.problems.analog.sign_magnitude import Inputs, Wiring, put, wiring
from qubopress.problems.layers.inputs import gram_of_inputs
from qubopress.problems.quantization.grids import Grid, midrise
from qubopress.problems.tasks import kinds
from qubopress.suites.conformance.specimens import solutions

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

# Few weights, so that every assignment can be tried: layer, shape of a sample.
LAYERS = {
    "linear": (nn.Linear(3, 2), (3,)),
    "linear without bias": (nn.Linear(4, 2, bias=False), (4,)),
    "conv": (nn.Conv2d(1, 2, (1, 3), padding=(0, 1)), (1, 3, 3)),
}
each_layer = pytest.mark.parametrize(("part", "shape"), LAYERS.values(), ids=LAYERS.keys())


@pytest.fixture(autouse=True)
def _drawn() -> None:
    tiny.draw_parameters(part for part, _ in LAYERS.values())


drive = partial(tiny.drive, "sign-magnitude")
stages = partial(tiny.stages, "sign-magnitude")


def inputs_of(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(6).uniform(-0.5, 2, (5, *shape)), dtype=torch.float32)


def weights_of(part: nn.Module) -> np.ndarray:
    return part.weight.detach().double().flatten(1).numpy()


def wired(part: nn.Module, x: torch.Tensor, **parameters) -> tuple[Wiring, Inputs]:
    (gram,), _, _ = gram_of_inputs(part, "", x)
    inputs = Inputs.of(gram, centred=part.bias is not None)
    exists = connections({"": weights_of(part)}, topology="random", density=0.7)[""]
    return wiring(weights_of(part), exists, inputs, **parameters), inputs


def output(part: nn.Module, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Pre-activations (n, rows) in float64."""
    w = weight.double().reshape(part.weight.shape)
    b = None if bias is None else bias.double()
    if isinstance(part, nn.Linear):
        made = functional.linear(x.double(), w, b)
    else:
        made = functional.conv2d(x.double(), w, b, padding=part.padding)
    return made.detach().transpose(0, 1).flatten(1)


def decoded(part: nn.Module, layer: Wiring, inputs: Inputs, choice: np.ndarray) -> nn.Module:
    made = copy.deepcopy(part).double()
    put(made, slice(None), layer.weights(choice), weights_of(part), inputs)
    return made


@each_layer
@pytest.mark.parametrize("bits", [1, 2])
@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_the_loss_of_every_assignment_is_the_mean_squared_error_of_the_decoded_layer(
    part, shape, bits, per
) -> None:
    x = inputs_of(shape)
    layer, inputs = wired(part, x, bits=bits, per=per)
    wanted = output(part, x, part.weight, part.bias)
    choices = solutions(layer.instance)
    assert len(choices) == 2 ** (bits * int(layer.exists.sum()))
    for choice in choices:
        made = decoded(part, layer, inputs, choice)
        error = ((output(made, x, made.weight, made.bias) - wanted) ** 2).mean(dim=1).sum()
        assert layer.instance.loss(choice) == pytest.approx(float(error), rel=1e-9)


@each_layer
def test_with_read_noise_the_loss_is_the_expected_error_under_noise(part, shape) -> None:
    x, noise, draws = inputs_of(shape), 0.3, 4_000
    layer, inputs = wired(part, x, bits=2, read_noise=noise)
    wanted = output(part, x, part.weight, part.bias)
    rng = np.random.default_rng(0)
    for choice in rng.permutation(solutions(layer.instance))[:3]:
        made = decoded(part, layer, inputs, choice)
        w = made.weight.detach()
        errors = np.empty(draws)
        for k, xi in enumerate(rng.standard_normal((draws, *w.shape))):
            read = output(made, x, w * (1 + noise * torch.from_numpy(xi)), made.bias)
            errors[k] = float(((read - wanted) ** 2).mean(dim=1).sum())
        assert abs(errors.mean() - layer.instance.loss(choice)) < 4 * errors.std() / np.sqrt(draws)
        quiet = float(((output(made, x, w, made.bias) - wanted) ** 2).mean(dim=1).sum())
        power = float((w.flatten(1).square().numpy() @ inputs.power).sum())
        assert layer.instance.loss(choice) == pytest.approx(quiet + noise**2 * power, rel=1e-9)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_connection_is_on_the_midrise_grid_and_a_missing_one_is_zero(bits, noise) -> None:
    task, settings = mlp_task(), {"bits": bits, "read_noise": noise}
    made = drive(task, **settings)
    layers = [part for part in made if isinstance(part, nn.Linear)]
    for part, instance in zip(layers, stages(task, **settings), strict=True):
        odd = weights_of(part) / (instance.scale[:, None] / 2)
        there = odd != 0
        np.testing.assert_array_equal(there, instance.fixed[:, : part.in_features] < 0)
        np.testing.assert_allclose(odd[there] % 2, 1, atol=1e-4)
        assert np.abs(odd).max() < 2**bits


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_a_neuron_is_a_qubo_of_its_bits_alone_with_the_same_ground_state(bits) -> None:
    layer, _ = wired(LAYERS["linear"][0], inputs_of((3,)), bits=bits, read_noise=0.1)
    for i, there in enumerate(layer.exists):
        bqm = layer.instance.to_bqm(row=i)
        assert bqm.num_variables == bits * there.sum()
        one = layer.instance.neuron(i)
        ground = dimod.ExactSolver().sample(bqm).first.energy
        assert ground == pytest.approx(one.losses(solutions(one)).min(), rel=1e-9)


def test_what_no_choice_changes_is_part_of_the_loss_under_noise() -> None:
    part, shape = LAYERS["linear"]
    layer, _ = wired(part, inputs_of(shape), bits=2, read_noise=0.5)
    assert layer.instance.f == part.in_features + 1
    assert (layer.instance.fixed[:, -1] == 0).all()
    assert (layer.instance.shift[:, -1] > 0).all()


def test_an_input_that_is_never_on_leaves_its_weight_alone_under_noise() -> None:
    part = LAYERS["linear without bias"][0]
    x = inputs_of((4,))
    x[:, 2] = 0.0
    (noisy, _), (quiet, _) = (wired(part, x, bits=2, read_noise=rho) for rho in (0.3, 0.0))
    assert np.isfinite(noisy.instance.shift).all()
    assert np.abs(noisy.weights(noisy.instance.nearest())[:, 2]).sum() > 0
    assert np.abs(quiet.weights(quiet.instance.nearest())[:, 2]).sum() > 0


def test_noise_shrinks_the_weights() -> None:
    part, shape = LAYERS["linear without bias"]
    sizes = [
        np.abs(layer.weights(layer.instance.nearest())).sum()
        for layer, _ in (wired(part, inputs_of(shape), bits=4, read_noise=rho) for rho in (0.0, 0.5, 1.0))
    ]
    assert sizes[0] > sizes[1] > sizes[2]


def test_the_networks_own_zeros_are_the_missing_connections() -> None:
    network = mlp(5, 6, 3)
    with torch.no_grad():
        network[0].weight[:, 1::2] = 0.0
    made = drive(network_task(network, 5), topology="own")
    assert torch.equal(made[0].weight == 0, network[0].weight == 0)
    assert (made[2].weight != 0).all()


def test_groups_of_a_convolution_are_stages_of_their_own() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 2, groups=2), nn.Flatten(), nn.Linear(16, 2)).eval()
    task = network_task(network, 2, 3, 3)
    assert [one.shape for one in stages(task)] == [(2, 4), (2, 4), (2, 16)]


def test_sequential_calibrates_on_the_layers_already_decided() -> None:
    task = mlp_task()
    made = drive(task, sequential=True)
    before, after = stages(task, sequential=True)[1].gram, stages(task)[1].gram
    x = made[:2](task.inputs).double()
    mean = x.mean(dim=0)
    expected = (x.T @ x / len(x) - torch.outer(mean, mean)).detach().numpy()
    np.testing.assert_allclose(before, expected, atol=1e-6)
    assert not np.allclose(after, expected, atol=1e-3)


def test_a_folded_batch_norm_is_part_of_the_weights() -> None:
    task = network_task(cnn(), 1, 4, 4)
    made = drive(task, bits=4, topology="all", sequential=True)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in made.modules())


def test_a_layer_of_one_bit_decides_signs() -> None:
    made = drive(mlp_task(), bits=1, topology="all")
    for part in (part for part in made if isinstance(part, nn.Linear)):
        sizes = part.weight.abs()
        torch.testing.assert_close(sizes, sizes[:, :1].expand_as(sizes))


@pytest.mark.parametrize(
    "network",
    [
        "digits-mlp",
        "digits-cnn",
        pytest.param("fashion-mlp50", marks=pytest.mark.slow),
        pytest.param("fashion-mlp", marks=pytest.mark.slow),
    ],
)
def test_beam_beats_the_nearest_level_in_loss_and_accuracy(network) -> None:
    task = problems.classification_task(network)
    found = {}
    for solver in ("round-to-nearest", "beam"):
        losses: list[float] = []

        def decide(_: int, instance, solver=solver, losses=losses):
            solution = solvers.solve(instance, solver, restarts=1)
            losses.append(solution.loss)
            return solution.x

        found[solver] = (losses, drive(task, decide))
    (nearest, plain), (searched, better) = found["round-to-nearest"], found["beam"]
    assert all(ours < theirs for ours, theirs in zip(searched, nearest, strict=True))
    assert task.judge(better) > task.judge(plain)
    assert task.judge(better) < kinds.float_metric(network)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bits": 0}, r"bits must be an integer in \[1, 4\], got 0"),
        ({"bits": 5}, r"bits must be an integer in \[1, 4\], got 5"),
        ({"per": "row"}, "per must be tensor or channel, got 'row'"),
        ({"read_noise": -0.1}, "read_noise must not be negative, got -0.1; 0.1 is 10 % of a weight"),
        ({"read_noise": float("nan")}, "read_noise must be a finite number, got nan"),
        ({"topology": "ring"}, "topology must be one of all, random, block, largest, own, N:M, got 'ring'"),
        ({"topology": "5:4"}, r"a pattern must be N:M with N in \[1, M\], got '5:4'"),
        ({"density": 0.0}, r"density must lie in \(0, 1\], got 0.0"),
        ({"density": 0.01}, "every neuron must have a connection, got .* of 5 inputs; raise density"),
        ({"topology_seed": -1}, "topology_seed must be an integer of at least 0, got -1"),
    ],
)
def test_parameters_outside_their_range_are_refused(given, message) -> None:
    with pytest.raises(InputError, match=message):
        drive(mlp_task(), **given)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_the_grid_is_odd_multiples_whose_scale_no_other_beats(bits, per) -> None:
    rng = np.random.default_rng(0)
    w, exists = rng.standard_normal((3, 400)) * [[1.0], [2.0], [3.0]], rng.random((3, 400)) < 0.5
    w[~exists] = 50.0  # a missing connection has no say
    grid = midrise(w, exists, bits=bits, per=per)
    levels = grid.value(np.arange(2**bits) * np.ones((3, 1))) / (grid.step / 2)
    np.testing.assert_allclose(levels, np.tile(np.arange(1 - 2**bits, 2**bits, 2), (3, 1)))
    assert (len(np.unique(grid.step)) == 1) == (per == "tensor")

    def error(step: np.ndarray) -> float:
        nearest = Grid(step, grid.zero, 0, 2**bits - 1).nearest(w)
        return float(((nearest - w)[exists] ** 2).sum())

    assert error(grid.step) <= 1.002 * min(error(share * grid.step) for share in np.linspace(0.5, 2, 301))
    if bits == 1:
        own = [np.abs(row[there]).mean() for row, there in zip(w, exists, strict=True)]
        wanted = own if per == "channel" else [np.abs(w[exists]).mean()] * 3
        np.testing.assert_allclose(grid.step[:, 0] / 2, wanted, rtol=0.02)
