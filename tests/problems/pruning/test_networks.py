"""Blocks of well-known networks: what can go goes, masked and cut alike, and what stays is named."""

from __future__ import annotations

import pytest
import torch
from grouped import Net, conv, head, masks, sharing_task
from tiny import one_thread, replay
from torch import Tensor, nn
from torch.nn import functional

from qubopress.problems.pruning.groups import prunable
from qubopress.problems.pruning.surgery import mask, shrink

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


class Inverted(nn.Module):
    """MobileNetV3's block: expand, depthwise, squeeze and excite, project, add."""

    def __init__(self, channels: int, inside: int) -> None:
        super().__init__()
        self.expand, self.norm1 = nn.Conv2d(channels, inside, 1, bias=False), nn.BatchNorm2d(inside)
        self.depth = nn.Conv2d(inside, inside, 3, padding=1, groups=inside, bias=False)
        self.norm2, self.swish = nn.BatchNorm2d(inside), nn.Hardswish()
        self.down, self.up = nn.Conv2d(inside, 4, 1), nn.Conv2d(4, inside, 1)
        self.project, self.norm3 = nn.Conv2d(inside, channels, 1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm2(self.depth(self.swish(self.norm1(self.expand(x)))))
        gate = functional.hardsigmoid(self.up(self.down(h.mean(dim=(2, 3), keepdim=True)).relu()))
        return x + self.norm3(self.project(self.swish(h * gate)))


class Shuffled(nn.Module):
    """ShuffleNetV2's block: half of the channels pass, the others are worked on, then both are mixed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.one, self.norm1 = nn.Conv2d(half, half, 1, bias=False), nn.BatchNorm2d(half)
        self.depth = nn.Conv2d(half, half, 3, padding=1, groups=half)
        self.two, self.norm2 = nn.Conv2d(half, half, 1, bias=False), nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=1)
        right = self.norm2(self.two(self.depth(self.norm1(self.one(right)).relu()))).relu()
        both = torch.stack([left, right], dim=2)
        return both.flatten(1, 2)


class Fire(nn.Module):
    """SqueezeNet's block."""

    def __init__(self, channels: int, narrow: int, wide: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, narrow, 1)
        self.one, self.three = nn.Conv2d(narrow, wide, 1), nn.Conv2d(narrow, wide, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.squeeze(x).relu()
        return torch.cat([self.one(h).relu(), self.three(h).relu()], dim=1)


class Dense(nn.Module):
    """DenseNet's layer: what it makes is put beside what it reads."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.one = nn.BatchNorm2d(channels), nn.Conv2d(channels, 8, 1, bias=False)
        self.norm2, self.two = nn.BatchNorm2d(8), conv(8, growth, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.two(self.norm2(self.one(self.norm1(x).relu())).relu())], dim=1)


def mobile() -> nn.Module:
    return nn.Sequential(
        conv(2, 6), nn.BatchNorm2d(6), nn.Hardswish(), Inverted(6, 12), Inverted(6, 10), head(6)
    )


def shuffle() -> nn.Module:
    return nn.Sequential(conv(2, 8), nn.ReLU(), Shuffled(8), Shuffled(8), conv(8, 6), nn.ReLU(), head(6))


def squeeze() -> nn.Module:
    return nn.Sequential(conv(2, 6), nn.ReLU(), Fire(6, 4, 5), Fire(10, 4, 6), conv(12, 4), head(4))


def dense() -> nn.Module:
    layers = (Dense(6, 4), Dense(10, 4), nn.BatchNorm2d(14), nn.ReLU(), nn.Conv2d(14, 7, 1), nn.AvgPool2d(2))
    return nn.Sequential(conv(2, 6), *layers, Dense(7, 4), nn.BatchNorm2d(11), nn.ReLU(), head(11))


def u_net() -> nn.Module:
    def run(f, x):
        high = f["a2"](f["a1"](x).relu()).relu()
        low = f["b2"](f["b1"](functional.max_pool2d(high, 2)).relu()).relu()
        h = f["c"](torch.cat([f["up"](low), high], dim=1)).relu()
        return f["head"](f["out"](h))

    up = nn.ConvTranspose2d(6, 4, 2, stride=2)
    parts = {"b1": conv(4, 6), "b2": conv(6, 6), "c": conv(8, 5), "out": conv(5, 4), "head": head(4)}
    return Net(run, a1=conv(2, 4), a2=conv(4, 4), up=up, **parts)


NETWORKS = {
    "mobile": (mobile, (6, 12, 4, 10, 4)),
    "shuffle": (shuffle, (4, 4, 6)),
    "squeeze": (squeeze, (6, 4, 5, 5, 4, 6, 6, 4)),
    "dense": (dense, (6, 8, 4, 8, 4, 7, 8, 4)),
    "u_net": (u_net, (4, 4, 6, 6, 4, 5, 4)),
}
each_kind = pytest.mark.parametrize("kind", NETWORKS)


@each_kind
def test_groups_of_well_known_blocks_are_found_and_go_alike(kind: str) -> None:
    build, widths = NETWORKS[kind]
    task = sharing_task(build)
    groups = prunable(task)
    assert groups.widths == widths
    for x in masks(groups, count=4):
        masked = task.copy()
        mask(masked, groups, x, original=task.network)
        with torch.no_grad():
            expected = masked(task.inputs)
            found = shrink(task.network, groups, x)(task.inputs)
        assert float((found - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


@each_kind
@pytest.mark.parametrize("problem", ["hybrid", "l1"])
def test_a_quarter_of_their_channels_can_go(kind: str, problem: str) -> None:
    task = sharing_task(NETWORKS[kind][0])
    _, network = replay(problem, task, keep=0.75)
    total = prunable(task).total
    assert prunable(sharing_task(lambda: network)).total >= round(0.75 * total) - len(NETWORKS[kind][1])
    sizes = [sum(p.numel() for p in one.parameters()) for one in (network, task.network)]
    assert sizes[0] < sizes[1]
