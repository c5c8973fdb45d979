"""A network run in eval mode, in batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from qubopress.problems.layers.running import as_tensor, channels_last, evaluating, outputs_of


def test_outputs_come_in_batches_without_gradients_and_are_those_of_all_at_once() -> None:
    layer, x = nn.Linear(3, 2).double(), torch.randn(7, 3, dtype=torch.float64)
    found = list(outputs_of(layer, x, batch=3))
    assert [len(one) for one in found] == [3, 3, 1]
    assert not any(one.requires_grad for one in found)
    torch.testing.assert_close(torch.cat(found), layer(x).detach())


def test_every_mode_is_as_it_was_though_the_network_fails() -> None:
    network = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)).train()
    network[1].eval()
    seen = []

    def run() -> None:
        with evaluating(network):
            seen.extend(part.training for part in network.modules())
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        run()
    assert seen == [False, False, False]
    assert [part.training for part in network.modules()] == [True, True, False]


def test_a_frozen_array_becomes_a_tensor_of_its_own_and_a_tensor_stays() -> None:
    array, tensor = np.ones(2), torch.ones(2)
    array.flags.writeable = False
    as_tensor(array)[0] = 5.0
    assert array.tolist() == [1.0, 1.0]
    assert as_tensor(tensor) is tensor


def test_channels_last_changes_the_layout_and_no_weight() -> None:
    network = nn.Conv2d(3, 4, 2)
    before = network.weight.detach().clone()
    assert channels_last(network) is network
    assert network.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(network.weight.detach(), before, rtol=0, atol=0)
