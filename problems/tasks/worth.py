"""Worth: what trained weights must reach to be saved. Each tells what is missed, "" where nothing is.

A network that learned anything is far from these margins.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..datasets.dataset import Dataset
from .denoising_metrics import psnr
from .frechet_distance import SAMPLES, distance

__all__ = ["worth_of_classes", "worth_of_denoised", "worth_of_generated"]


def worth_of_classes(accuracy: float, data: Dataset) -> str:
    """Twice what guessing the commonest class gets."""
    chance = float(torch.bincount(torch.tensor(data.test_targets)).max()) / len(data.test_targets)
    if accuracy >= 2 * chance:
        return ""
    return f"must reach twice the accuracy of guessing, {2 * chance:.1%}, got {accuracy:.1%}"


def worth_of_denoised(decibels: float, data: Dataset) -> str:
    """1 dB more than leaving the noise in."""
    noisy = psnr(nn.Identity(), data.test_inputs, data.test_targets)
    if decibels >= noisy + 1:
        return ""
    return f"must reach 1 dB more than the noisy images' {noisy:.2f} dB, got {decibels:.2f}"


def worth_of_generated(found: float, data: Dataset) -> str:
    """Closer to real images than pixels that know nothing of each other."""
    scattered = distance(_scattered(torch.tensor(data.train_inputs)), data.name)
    if found < scattered:
        return ""
    return f"must be closer to real ones than pixels drawn one by one, {scattered:.1f}, got {found:.1f}"


def _scattered(images: Tensor) -> Tensor:
    """As many images as a generator is judged by, each pixel drawn for itself from those of real images."""
    pixels = images[:, :1].flatten(1)
    random = torch.Generator().manual_seed(0)
    rows = torch.randint(len(pixels), (SAMPLES, pixels.shape[1]), generator=random)
    return pixels.gather(0, rows).reshape(SAMPLES, 1, *images.shape[2:])
