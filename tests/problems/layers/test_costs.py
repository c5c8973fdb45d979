"""What a network costs to store and to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from qubopress.problems import InputError
from qubopress.problems.layers.costs import Costs, costs
from qubopress.problems.networks.weights import load_network


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


# ---- what the function does, whatever its modules are called


def counted_by_torch(network: nn.Module, x: Tensor) -> int:
    """Multiply–accumulates by torch's own counter of floating-point operations."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    return counter.get_total_flops() // 2


class Chosen(nn.Module):
    """One of several things that a module returns, or one input in several places."""

    def __init__(self, module: nn.Module, call: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.module, self.call = module, call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(self.module, x)


class Bare(nn.Module):
    """Parameters without a layer: a masked one, a transposed one, a convolution's, a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.masked = nn.Parameter(torch.ones(6, 3))
        self.filters = nn.Parameter(torch.ones(5, 6, 2))
        self.last = nn.Parameter(torch.ones(5))
        self.register_buffer("mask", torch.ones(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.linear(x, self.masked * self.mask)
        x = functional.conv1d(x.transpose(1, 2), self.filters)
        return x.transpose(1, 2) @ self.last


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.depthwise, self.up = (
            nn.Conv2d(4, 4, 3, groups=4, stride=2),
            nn.ConvTranspose2d(4, 2, 2, stride=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.depthwise(self.norm(self.stem(x)).relu()))


class Scores(nn.Module):
    """Attention of one head in plain code."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(8, 4), nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return (self.query(x) @ self.key(x).transpose(1, 2)).softmax(2) @ self.value(x)


class Experts(nn.Module):
    """Each sample is multiplied with the matrix that it chooses."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.matrices = nn.Embedding(10, 4), nn.Parameter(torch.ones(3, 4, 5))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.table(x)
        return torch.bmm(tokens, self.matrices[x[:, 0] % 3])


def tied() -> nn.Module:
    model = nn.Sequential(nn.Embedding(10, 6), nn.Linear(6, 10, bias=False))
    model[1].weight = model[0].weight
    return model


AGREE = {
    "perceptron": (lambda: nn.Sequential(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3)), (1, 8), 55),
    "perceptron on tokens": (
        lambda: nn.Sequential(nn.Linear(8, 5), nn.GELU(), nn.Linear(5, 8)),
        (1, 6, 8),
        480,
    ),
    "convolutions": (Residual, (1, 3, 6, 6), 36 * 4 * 27 + 4 * 4 * 9 + 4 * 4 * 2 * 4),
    "GRU": (
        lambda: Chosen(nn.GRU(8, 16, batch_first=True), lambda gru, x: gru(x)[0]),
        (1, 5, 8),
        5 * 3 * 16 * (8 + 16),
    ),
    "transposed convolution of groups": (
        lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2),
        (1, 4, 5, 5),
        25 * 4 * 3 * 9,
    ),
}

DIFFER = {
    "attention runs as one kernel": (
        lambda: Chosen(nn.MultiheadAttention(32, 4, batch_first=True), lambda layer, x: layer(x, x, x)[0]),
        (1, 5, 32),
        5 * 4 * 32 * 32,
    ),
    "a transformer's layer runs as one kernel": (
        lambda: nn.TransformerEncoderLayer(32, 4, 64, batch_first=True),
        (1, 5, 32),
        5 * (4 * 32 * 32 + 2 * 32 * 64),
    ),
    "an LSTM runs as one kernel": (
        lambda: Chosen(
            nn.LSTM(8, 16, num_layers=2, bidirectional=True, batch_first=True), lambda lstm, x: lstm(x)[0]
        ),
        (1, 5, 8),
        5 * 2 * 4 * 16 * ((8 + 16) + (32 + 16)),
    ),
    "scores are no products with weights": (Scores, (1, 5, 8), 5 * 3 * 8 * 4),
    "a matrix times a vector": (Bare, (1, 4, 3), 4 * 18 + 3 * 5 * 12 + 3 * 5),
    "a bilinear layer": (lambda: Chosen(nn.Bilinear(3, 3, 5), lambda layer, x: layer(x, x)), (1, 3), 45),
}


@pytest.mark.parametrize("kind", AGREE)
def test_products_are_those_of_torchs_counter(kind: str) -> None:
    make, shape, products = AGREE[kind]
    network, x = make().eval(), torch.ones(shape)
    assert costs(network, x).products == counted_by_torch(network, x) == products


@pytest.mark.parametrize("kind", DIFFER)
def test_products_are_counted_where_torchs_counter_sees_other_ones(kind: str) -> None:
    make, shape, products = DIFFER[kind]
    network, x = make().eval(), torch.ones(shape)
    assert costs(network, x).products == products
    assert counted_by_torch(network, x) != products


def test_every_weight_of_attention_is_stored() -> None:
    attention = Chosen(nn.MultiheadAttention(32, 4, batch_first=True), lambda layer, x: layer(x, x, x)[0])
    found = costs(attention.eval(), torch.ones(1, 5, 32))
    assert (found.weights, found.biases) == (4 * 32 * 32, 4 * 32)


def test_a_matrix_that_is_table_and_head_is_stored_once_and_multiplies_as_head_alone() -> None:
    assert costs(tied().eval(), torch.ones(1, 7, dtype=torch.long)) == Costs(60, 0, 7 * 60)


def test_a_matrix_that_a_sample_chooses_multiplies_and_a_row_that_it_looks_up_does_not() -> None:
    x = torch.ones(1, 7, dtype=torch.long)
    assert costs(Experts().eval(), x) == Costs(40 + 60, 0, 7 * 20)


def test_a_batch_norm_is_no_cost_of_its_own_and_another_norm_is() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.GroupNorm(2, 4)).eval()
    assert costs(network, torch.ones(1, 3, 2, 2)) == Costs(12, 4 + 8, 48)


def test_a_layer_that_no_sample_reaches_is_stored_too() -> None:
    network = Chosen(nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 5)]), lambda layers, x: layers[0](x))
    assert costs(network.eval(), torch.ones(1, 3)) == Costs(6 + 15, 2 + 5, 6)


def test_counting_changes_nothing_global() -> None:
    before = torch.backends.mha.get_fastpath_enabled()
    costs(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True).eval(), torch.ones(1, 5, 32))
    assert torch.backends.mha.get_fastpath_enabled() is before


PUBLISHED = {
    "digits-cnn": ((1, 8, 8), (3784, 34, 80896)),
    "digits-generator": ((128,), (0, 0, 0)),
    "digits-generator-flat": ((64,), (0, 0, 0)),
    "digits-generator-neural": ((32,), (18432, 256, 18432)),
    "digits-generator-one": ((128,), (0, 0, 0)),
    "digits-generator-tanh": ((128,), (0, 0, 0)),
    "digits-generator-tuning": ((128,), (0, 0, 0)),
    "digits-mlp": ((1, 8, 8), (2368, 42, 2368)),
    "digits-resnet": ((1, 8, 8), (10728, 26, 283296)),
    "digits-softmax": ((1, 8, 8), (640, 10, 640)),
    "digits-wide": ((1, 8, 8), (81200, 510, 81200)),
    "fashion-cnn": ((1, 28, 28), (96160, 10, 18320512)),
    "fashion-cnn-tuning": ((1, 28, 28), (31952, 10, 4644416)),
    "fashion-mlp": ((1, 28, 28), (109184, 202, 109184)),
    "fashion-mlp50": ((1, 28, 28), (39700, 60, 39700)),
    "fashion-resnet": ((1, 28, 28), (10728, 26, 3468576)),
    "fashion-resnet-tuning": ((1, 28, 28), (6078, 22, 1961688)),
    "fashion-softmax": ((1, 28, 28), (7840, 10, 7840)),
    "photographs-denoiser": ((3, 32, 32), (47376, 3, 20146176)),
    "photographs-denoiser-small": ((3, 32, 32), (9432, 3, 5179392)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_costs_of_our_networks_are_those_in_the_published_tables(name: str) -> None:
    shape, found = PUBLISHED[name]
    assert costs(load_network(name), torch.zeros(1, *shape)) == Costs(*found)
