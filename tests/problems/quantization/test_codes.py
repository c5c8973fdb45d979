"""Codes: what a rounded network knows of its integers, and that they are its weights."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from qubopress import suites
from qubopress.problems import InputError
from qubopress.problems.layers.uses import Place, Use
from qubopress.problems.quantization.codes import coded, codes_of
from qubopress.problems.quantization.grids import grid_for


class Attending(nn.Module):
    """A table that is tied to a head, an attention with packed projections, and a recurrence."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.recurrence = nn.GRU(6, 6, batch_first=True)
        self.head = nn.Linear(6, 7, bias=False)
        self.head.weight = self.table.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.table(x)
        return self.head(self.recurrence(self.attention(h, h, h)[0])[0])


def convolutions() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.ConvTranspose2d(8, 6, 2, groups=2),
        nn.Flatten(),
        nn.Linear(150, 3),
    ).eval()


IMAGES = torch.linspace(-9, 9, 8 * 4 * 64).sin().reshape(8, 4, 8, 8)

CASES = [
    pytest.param(Attending, torch.arange(7).repeat(4, 1), id="attention"),
    pytest.param(convolutions, IMAGES, id="convolutions"),
]


def made(model: Callable[[], nn.Module], x: torch.Tensor, **wishes: object) -> nn.Module:
    torch.manual_seed(0)
    return suites.compress(model(), x, **wishes)  # type: ignore[arg-type]  # the formulation's own


@pytest.mark.parametrize(("model", "x"), CASES)
@pytest.mark.parametrize("grid", ["code", "minmax", "mse"])
@pytest.mark.parametrize("bits", [1, 3, 8])
def test_the_weights_of_a_rounded_network_are_what_its_codes_say_to_the_last_bit(
    model: Callable[[], nn.Module], x: torch.Tensor, grid: str, bits: int
) -> None:
    network = made(model, x, bits=bits, grid=grid, embeddings=bits)
    codes = codes_of(network)
    matrices = {name for name, one in network.named_parameters() if one.dim() > 1}
    assert codes.keys() == matrices
    for one in codes.values():
        weights = np.asarray(one.use.tensor(network).detach().numpy())
        assert np.array_equal(weights, one.matrix())
        assert one.low <= one.codes.min() <= one.codes.max() < one.low + 2**one.bits


@pytest.mark.parametrize(
    "wishes",
    [
        {"group": 8, "grid": "minmax", "bias": "float"},
        {"group": 16, "grid": "fit", "bits": 3, "bias": "corrected"},
        {"group": 5, "grid": "code", "levels": "all", "bias": "float"},
        {"grid": "fit", "bits": 2, "keep_zeros": True},
    ],
)
def test_groups_and_fitted_steps_have_codes_too(wishes: dict[str, object]) -> None:
    network = made(convolutions, IMAGES, **wishes)
    codes = codes_of(network)
    assert {name for name, one in network.named_parameters() if one.dim() > 1} == codes.keys()
    for one in codes.values():
        inputs, group = one.codes.shape[1], wishes.get("group", 0)
        assert one.group == group
        assert one.step.shape == one.zero.shape == (len(one.codes), -(-inputs // (one.group or inputs)))
        assert np.array_equal(np.asarray(one.use.tensor(network).detach().numpy()), one.matrix())


@pytest.mark.parametrize(("model", "x"), CASES)
def test_copies_and_pickles_and_other_types_keep_the_codes(
    model: Callable[[], nn.Module], x: torch.Tensor
) -> None:
    network = made(model, x)
    held = codes_of(network)
    assert all(name in codes_of(pickle.loads(pickle.dumps(network))) for name in held)
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        copied = copy.deepcopy(network).to(dtype)
        assert all(np.array_equal(held[name].codes, one.codes) for name, one in codes_of(copied).items())
    state = io.BytesIO()
    torch.save(network.state_dict(), state)
    state.seek(0)
    assert torch.load(state, weights_only=True).keys() == network.state_dict().keys()


def test_weights_that_changed_since_are_named() -> None:
    network = made(convolutions, IMAGES)
    with torch.no_grad():
        network.get_parameter("5.weight").add_(1.0)
    with pytest.raises(InputError, match=r"must be what their codes say, got others in 5\.weight"):
        codes_of(network)


def test_a_second_compression_keeps_the_codes_that_still_hold() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    x = torch.randn(40, 6)
    both = suites.compress(suites.compress(plain, x, only=["0"]), x, only=["2"], bits=2)
    assert {name: one.bits for name, one in codes_of(both).items()} == {"0.weight": 4, "2.weight": 2}
    narrow = suites.compress(both, (x, torch.randint(3, (40,))), problem="l1", keep=0.6)
    assert codes_of(narrow) == {}


def test_unsigned_codes_of_eight_bits_are_kept_minus_128() -> None:
    weights = np.linspace(0.0, 1.0, 256)[None]
    use = Use("layer", Place("layer.weight", (1, 256), (256, 1), 0), "linear")
    grid = grid_for(weights, bits=8, grid="minmax", per="channel")
    codes = coded(use, grid, grid.integers(weights), bits=8)
    assert codes.codes.tolist() == [[*range(-128, 128)]]
    assert (codes.low, codes.zero.tolist()) == (-128, [[-128]])
    assert codes.unsigned.tolist() == [[*range(256)]]
    assert np.allclose(codes.matrix(), weights, rtol=1e-6)


def test_codes_outside_the_grid_are_refused() -> None:
    use = Use("layer", Place("layer.weight", (1, 2), (2, 1), 0), "linear")
    grid = grid_for(np.ones((1, 2)), bits=2, grid="code", per="channel")
    with pytest.raises(InputError, match=r"codes of layer must lie in \[-2, 1\]; clip them first"):
        coded(use, grid, np.array([[0.0, 2.0]]), bits=2)
