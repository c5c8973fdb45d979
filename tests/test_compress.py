from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from qubopress import suites
from qubopress.problems import InputError


class Dense(nn.Module):
    """No Sequential, a functional ReLU, and a layer declared in another order than it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3, bias=False)
        self.body = nn.Linear(5, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(functional.relu(self.body(x)))


class Images(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        x = torch.relu(self.second(x))
        return self.head(torch.flatten(x, 1))


def seeded(kind: type[nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return kind()


def pair(*shape: int, samples: int = 40) -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(5)
    return torch.randn(samples, *shape, generator=drawn), torch.arange(samples) % 3


def on_grid(weight: Tensor, bits: int) -> bool:
    """Whether all values are one offset plus whole steps, with at most 2^bits levels in use."""
    values = torch.unique(weight.double())
    steps = (values - values[0]) / (values[1:] - values[:-1]).min()
    return len(values) <= 2**bits and bool(torch.allclose(steps, steps.round(), atol=1e-3))


@pytest.mark.parametrize(
    ("kind", "shape"), [(Dense, (5,)), (Images, (1, 4, 4))], ids=["dense", "convolutional"]
)
@pytest.mark.parametrize("loader", [False, True], ids=["pair", "loader"])
def test_the_weights_come_to_lie_on_the_grid(
    kind: type[nn.Module], shape: tuple[int, ...], loader: bool
) -> None:
    model, (x, y) = seeded(kind).train(), pair(*shape)
    before = copy.deepcopy(model.state_dict())
    data: Any = DataLoader(TensorDataset(x, y), batch_size=16) if loader else (x, y)
    smaller = suites.compress(model, data, bits=3)
    assert type(smaller) is kind
    assert not smaller.training
    for name, parameter in smaller.named_parameters():
        if name.endswith("weight"):
            assert on_grid(parameter, 3), name
            assert not torch.equal(parameter, before[name])
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.no_grad():
        assert torch.isfinite(smaller(x)).all()


def test_a_pair_and_a_loader_of_it_give_the_same_network() -> None:
    model, (x, y) = seeded(Dense), pair(5)
    one = suites.compress(model, (x.numpy(), y.numpy()), bits=2)
    two = suites.compress(model, DataLoader(TensorDataset(x, y), batch_size=7), bits=2)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_a_better_solver_comes_closer_to_the_outputs() -> None:
    model, (x, y) = seeded(Dense), pair(5, samples=200)
    x = x.cumsum(dim=1)  # rounding weight by weight is best only where inputs do not correlate
    errors = {}
    for solver in ("round-to-nearest", "nearest-plane"):
        smaller = suites.compress(model, (x, y), bits=2, solver=solver)
        with torch.no_grad():
            errors[solver] = float(((smaller.body(x) - model.body(x)) ** 2).mean())
    assert errors["nearest-plane"] < errors["round-to-nearest"]


def test_more_bits_are_closer() -> None:
    model, (x, y) = seeded(Dense), pair(5)
    with torch.no_grad():
        errors = [
            float((suites.compress(model, (x, y), bits=bits)(x) - model(x)).abs().max()) for bits in (2, 4, 8)
        ]
    assert errors[0] > errors[1] > errors[2]


def test_a_refinement_has_a_solver_and_a_budget_of_its_own() -> None:
    model, data = seeded(Images), pair(1, 4, 4)
    smaller = suites.compress(
        model, data, problem="hybrid", solver="swap", keep=0.5, refine=4, refiner="random", evaluations=6
    )
    assert isinstance(smaller, Images)


def test_the_seed_decides() -> None:
    model, data = seeded(Dense), pair(5)

    def weights(seed: int) -> Tensor:
        found = suites.compress(model, data, bits=2, solver="random", seed=seed)
        return torch.cat([parameter.flatten() for parameter in found.parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def with_nan() -> nn.Module:
    model = seeded(Dense)
    with torch.no_grad():
        next(model.parameters())[0, 0] = float("nan")
    return model


EMPTY = DataLoader(TensorDataset(torch.zeros(0, 5), torch.zeros(0)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problem": "adaruond"}, "no problem named 'adaruond'; did you mean 'adaround'"),
        ({"solver": "nearest-plan"}, "no solver named 'nearest-plan'; did you mean 'nearest-plane'"),
        ({"refiner": "nobody"}, "no solver named 'nobody'"),
        ({"solver": "swap"}, "swap solves Capacity, got a Rounding"),
        ({"bits": 0}, "bits must .*got 0"),
        ({"bitz": 4}, "no parameter of adaround named 'bitz'; did you mean 'bits'"),
        ({"data": EMPTY}, "data must hold at least one sample, got none"),
        ({"data": (torch.zeros(0, 5), torch.zeros(0))}, "data must hold at least one sample, got none"),
        ({"data": pair(5)[0]}, "data must be a DataLoader of"),
        ({"data": (torch.zeros(3, 5), torch.zeros(2))}, "as many targets as inputs, got 3 and 2"),
        ({"data": (torch.full((3, 5), torch.nan), torch.zeros(3))}, "data must be finite"),
        ({"model": with_nan()}, "weights of layer .* must be finite"),
        ({"model": with_nan(), "problem": "taylor", "solver": "swap"}, "must"),
        ({"model": "a text"}, "model must be a torch.nn.Module, got str"),
        ({"model": nn.Flatten()}, "must have a Linear or Conv2d layer"),
        ({"samples": 0}, "samples must be an integer of at least 1, got 0"),
        ({"seconds": 0.0}, "seconds must be positive, got 0.0"),
    ],
)
def test_what_cannot_be_compressed_is_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    call = {"model": seeded(Dense), "data": pair(5), **changes}
    with pytest.raises(InputError, match=message) as caught:
        suites.compress(call.pop("model"), call.pop("data"), **call)
    assert "\n" not in str(caught.value)


def test_a_solver_that_declines_gives_no_network() -> None:
    model = nn.Linear(40, 2)
    with pytest.raises(InputError, match="exhaustive has no solution for stage 0: exhaustive takes at most"):
        suites.compress(model, pair(40), bits=2, solver="exhaustive")


def test_data_of_another_shape_than_the_network_takes_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="shape") as caught:
        suites.compress(seeded(Dense), pair(7), bits=2)
    assert "\n" not in str(caught.value)
