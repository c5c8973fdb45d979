"""What a network costs to store and to run."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from qubopress.problems import InputError
from qubopress.problems.layers.costs import Costs, costs


def test_a_dense_layer_multiplies_once_a_weight() -> None:
    network = nn.Sequential(nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 2, bias=False)).eval()
    assert costs(network, torch.zeros(4, 5)) == Costs(weights=21, biases=3, products=21)


def test_a_convolution_multiplies_at_every_position_of_its_group() -> None:
    network = nn.Conv2d(4, 6, 3, groups=2, stride=2, padding=1).eval()
    found = costs(network, torch.zeros(1, 4, 8, 8))
    assert (found.weights, found.biases) == (6 * 2 * 9, 6)
    assert found.products == 6 * 4 * 4 * 2 * 9


def test_a_layer_that_runs_twice_is_stored_once_and_multiplies_twice() -> None:
    layer = nn.Linear(3, 3)
    assert costs(nn.Sequential(layer, layer).eval(), torch.zeros(1, 3)) == Costs(9, 3, 18)


def test_bits_shrink_the_weights_and_leave_the_biases() -> None:
    found = Costs(weights=80, biases=10, products=100)
    assert found.bytes() == 360
    assert found.bytes(4) == 80
    assert found.nanojoules() == pytest.approx(100 * 4.6 / 1000)
    assert found.nanojoules(8) == pytest.approx(100 * 0.3 / 1000)
    assert found.nanojoules(4) == pytest.approx(100 * 0.2 / 1000)


def test_energy_beyond_eight_bits_is_refused() -> None:
    with pytest.raises(InputError, match=r"bits must be an integer in \[1, 8\], got 16"):
        Costs(1, 1, 1).nanojoules(16)
