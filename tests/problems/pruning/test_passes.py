"""Layers are seen in the order in which they run, and a pass ends where it may."""

from __future__ import annotations

import pytest
import torch
from tiny import mlp, one_thread
from torch import Tensor, nn

from qubopress.problems.layers.samples import forward
from qubopress.problems.pruning.passes import holds_weights, runs, until

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


class Padding(nn.Conv2d):
    """A convolution that keeps a module for what it does first."""

    def __init__(self) -> None:
        super().__init__(1, 2, 2)
        self.pad = nn.ZeroPad2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.pad(x))


def test_a_layer_with_modules_of_its_own_is_seen_behind_these() -> None:
    network = nn.Sequential(Padding(), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2))
    made = runs(network, torch.zeros(1, 1, 3, 3))
    assert [call.name for call in made] == ["0.pad", "0", "1", "2", "3"]
    assert made[2].argument is made[1].output


def test_a_layer_whose_weight_is_made_of_others_holds_none() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    assert holds_weights(nn.Linear(2, 2))
    assert not holds_weights(layer)
    assert [call.name for call in runs(layer, torch.zeros(1, 2))] == ["parametrizations.weight.0"]


class Counting(nn.Module):
    """Three layers that say when they run, called in a way of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.seen = nn.ModuleList(mlp(2, 2, 2, 2)[::2]), list[int]()

    def encode(self, x: Tensor) -> Tensor:
        for place, layer in enumerate(self.layers):
            self.seen.append(place)
            x = layer(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x)


@pytest.mark.parametrize("call", ["forward", "encode"])
def test_a_pass_ends_once_the_layer_has_run_whoever_calls(call: str) -> None:
    network, x = Counting(), torch.zeros(1, 2)
    with until(network, "layers.1"):
        getattr(network, call)(x)
        raise AssertionError("the pass goes on")
    assert network.seen == [0, 1]
    assert not any(module._forward_hooks for module in network.modules())


def test_a_pass_to_the_end_is_whole() -> None:
    network = Counting()
    with until(network, None):
        forward(network, torch.zeros(1, 2))
    assert network.seen == [0, 1, 2]


def test_what_goes_wrong_inside_is_raised() -> None:
    network = Counting()
    with pytest.raises(RuntimeError, match="mat1 and mat2"), until(network, "layers.1"):
        network(torch.zeros(1, 3))
    assert not any(module._forward_hooks for module in network.modules())
