"""Fitting: how a network learns from samples and their targets, by Adam along a cosine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch
from torch import nn

from ..datasets.dataset import Dataset
from ..datasets.photographs import sensor_noise
from ..networks.zoo import Network
from .training_losses import criterion_of

__all__ = ["Course", "Progress", "Renewal", "fit", "fit_classes", "fit_images", "renewal"]

Progress: TypeAlias = Callable[[int, int, float], None]
Samples: TypeAlias = tuple[torch.Tensor, torch.Tensor]
Renewal: TypeAlias = Callable[[int, Samples], Samples]
"""Makes the samples of an epoch, given its number from 0 on and the samples there are."""


SIMULATED = ("photographs", "more-photographs")
"""Data sets whose noise is drawn here, so that it can be drawn anew."""


@dataclass(frozen=True, eq=False)
class Course:
    """One training of a network.

    Attributes:
        spec: its name, learning rate and batch.
        data: what it learns from.
        epochs: passes over the training split.
        seed: of whatever is drawn.
        progress: hears after each epoch its number, from 1 on, of how many, and how good it was.
        keep: folder for what an interrupted training goes on from, None to keep nothing.
        until: epochs after which a generator's training stops, to be gone on with from `keep`; None is all.
    """

    spec: Network
    data: Dataset
    epochs: int
    seed: int
    progress: Progress | None = None
    keep: Path | None = None
    until: int | None = None


def fit_classes(module: nn.Module, course: Course) -> nn.Module:
    """Fit the classes of the training images; the module in eval mode, without gradients."""
    return _fitted(module, course, None)


def fit_images(module: nn.Module, course: Course) -> nn.Module:
    """Fit the clean images, which lie another way each epoch; photographs get another draw of noise."""
    return _fitted(module, course, renewal(course.spec.dataset))


def _fitted(module: nn.Module, course: Course, renew: Renewal | None) -> nn.Module:
    data = course.data
    inputs, targets = torch.tensor(data.train_inputs), torch.tensor(data.train_targets)
    losses = fit(module, course.spec, inputs, targets, course.epochs, course.seed, renew=renew)
    for epoch, loss in enumerate(losses, start=1):
        if course.progress is not None:
            course.progress(epoch, course.epochs, loss)
    return module.eval().requires_grad_(False)


def fit(
    module: nn.Module,
    spec: Network,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    epochs: int,
    seed: int,
    *,
    renew: Renewal | None = None,
) -> Iterator[float]:
    """Adam with a cosine schedule; yields each epoch's mean loss."""
    shuffler = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(module.parameters(), lr=spec.learning_rate)
    steps = epochs * -(-len(targets) // spec.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    criterion = criterion_of(targets)
    module.train()
    for epoch in range(epochs):
        total = 0.0
        x, y = renew(epoch, (inputs, targets)) if renew else (inputs, targets)
        for rows in torch.split(torch.randperm(len(targets), generator=shuffler), spec.batch):
            loss = criterion(module(x[rows]), y[rows]) / len(rows)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            total += loss.item() * len(rows)
        yield total / len(targets)


def renewal(dataset: str) -> Renewal:
    """Pairs of images that lie another way each epoch, photographs under another draw of noise."""

    def renew(epoch: int, samples: Samples) -> Samples:
        noisy, clean = (_turned(images, epoch) for images in samples)
        if dataset in SIMULATED and epoch:
            # Draw 0 is the calibration's; a test draw is never reached.
            noisy = torch.tensor(sensor_noise(clean.numpy(), seed=epoch))
        return noisy, clean

    return renew


def _turned(images: torch.Tensor, way: int) -> torch.Tensor:
    """Square images (N, channels, side, side) in one of the eight ways they can lie."""
    turned = torch.rot90(images, way % 4, dims=(2, 3))
    return (turned if way % 8 < 4 else turned.flip(3)).contiguous()
