"""Networks whose layers share channels, and the masks that cut them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from tiny import lively, network_task
from torch import Tensor, nn
from torch.nn import functional

from qubopress.problems import Task
from qubopress.problems.pruning.groups import Groups

__all__ = ["IMAGE", "OURS", "SHARING", "Net", "conv", "head", "masks", "sharing_task"]

IMAGE = (2, 6, 6)

OURS = {
    "digits-cnn": (1, 8, 8),
    "digits-resnet": (1, 8, 8),
    "digits-wide": (1, 8, 8),
    "fashion-cnn": (1, 28, 28),
    "fashion-resnet": (1, 28, 28),
}
"""Registered networks with channels to prune, each with the shape of its input."""


class Net(nn.Module):
    """Layers by name, and a function of them and the input."""

    def __init__(self, run: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.run = nn.ModuleDict(layers), run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self.layers, x)


def conv(before: int, after: int, **options) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, **options)


def head(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3))


def residual() -> Net:
    return Net(
        lambda f, x: f["head"](functional.relu(f["norm"](f["b"](f["a"](x).relu())) + f["side"](x))),
        a=conv(2, 5),
        b=conv(5, 4),
        norm=nn.BatchNorm2d(4),
        side=conv(2, 4),
        head=head(4),
    )


def identity_residual() -> Net:
    return Net(
        lambda f, x: f["head"]((h := f["stem"](x)) + f["norm2"](f["c2"](f["relu1"](f["norm1"](f["c1"](h)))))),
        stem=conv(2, 4),
        c1=conv(4, 3, bias=False),
        norm1=nn.BatchNorm2d(3),
        relu1=nn.ReLU(inplace=True),
        c2=conv(3, 4, bias=False),
        norm2=nn.BatchNorm2d(4),
        head=head(4),
    )


def pre_activation() -> Net:
    """A norm with a shift behind the sum, which is read before it too."""

    def run(f, x):
        h = f["stem"](x)
        h = h + f["c"](f["norm1"](h).relu())
        return f["head"](f["norm2"](h).relu())

    norms = {"norm1": nn.BatchNorm2d(4), "norm2": nn.BatchNorm2d(4)}
    return Net(run, stem=conv(2, 4), c=conv(4, 4), head=head(4), **norms)


def concatenation() -> Net:
    return Net(
        lambda f, x: f["head"](f["last"](torch.cat([f["a"](x).relu(), f["b"](x)], dim=1))),
        a=conv(2, 3),
        b=conv(2, 4),
        last=conv(7, 3),
        head=head(3),
    )


def dense_block() -> Net:
    """A norm, then a depthwise convolution with a bias, over concatenated channels."""

    def run(f, x):
        h = f["a"](x).relu()
        h = torch.cat([h, f["b"](h)], dim=1)
        return f["head"](f["last"](f["depth"](f["norm"](h).relu())))

    parts = {"norm": nn.BatchNorm2d(7), "depth": conv(7, 7, groups=7), "last": conv(7, 3), "head": head(3)}
    return Net(run, a=conv(2, 3), b=conv(3, 4), **parts)


def twice() -> Net:
    """The same channels in two places of one layer."""
    return Net(
        lambda f, x: f["head"](f["last"](torch.cat([h := f["a"](x), h.relu()], dim=1))),
        a=conv(2, 3),
        last=conv(6, 3),
        head=head(3),
    )


def separable() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 4, 1),
        nn.BatchNorm2d(4),
        nn.ReLU6(),
        conv(4, 4, groups=4, stride=2),
        nn.BatchNorm2d(4),
        nn.Hardswish(),
        nn.Conv2d(4, 5, 1),
        head(5),
    )


def strided() -> nn.Sequential:
    parts = (conv(2, 4, stride=2), nn.BatchNorm2d(4), nn.SiLU(), conv(4, 3, stride=2, bias=False), nn.Tanh())
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(12, 3))


def half_unet() -> Net:
    """Scales brought to one size and added."""

    def run(f, x):
        h = f["a"](x).relu()
        low = f["b"](functional.max_pool2d(h, 2)).relu()
        return f["head"](f["last"](h + functional.interpolate(low, scale_factor=2, mode="bilinear")))

    return Net(run, a=conv(2, 4), b=conv(4, 4), last=conv(4, 3), head=head(3))


def unet() -> Net:
    """A transposed convolution up, and a concatenation."""

    def run(f, x):
        h = f["a"](x).relu()
        up = f["up"](f["down"](h).relu())
        return f["head"](f["last"](torch.cat([up, h], dim=1)))

    up = nn.ConvTranspose2d(5, 3, 2, stride=2)
    return Net(run, a=conv(2, 4), down=conv(4, 5, stride=2), up=up, last=conv(7, 3), head=head(3))


def with_inputs() -> Net:
    """The inputs among concatenated channels, and added to others."""

    def run(f, x):
        h = f["b"](torch.cat([x, f["a"](x).relu()], dim=1))
        return f["head"](f["last"](f["c"](h.relu()) + x))

    return Net(run, a=conv(2, 3), b=conv(5, 4), c=conv(4, 2), last=conv(2, 3), head=head(3))


def squeeze() -> Net:
    """Channels that are scaled by a sigmoid of their means."""

    def run(f, x):
        h = f["a"](x).relu()
        gate = f["up"](f["down"](h.mean(dim=(2, 3))).relu()).sigmoid()
        return f["head"](f["last"](h * gate[:, :, None, None]))

    dense = {"down": nn.Linear(4, 2), "up": nn.Linear(2, 4)}
    return Net(run, a=conv(2, 4), last=conv(4, 3), head=head(3), **dense)


def slopes() -> nn.Sequential:
    norm = nn.InstanceNorm2d(4, affine=True)
    return nn.Sequential(conv(2, 4), norm, nn.PReLU(4), conv(4, 3), nn.PReLU(), head(3))


def denoiser() -> Net:
    """Image to image; what it puts out is taken from the input, and one layer has a single channel."""
    return Net(
        lambda f, x: x - f["out"](f["b"](f["a"](x).relu()) * f["one"](x).relu()),
        a=conv(2, 4),
        b=conv(4, 3),
        one=conv(2, 1),
        out=conv(3, 2),
    )


SHARING = {
    make.__name__: make
    for make in (
        residual,
        identity_residual,
        pre_activation,
        concatenation,
        dense_block,
        twice,
        separable,
        strided,
        half_unet,
        unet,
        with_inputs,
        squeeze,
        slopes,
        denoiser,
    )
}


def sharing_task(
    make: Callable[[], nn.Module], *shape: int, dtype: torch.dtype = torch.float32, samples: int = 16
) -> Task:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return network_task(lively(make()).to(dtype), *(shape or IMAGE), samples=samples)


def masks(groups: Groups, *, count: int = 6, seed: int = 4) -> np.ndarray:
    """Random x that keep at least one channel of each group; the first keeps all, the second just those."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, (count, groups.total)).astype(np.int8)
    x[0], x[1] = 1, 0
    for span in groups.spans():
        x[:, rng.integers(span.start, span.stop)] = 1
    return x
