"""Groups whose channels do not go alike masked and cut are found among others, each with its reason."""

from __future__ import annotations

import pytest
import torch
from grouped import masks
from tiny import drawn, one_thread, replay
from torch import Tensor, nn

from qubopress.problems import InputError, Task, own_task
from qubopress.problems.layers.samples import Batch, Samples
from qubopress.problems.pruning import trial
from qubopress.problems.pruning.coupling import Groups, find
from qubopress.problems.pruning.groups import prunable
from qubopress.problems.pruning.passes import runs
from qubopress.problems.pruning.surgery import mask, shrink
from qubopress.problems.pruning.trial import few, refusal, sifted

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


class Chain(nn.Module):
    """Hidden layers each with what follows it."""

    def __init__(self, *between: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in between)
        self.between, self.last = nn.ModuleList(between), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        for layer, after in zip(self.layers, self.between, strict=True):
            x = after(layer(x))
        return self.last(x)


class Shaped(nn.Module):
    """Counts on four units."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x.view(-1, 2, 2)).view(-1, 4)


class Weighted(nn.Module):
    """Sees the mean of all units, which a unit less changes."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x - x.mean(dim=1, keepdim=True))


def samples() -> Tensor:
    return torch.randn(16, 4, generator=torch.Generator().manual_seed(0))


def task_of(*between: nn.Module) -> Task:
    network = drawn(lambda: Chain(*between)).double()
    return own_task(network, (samples().double(), torch.arange(16) % 2))


def untried(task: Task) -> Groups:
    network = task.copy()
    return find(network, runs(network, task.inputs), task.inputs[:1])


@pytest.mark.parametrize("odd", [nn.Sigmoid(), nn.Softplus(), Shaped(), Weighted()], ids=type)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_the_one_group_that_means_something_once_it_is_zero_is_left(odd: nn.Module, place: int) -> None:
    between: list[nn.Module] = [nn.ReLU() for _ in range(5)]
    between[place] = odd
    task = task_of(*between)
    groups = sifted(task, untried(task))
    name = f"layers.{place}"
    assert name not in groups.names
    assert len(groups.groups) == 4
    if name in untried(task).names:
        assert groups.left[name] == refusal(name)


def test_several_such_groups_are_left_and_the_others_go_alike() -> None:
    task = task_of(nn.Sigmoid(), nn.ReLU(), Weighted(), nn.ReLU(), nn.Sigmoid(), nn.Tanh())
    groups = sifted(task, untried(task))
    assert groups.names == ("layers.1", "layers.3", "layers.5")
    assert set(groups.left) >= {"layers.0", "layers.2", "layers.4"}
    for x in masks(groups):
        masked = task.copy()
        mask(masked, groups, x, original=task.network)
        with torch.no_grad():
            torch.testing.assert_close(shrink(task.network, groups, x)(task.inputs), masked(task.inputs))


def test_groups_that_all_go_alike_are_the_very_groups() -> None:
    task = task_of(nn.ReLU(), nn.GELU())
    groups = untried(task)
    assert sifted(task, groups) is groups


class Drawing(nn.Module):
    """Draws which inputs to look at, whoever calls it, as a masked autoencoder does."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x * (torch.rand(x.shape[0], 1, dtype=x.dtype) < 0.5))


def test_a_network_that_draws_random_numbers_is_tried_with_the_same_ones() -> None:
    assert prunable(task_of(Drawing(), nn.ReLU())).names == ("layers.0", "layers.1")


class Paired(nn.Module):
    """Two layers, either of which may lose units, though not both: what reads them counts what is left."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.first, self.second = nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        one, two = torch.relu(self.one(x)), torch.relu(self.two(x))
        both = one.shape[1] < 4 and two.shape[1] < 4
        return (self.first(one) + self.second(two)) * (2.0 if both else 1.0)


def test_of_groups_that_cannot_go_together_the_first_is_kept() -> None:
    task = own_task(drawn(Paired).double(), (samples().double(), torch.arange(16) % 2))
    groups = sifted(task, untried(task))
    assert groups.names == ("one",)
    assert groups.left["two"] == refusal("two")


def test_a_network_that_puts_out_nan_is_refused() -> None:
    task = task_of(nn.ReLU())
    groups = untried(task)
    with torch.no_grad():
        task.network.last.weight[0, 0] = torch.nan
    with pytest.raises(InputError, match="must put out finite numbers on the calibration data"):
        sifted(task, groups)


def test_a_network_that_takes_one_sample_alone_is_refused_in_one_line() -> None:
    class Single(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x.view(1, 4))

    task = task_of(nn.ReLU())
    groups = untried(task)
    task.network.between[0] = Single()
    with pytest.raises(InputError, match="must run on 8 samples of the calibration data at once"):
        sifted(task, groups)


def test_few_samples_are_tried_fewer_of_large_images_and_of_batches_one() -> None:
    assert len(few(torch.zeros(100, 4))) == trial.TRIED
    assert len(few(torch.zeros(100, 3, 300, 300))) == 1
    assert len(few(torch.zeros(5, 3, 224, 224))) == 3
    batches = Samples([Batch((torch.zeros(3, 2),), {}, 3), Batch((torch.zeros(9, 4),), {}, 9)])
    assert len(few(batches)) == 3


class Experts(nn.Module):
    """Each sample goes to one of three experts, the first one to the last."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 4)) for _ in range(3)
        )
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        place, y = (x[:, 0] * 7).long().remainder(3), x
        for number, expert in enumerate(self.experts):
            (rows,) = torch.where(place == number)
            if len(rows):
                y = y.index_add(0, rows, expert(x[rows]))
        return self.last(y)


@pytest.mark.parametrize("problem", ["l1", "taylor", "hybrid", "reconstruction"])
def test_experts_that_the_first_sample_does_not_ask_for_are_pruned_too(problem: str) -> None:
    task = own_task(drawn(Experts).double(), (samples().double(), torch.arange(16) % 2))
    groups = prunable(task)
    assert groups.names == ("experts.0.0", "experts.1.0", "experts.2.0")
    _, network = replay(problem, task, keep=0.5)
    assert sum(network.experts[place][0].out_features for place in range(3)) == 9
    with torch.no_grad():
        assert network(task.inputs).isfinite().all()


class Named(nn.Module):
    """Layers that are called by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.norm = nn.ConvTranspose1d(1, 6, 2), nn.BatchNorm1d(6)
        self.down, self.last = nn.ConvTranspose1d(6, 4, 2), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.down(input=torch.relu(self.norm(input=self.up(input=x[:, None]))))
        return self.last(input=torch.relu(y).mean(dim=2))


@pytest.mark.parametrize("capacity", ["filters", "parameters", "products"])
def test_layers_that_are_called_by_keyword_are_pruned_and_counted(capacity: str) -> None:
    task = own_task(drawn(Named), (samples(), torch.arange(16) % 2))
    for problem in ("taylor", "reconstruction"):
        _, network = replay(problem, task, keep=0.6, capacity=capacity)
        assert network.up.out_channels + network.down.out_channels < 10
