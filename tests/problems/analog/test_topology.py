"""The cost of a topology is the error of the neuron without the connections left out, and K is exact."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest
import tiny
import torch
from tiny import all_bits, mlp, mlp_task, network_task, one_thread
from torch import nn

from qubopress import problems, solvers
from qubopress.problems import InputError
from qubopress.problems.analog.connections import connections
from qubopress.problems.analog.sign_magnitude import Inputs, put
from qubopress.problems.analog.topology import wires
from qubopress.problems.layers.inputs import gram_of_inputs

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

drive = partial(tiny.drive, "topology")
stages = partial(tiny.stages, "topology")


def weights_of(part: nn.Module) -> np.ndarray:
    return part.weight.detach().double().flatten(1).numpy()


@pytest.mark.parametrize("bias", [True, False])
def test_the_loss_of_every_choice_is_the_mean_squared_error_of_the_neuron(bias) -> None:
    part = mlp(6, 1, bias=bias)[0].double()
    x = torch.rand(9, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    (gram,), _, _ = gram_of_inputs(part, "", x)
    inputs = Inputs.of(gram, centred=bias)
    instance = wires(weights_of(part)[0], inputs, 3)
    for choice in all_bits(6):
        made = copy.deepcopy(part)
        put(made, slice(None), weights_of(part) * choice, weights_of(part), inputs)
        with torch.no_grad():
            error = float((made(x) - part(x)).square().mean())
        assert instance.loss(choice) == pytest.approx(error, rel=1e-9, abs=1e-14)
        assert instance.violation(choice) == abs(choice.sum() - 3)


@pytest.mark.parametrize("bias", [True, False])
def test_the_losses_of_a_neurons_blocks_sum_to_its_mean_squared_error(bias) -> None:
    network = mlp(8, 2, bias=bias)
    task = network_task(network, 8)
    rng = np.random.default_rng(0)
    losses: list[float] = []

    def decide(_, instance):
        x = rng.permutation(np.repeat([1, 0], [int(instance.K), instance.n - int(instance.K)])).astype(
            np.int8
        )
        losses.append(instance.loss(x))
        return x

    made = drive(task, decide, pattern="2:4", sweeps=3)
    with torch.no_grad():
        error = (made(task.inputs) - network(task.inputs)).double().square().mean(dim=0)
    assert len(losses) == 2 * 3 * 2
    assert float(error.sum()) == pytest.approx(sum(losses), rel=1e-4)


@pytest.mark.parametrize(("pattern", "kept"), [("1:2", [1, 1, 1]), ("2:3", [2, 2]), ("3:4", [3, 1])])
def test_every_neuron_keeps_n_of_every_m_inputs(pattern, kept) -> None:
    width = int(pattern[-1])
    made = drive(mlp_task(), pattern=pattern)[0].weight != 0
    blocks = [made[:, start : start + width].sum(dim=1) for start in range(0, 5, width)]
    assert [set(block.tolist()) for block in blocks] == [{count} for count in kept]


def test_another_sweep_decides_a_block_again_in_the_light_of_the_others() -> None:
    def error(sweeps: int) -> float:
        losses: list[float] = []

        def decide(_, instance):
            choices = all_bits(instance.n)
            choices = choices[choices.sum(axis=1) == instance.K]
            losses.append(instance.losses(choices).min())
            return choices[instance.losses(choices).argmin()]

        drive(problems.classification_task("digits-mlp"), decide, pattern="2:4", sweeps=sweeps)
        return sum(losses)

    assert error(2) < 0.98 * error(1)


@pytest.mark.parametrize(("given", "fan_ins"), [({"density": 0.34}, (2, 2, 1)), ({"fan_in": 3}, (3, 3, 3))])
def test_every_neuron_has_the_connections_asked_for_and_its_trained_weights(given, fan_ins) -> None:
    task = mlp_task()
    made = drive(task, **given)
    assert len(stages(task, **given)) == 6 + 4 + 3
    for place, fan_in in zip((0, 2, 4), fan_ins, strict=True):
        ours, theirs = made[place].weight, task.network[place].weight
        assert ((ours != 0).sum(dim=1) == fan_in).all()
        assert torch.equal(ours[ours != 0], theirs[ours != 0])


def test_a_choice_by_search_costs_less_than_the_largest_weights() -> None:
    task = problems.classification_task("digits-mlp")
    searched = largest = 0.0
    for i, instance in enumerate(stages(task)[:32]):
        weights = weights_of(task.network.fc1)[i : i + 1]
        largest += instance.loss(connections({"": weights}, topology="largest")[""][0].astype(np.int8))
        searched += solvers.solve(instance, "swap", restarts=1).loss
    assert searched < 0.5 * largest


def test_its_network_feeds_sign_magnitude() -> None:
    task = mlp_task()
    chosen = drive(task, fan_in=2)
    after = network_task(chosen, 5)
    made = tiny.drive("sign-magnitude", after, topology="own")
    for ours, theirs in zip(made, chosen, strict=True):
        if isinstance(ours, nn.Linear):
            assert torch.equal(ours.weight != 0, theirs.weight != 0)


def test_groups_of_a_convolution_see_their_own_inputs() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 2, groups=2), nn.Flatten(), nn.Linear(16, 2)).eval()
    task = network_task(network, 2, 3, 3)
    assert [one.n for one in stages(task)] == [4] * 4 + [16] * 2
    made = drive(task)
    assert (made[0].weight.flatten(1).count_nonzero(dim=1) == 2).all()


def test_sequential_counts_what_the_layers_before_have_lost() -> None:
    task = mlp_task()
    floats, ours = stages(task)[6:], stages(task, sequential=True)[6:]
    assert not np.allclose(floats[0].Q, ours[0].Q)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fan_in": 6}, "fan_in must be at most the 5 inputs of layer 0, got 6; lower it"),
        ({"fan_in": -1}, "fan_in must be an integer of at least 0, got -1"),
        ({"pattern": "3:2"}, r"a pattern must be N:M with N in \[1, M\], got '3:2'; 2:4 keeps 2 of every 4"),
        ({"pattern": "0:2"}, r"a pattern must be N:M with N in \[1, M\], got '0:2'"),
        ({"pattern": "half"}, r"a pattern must be N:M with N in \[1, M\], got 'half'"),
        ({"pattern": "2:4", "sweeps": 0}, "sweeps must be an integer of at least 1, got 0"),
        ({"density": 0.0}, r"density must lie in \(0, 1\], got 0.0"),
        ({"density": 1.01}, r"density must lie in \(0, 1\], got 1.01"),
        ({"density": 0.05}, "every neuron must have a connection, got 0.05 of 5 inputs; raise density"),
    ],
)
def test_topologies_that_there_are_not_are_refused(given, message) -> None:
    with pytest.raises(InputError, match=message):
        drive(mlp_task(), **given)
