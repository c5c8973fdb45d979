"""What a multiplication takes at a time: rows of a matrix, or the patches that a convolution sees."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["ELEMENTS", "Kind", "Window", "flipped", "rows_of", "unflipped"]

Kind: TypeAlias = Literal["linear", "convolution", "transposed", "embedding"]
"""How a matrix is used: x Wᵀ, over patches, over the patches of a transposed convolution, or row by row."""

ELEMENTS = 2**24
"""Numbers of unfolded patches held at once: 128 MiB in float64."""


@dataclass(frozen=True)
class Window:
    """How a convolution moves over what it receives; each is one number a dimension."""

    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    output_padding: tuple[int, ...] = ()


def rows_of(x: Tensor, kind: Kind, groups: int, window: Window) -> Iterator[Tensor]:
    """The rows (groups, rows, f) that meet the weights, so many at once that memory is bounded.

    Parameters:
        x: what the function received: (rows, f) or (groups, rows, f), or (N, channels, ...).
        kind: of the function.
        groups: that see inputs of their own.
        window: of a convolution.
    """
    if kind == "linear":
        rows = x if x.dim() == 3 else x[None]
        size = rows.shape[0] * rows.shape[1] * (rows.shape[2] + 1)
        yield from rows.chunk(-(-size // ELEMENTS) or 1, dim=1)
        return
    size = _places(x, kind, window) * (x.shape[1] // groups * math.prod(window.kernel) + 1) * groups
    for piece in x.chunk(-(-size // ELEMENTS) or 1):
        if kind == "transposed":
            yield _patches(_spread(piece, window), groups, _unit(window))
        else:
            padding = [side for pad in reversed(window.padding) for side in (pad, pad)]
            yield _patches(functional.pad(piece, padding), groups, window)


def _places(x: Tensor, kind: Kind, window: Window) -> int:
    """How many patches a convolution sees."""
    total = len(x)
    for place, size in enumerate(x.shape[2:]):
        reach = window.dilation[place] * (window.kernel[place] - 1)
        stride, pad = window.stride[place], 2 * window.padding[place]
        if kind == "transposed":
            total *= (size - 1) * stride - pad + reach + window.output_padding[place] + 1
        else:
            total *= (size + pad - reach - 1) // stride + 1
    return total


def _spread(x: Tensor, window: Window) -> Tensor:
    """The input of the plain convolution that a transposed one is: zeros between its numbers and around."""
    for place, stride in enumerate(window.stride):
        dim = 2 + place
        apart = x.unsqueeze(dim + 1)
        zeros = [0, 0] * (x.dim() - dim - 1) + [0, stride - 1]
        x = functional.pad(apart, zeros).flatten(dim, dim + 1).narrow(dim, 0, (x.shape[dim] - 1) * stride + 1)
    padding: list[int] = []
    for place in reversed(range(len(window.kernel))):
        before = window.dilation[place] * (window.kernel[place] - 1) - window.padding[place]
        padding += [before, before + window.output_padding[place]]
    return functional.pad(x, padding)


def _unit(window: Window) -> Window:
    """The window that moves over what `_spread` made."""
    ones = (1,) * len(window.kernel)
    return Window(window.kernel, ones, (), window.dilation)


def _patches(x: Tensor, groups: int, window: Window) -> Tensor:
    """Patches (groups, rows, f) of what is padded already: channels come first in a patch."""
    many, channels, spaces = len(x), x.shape[1], len(window.kernel)
    for place in range(spaces):
        reach = window.dilation[place] * (window.kernel[place] - 1) + 1
        x = x.unfold(2 + place, reach, window.stride[place])[..., :: window.dilation[place]]
    found, kernel = x.shape[2 : 2 + spaces], x.shape[2 + spaces :]
    apart = x.reshape(many, groups, channels // groups, *found, *kernel)
    order = [1, 0, *range(3, 3 + spaces), 2, *range(3 + spaces, 3 + 2 * spaces)]
    return apart.permute(order).reshape(groups, many * math.prod(found), -1)


def flipped(weights: Tensor, groups: int) -> Tensor:
    """Weights (inputs, outputs / groups, ...) of a transposed convolution as those of the plain one it is."""
    apart = weights.reshape(groups, -1, *weights.shape[1:]).transpose(1, 2)
    return torch.flip(apart, list(range(3, apart.dim()))).flatten(0, 1)


def unflipped(weights: Tensor, groups: int) -> Tensor:
    """The way back from `flipped`."""
    apart = torch.flip(weights.reshape(groups, -1, *weights.shape[1:]), list(range(3, weights.dim() + 1)))
    return apart.transpose(1, 2).flatten(0, 1)
