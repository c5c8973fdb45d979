"""Borrowed weights: shared until they are written, and only where nobody can tell."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from qubopress.problems.layers.borrowing import borrowed, own, own_all, writes_weights


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()


def memories(network: nn.Module) -> set[int]:
    return {one.untyped_storage().data_ptr() for one in network.parameters()}


class Clamped(nn.Linear):
    """A layer that keeps its weights within a bound, as those with a max-norm do."""

    def forward(self, x: Tensor) -> Tensor:
        self.weight.data.clamp_(-0.1, 0.1)
        return super().forward(x)


class Assigned(nn.Linear):
    """The same with new numbers."""

    def forward(self, x: Tensor) -> Tensor:
        self.weight.data = self.weight.data.clamp(-0.1, 0.1)
        return super().forward(x)


def test_a_borrowed_copy_has_parameters_of_its_own_in_the_same_memory() -> None:
    network = net()
    copied = borrowed(network)
    assert memories(copied) == memories(network)
    assert not {id(one) for one in copied.parameters()} & {id(one) for one in network.parameters()}


def test_buffers_are_copied() -> None:
    network = nn.BatchNorm1d(3)
    mean = network.get_buffer("running_mean")
    assert borrowed(network).get_buffer("running_mean").data_ptr() != mean.data_ptr()


def test_what_is_written_into_an_owned_parameter_stays_its_own() -> None:
    network = net()
    copied = borrowed(network)
    before = network[0].weight.clone()
    own(copied[0].weight, network)
    with torch.no_grad():
        copied[0].weight.zero_()
    assert torch.equal(network[0].weight, before)
    assert memories(copied) & memories(network)


def test_after_own_all_nothing_is_shared() -> None:
    network = net()
    copied = own_all(borrowed(network), network)
    assert not memories(copied) & memories(network)
    assert all(map(torch.equal, copied.parameters(), network.parameters()))


def test_tied_parameters_stay_tied() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    copied = own_all(borrowed(network), network)
    assert copied[1].weight is copied[0].weight


def tied_by_data() -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight.data = network[0].weight.data
    return network


def of_one_memory() -> nn.Module:
    network, whole = nn.Linear(3, 3), torch.randn(12)
    network.weight.data, network.bias.data = whole[:9].view(3, 3), whole[9:]
    return network


@pytest.mark.parametrize("make", [tied_by_data, of_one_memory])
def test_parameters_that_share_a_memory_are_copied(make: Any) -> None:
    network = make()
    copied = borrowed(network)
    shared = [one for one in network.parameters() if one.untyped_storage().data_ptr() in memories(copied)]
    assert len(shared) == (2 if make is tied_by_data else 0)  # of the former, the biases


@pytest.mark.parametrize(("layer", "writes"), [(nn.Linear, False), (Clamped, True), (Assigned, False)])
def test_a_network_that_writes_into_its_weights_is_stopped_before_it_does(layer: Any, writes: bool) -> None:
    network = nn.Sequential(layer(4, 3)).eval()
    before = network[0].weight.clone()
    assert writes_weights(borrowed(network), torch.randn(5, 4)) is writes
    assert torch.equal(network[0].weight, before)


def test_a_network_that_fails_counts_as_one_that_writes() -> None:
    assert writes_weights(net(), torch.randn(2, 7))


def test_writing_is_noticed_in_inference_mode() -> None:
    class Inferring(Clamped):
        @torch.inference_mode()
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)

    assert writes_weights(Inferring(4, 3).eval(), torch.randn(2, 4))
