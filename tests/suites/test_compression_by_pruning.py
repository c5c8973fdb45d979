"""A caller's own module comes back with fewer channels, whatever the formulation and the way it is built."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import one_thread
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from qubopress import problems, suites
from qubopress.problems import InputError

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

FAMILY = ("hybrid", "joint-fisher", "l1", "reconstruction", "taylor")


class Own(nn.Module):
    """A residual block whose output is flattened into a hidden Linear; no Sequential, functional ReLUs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.one, self.norm = nn.Conv2d(8, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.two = nn.Conv2d(6, 8, 3, padding=1)
        self.hidden, self.head = nn.Linear(8 * 9, 12), nn.Linear(12, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.two(torch.relu(self.norm(self.one(x)))))
        x = torch.max_pool2d(x, 2).flatten(1)
        return self.head(torch.relu(self.hidden(x)))


class Denoiser(nn.Module):
    """Images in, images of the same shape out."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x - self.last(torch.relu(self.first(x)))


def seeded(kind: type[nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return kind()


def pair(samples: int = 96) -> tuple[Tensor, Tensor]:
    """Images (1, 6, 6) whose class is the third of the image that is brightest."""
    drawn = torch.Generator().manual_seed(5)
    images = torch.randn(samples, 1, 6, 6, generator=drawn)
    return images, images.reshape(samples, 3, 12).mean(dim=2).argmax(dim=1)


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("problem", FAMILY)
@pytest.mark.parametrize("loader", [False, True], ids=["pair", "loader"])
def test_a_smaller_module_comes_back_and_the_own_one_stays(problem: str, loader: bool) -> None:
    model, (x, y) = seeded(Own).train(), pair()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    data: Any = DataLoader(TensorDataset(x, y), batch_size=16) if loader else (x, y)
    smaller = suites.compress(model, data, problem=problem, keep=0.64, solver="swap")
    assert isinstance(smaller, Own)
    assert not smaller.training
    kept = smaller.stem.out_channels + smaller.one.out_channels + smaller.hidden.out_features
    assert kept == round(0.64 * (8 + 6 + 12))
    assert smaller.two.out_channels == smaller.stem.out_channels
    assert smaller.hidden.in_features == 9 * smaller.stem.out_channels
    assert size(smaller) < 0.7 * size(model)
    with torch.no_grad():
        assert smaller(x).shape == (len(x), 3)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_refitted_module_stays_closer_to_the_own_one() -> None:
    model, data = seeded(Own).eval(), pair()
    misses = {}
    for refit in (False, True):
        smaller = suites.compress(model, data, problem="reconstruction", keep=0.5, solver="swap", refit=refit)
        with torch.no_grad():
            misses[refit] = float((smaller(data[0]) - model(data[0])).pow(2).mean())
    assert misses[True] < misses[False]


@pytest.mark.parametrize("problem", FAMILY)
def test_a_denoiser_comes_back_with_fewer_channels(problem: str) -> None:
    images, _ = pair()
    model = seeded(Denoiser)
    smaller = suites.compress(model, (images, 0.5 * images), problem=problem, keep=0.5, solver="swap")
    assert isinstance(smaller, Denoiser)
    assert smaller.first.out_channels == 4
    with torch.no_grad():
        assert smaller(images).shape == images.shape


@pytest.mark.parametrize("capacity", ["parameters", "products"])
def test_the_budget_counts_what_it_is_told_to(capacity: str) -> None:
    model, data = seeded(Own), pair()
    smaller = suites.compress(
        model, data, problem="reconstruction", keep=0.6, capacity=capacity, solver="swap"
    )
    task = problems.own_task(model, data)
    unit = problems.get("reconstruction").measures
    assert unit is not None
    assert unit(task, smaller)[capacity] <= 0.62 * unit(task, model)[capacity]


def test_a_refinement_and_a_fine_tune_follow_where_they_are_wanted() -> None:
    model, data = seeded(Own), pair()
    smaller = suites.compress(
        model,
        data,
        problem="reconstruction",
        keep=0.64,
        solver="swap",
        refine=6,
        refiner="random",
        evaluations=8,
        finetune=2,
    )
    assert isinstance(smaller, Own)
    assert size(smaller) < 0.7 * size(model)


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.one(torch.relu(self.one(x)))))


@pytest.mark.parametrize(
    ("model", "data", "parameters", "message"),
    [
        (
            nn.Linear(36, 2),
            (torch.zeros(8, 36), torch.zeros(8).long()),
            {},
            "must have a layer before its last",
        ),
        (Shared(), (torch.zeros(8, 4), torch.zeros(8).long()), {}, "layer one must run once in a pass"),
        (Own(), (torch.zeros(0, 1, 6, 6), torch.zeros(0).long()), {}, "data must hold at least one sample"),
        (
            Own(),
            DataLoader(TensorDataset(torch.zeros(0, 1))),
            {},
            "data must hold at least one sample|must be a",
        ),
        (Own(), pair(), {"keep": 0}, r"keep must lie in \(0, 1\], got 0"),
        (
            Own(),
            pair(),
            {"keep": 0.05},
            "keep must leave 1 channel to each group, at least 0.115 of the filters",
        ),
        (Own(), pair(), {"capacity": "watts"}, "capacity must be one of filters, parameters, products"),
    ],
)
@pytest.mark.parametrize("problem", ["taylor", "reconstruction"])
def test_what_cannot_be_pruned_is_refused_in_one_line(
    problem: str, model: nn.Module, data: Any, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        suites.compress(model, data, problem=problem, solver="swap", **parameters)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.full((8,), 7), "targets must be classes"),
        (torch.zeros(8), "targets must have the shape of the outputs"),
    ],
)
@pytest.mark.parametrize("problem", ["taylor", "joint-fisher", "hybrid"])
def test_targets_that_do_not_fit_are_refused_by_what_reads_them(
    problem: str, targets: Tensor, message: str
) -> None:
    data = torch.zeros(8, 1, 6, 6), targets
    with pytest.raises(InputError, match=message):
        suites.compress(Own(), data, problem=problem, solver="swap")


class Padded(nn.Module):
    """An encoder whose fast path passes nested tensors from layer to layer, as a mask allows."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        padding = torch.zeros(x.shape[:2], dtype=torch.bool)
        padding[:, 4:] = True
        return self.head(self.encoder(x, src_key_padding_mask=padding).mean(1))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage")
def test_an_encoder_that_passes_nested_tensors_loses_hidden_units() -> None:
    torch.manual_seed(0)
    smaller = suites.compress(Padded().eval(), torch.randn(12, 6, 16), problem="l1", keep=0.75)
    assert [layer.linear1.out_features for layer in smaller.encoder.layers] == [24, 24]
