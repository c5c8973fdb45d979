"""Networks whose channels go together: plain, residual, concatenated, each small enough to enumerate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tiny import cnn, lively, mlp, network_task
from torch import Tensor, nn
from torch.nn import functional

from qubopress import problems
from qubopress.problems import Task
from qubopress.problems.pruning.groups import Groups

__all__ = ["IMAGE", "denoising", "each_network", "half", "task_of"]


class Tangled(nn.Module):
    """Registered against its running order, one ReLU for all layers, a functional one, inplace at that."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.norm2, self.norm1 = nn.Linear(2, 3), nn.BatchNorm2d(2), nn.BatchNorm2d(4)
        self.conv2, self.relu, self.conv1 = nn.Conv2d(4, 2, 2), nn.ReLU(inplace=True), nn.Conv2d(1, 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm1(self.conv1(x)))
        x = self.relu(self.norm2(self.conv2(x)))
        return self.head(functional.relu(x).mean(dim=(2, 3)))


class Residual(nn.Module):
    """Two layers make one group by an addition; a third of its own reads and is flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.relu1 = nn.Conv2d(1, 3, 3, padding=1), nn.ReLU()
        self.two, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.three, self.head = nn.Conv2d(3, 2, 2, stride=2, bias=False), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.one(x))
        x = torch.relu(x + self.norm(self.two(x)))
        return self.head(torch.relu(self.three(x)).flatten(1))


class Joined(nn.Module):
    """Two layers whose outputs are concatenated for one taker, beside the image itself."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(1, 3, 1)
        self.both, self.head = nn.Conv2d(6, 2, 2), nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        parts = torch.relu(self.left(x)), x, torch.tanh(self.right(x))
        return self.head(torch.relu(self.both(torch.cat(parts, dim=1))).mean(dim=(2, 3)))


IMAGE = (1, 4, 4)
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "dense": (lambda: mlp(5, 6, 4, 3), (5,)),
    "conv": (cnn, IMAGE),
    "tangled": (Tangled, IMAGE),
    "residual": (Residual, IMAGE),
    "joined": (Joined, IMAGE),
}
each_network = pytest.mark.parametrize("kind", NETWORKS)


def task_of(kind: str, *, double: bool = False) -> Task:
    build, shape = NETWORKS[kind]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        network = lively(build())
    return network_task(network.double() if double else network, *shape)


def denoising() -> Task:
    """Images in, images of the same shape out."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 1, 3, padding=1))
    x = np.random.default_rng(0).standard_normal((12, 1, 4, 4)).astype(np.float32)
    return problems.own_task(network, (x, 0.5 * x))


def half(groups: Groups) -> np.ndarray:
    """Every second channel of each group."""
    x = np.zeros(groups.total, np.int8)
    for span in groups.spans():
        x[span][::2] = 1
    return x
