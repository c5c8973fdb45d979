"""Generators: networks that turn random initial states into images; the analog ones, and a neural one."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..instances.npz import replacing
from .interaction import Design, InteractionSystem

__all__ = ["Generator", "NeuralGenerator", "interacting", "save_grid"]


def interacting(**design: Any) -> InteractionSystem:
    """An untrained interaction system of a design, `Design(**design)`."""
    return InteractionSystem(Design(**design))


class NeuralGenerator(nn.Module):
    """Dense layers with leaky ReLUs, from `latent` uniform numbers to an image (1, side, side) in [0, 1].

    What an analog system is compared with: an ordinary network of as many parameters, that a digital
    processor has to compute.
    """

    def __init__(self, *, latent: int, widths: tuple[int, ...], side: int) -> None:
        super().__init__()
        self.latent, self.side = latent, side
        self.layers = nn.Sequential()
        for before, after in pairwise((latent, *widths)):
            self.layers.extend((nn.Linear(before, after), nn.LeakyReLU(0.2)))
        self.layers.append(nn.Linear((latent, *widths)[-1], side**2))

    def starts(self, wanted: int, *, random: torch.Generator) -> Tensor:
        """Inputs (wanted, latent), uniform in ±1."""
        return 2.0 * torch.rand(wanted, self.latent, generator=random) - 1.0

    def forward(self, starts: Tensor) -> Tensor:
        """Images (batch, 1, side, side), read out as those of saturating nodes are."""
        shown = torch.tanh(self.layers(starts))
        return 0.5 * (1.0 + shown).reshape(-1, 1, self.side, self.side)


Generator: TypeAlias = InteractionSystem | NeuralGenerator
"""A module with `starts(wanted, random=)` that maps them to images in [0, 1]."""


def save_grid(images: Tensor, path: Path, *, columns: int = 20, zoom: int = 4) -> None:
    """Write images (N, 1, height, width) in [0, 1] to a PNG, row by row, each pixel `zoom` wide.

    Raises InputError where no file can be written.
    """
    from PIL import Image  # only pictures need it

    rows = math.ceil(len(images) / columns)
    height, width = images.shape[-2:]
    tiles = functional.pad(images.detach().clamp(0.0, 1.0), (0, 1, 0, 1))
    page = torch.zeros(rows * columns, height + 1, width + 1)
    page[: len(images)] = tiles[:, 0]
    page = page.reshape(rows, columns, height + 1, width + 1).transpose(1, 2).flatten(2).flatten(0, 1)
    large = (255.0 * page).round().to(torch.uint8).repeat_interleave(zoom, 0).repeat_interleave(zoom, 1)
    with replacing(path) as file:
        Image.fromarray(large.numpy()).save(file, format="PNG")
