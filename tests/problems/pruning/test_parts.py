"""Where Torch-Pruning cannot trace a network, the parts of it that it can trace are pruned."""

from __future__ import annotations

import pytest
import torch
from grouped import masks
from tiny import one_thread
from torch import Tensor, nn

from qubopress.problems import InputError, own_task
from qubopress.problems.pruning.coupling import STAYING
from qubopress.problems.pruning.groups import prunable
from qubopress.problems.pruning.parts import traced
from qubopress.problems.pruning.surgery import mask, shrink
from qubopress.problems.pruning.tracing import trace

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


class Split(nn.Module):
    """Turns a half of what a projection puts out by its own angles, as latent attention does."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        turned, kept = self.project(x).split([4, 4], dim=1)
        return torch.cat([turned.sin() + turned.cos(), kept.tanh()], dim=1)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.split, self.up, self.down = Split(), nn.Linear(8, 6), nn.Linear(6, 8)
        self.inside = nn.Sequential(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 8))

    def forward(self, x: Tensor, *, twice: bool) -> Tensor:
        x = x + self.split(x)
        x = x + self.down(self.up(x).relu())
        return x + self.inside(x) * (2 if twice else 1)


class Blocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x, twice=True)
        return self.last(x)


def blocks() -> tuple[nn.Module, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Blocks().eval(), torch.randn(16, 4)


def test_the_largest_modules_that_can_be_traced_are_the_parts() -> None:
    network, x = blocks()
    with pytest.raises(InputError, match="torch-pruning must be able to trace the network"):
        trace(network, x[:1])
    assert [part.name for part in traced(network, x[:1])] == ["blocks.0.inside", "blocks.1.inside"]
    (whole,) = traced(network.blocks[0].inside, torch.zeros(1, 8))
    assert whole.name == ""


def test_groups_of_the_parts_go_and_all_other_layers_are_named() -> None:
    network, x = blocks()
    task = own_task(network, (x, torch.arange(16) % 3))
    groups = prunable(task)
    assert groups.names == ("blocks.0.inside.0", "blocks.1.inside.0")
    layers = {name for name, one in network.named_modules() if isinstance(one, nn.Linear)}
    assert groups.left.keys() == layers - set(groups.names)
    assert set(groups.left.values()) == {STAYING["traced"]}
    for kept in masks(groups, count=4):
        masked = task.copy()
        mask(masked, groups, kept, original=task.network)
        torch.testing.assert_close(shrink(task.network, groups, kept)(x), masked(x), rtol=1e-5, atol=1e-6)


def test_a_network_without_such_a_part_is_refused_for_what_stops_the_trace() -> None:
    network = nn.Sequential(nn.Linear(4, 8), Split(), nn.Linear(8, 3)).eval()
    with pytest.raises(InputError, match="torch-pruning must be able to trace the network, got IndexError"):
        prunable(own_task(network, (torch.randn(16, 4), torch.arange(16) % 3)))
