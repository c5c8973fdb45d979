"""Fréchet distance: how far generated images are from real ones, in the features of a classifier of ours.

d² = ‖μ − μ'‖² + tr(C + C' − 2(CC')^½) of the features' means and covariances (Heusel et al. 2017,
arXiv:1706.08500), by torchmetrics in float64. The features are what enters the last layer of a small
classifier trained on the same data set, not Inception's: no figure here compares with a published FID, only
with the `floor`, the same distance between real training and real test images.
"""

from __future__ import annotations

from functools import cache
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ..arrays import count
from ..datasets.dataset import load_dataset
from ..errors import InputError
from ..layers.running import outputs_of
from ..networks.image_generators import Generator
from ..networks.weights import load_network

__all__ = [
    "FEATURES",
    "SAMPLES",
    "Features",
    "confidence",
    "coverage",
    "distance",
    "floor",
    "gaussian_images",
    "samples_of",
]

FEATURES = {"digits": "digits-cnn", "fashion-mnist": "fashion-mlp", "mnist": "mnist-mlp50"}
"""The classifier whose features judge images of a data set."""

SAMPLES = 2000
"""Images that a generator is judged by."""

EDGE = 1e-5
"""By how much rounding may take a value out of [0, 1]."""

SHARE = 0.02
"""Of all images, that a class must get to count as covered."""


class Features(nn.Module):
    """What enters the last layer of a classifier, for images (N, 1, height, width): (N, num_features)."""

    def __init__(self, classifier: nn.Sequential) -> None:
        super().__init__()
        *body, last = classifier
        self.body = nn.Sequential(*body)
        self.num_features = int(cast(nn.Linear, last).in_features)

    def forward(self, images: Tensor) -> Tensor:
        """Features in float64, so that the distance is."""
        return cast(Tensor, self.body(images)).double()


def distance(images: Tensor, dataset: str, *, real: Tensor | None = None) -> float:
    """Fréchet distance of images (N, 1, height, width) in [0, 1] to the test images of a data set.

    Parameters:
        images: generated ones.
        dataset: whose classifier gives the features.
        real: other images to compare with.

    Raises:
        InputError: fewer than two images, a value outside [0, 1], or a data set without a classifier.
    """
    # It takes seconds to import, and only generators need it.
    from torchmetrics.image.fid import FrechetInceptionDistance

    against = _test_images(dataset) if real is None else real
    if min(len(images), len(against)) < 2:
        raise InputError(f"a distance needs two images of each kind, got {len(images)} and {len(against)}")
    _check_range(images)
    _check_range(against)
    metric = FrechetInceptionDistance(feature=Features(_classifier(dataset)))
    with torch.no_grad():
        metric.update(against, real=True)
        metric.update(images.detach().to(against), real=False)
        # Rounding may take the distance of equal images below 0.
        return max(0.0, float(metric.compute()))


@cache
def floor(dataset: str) -> float:
    """Distance of real training images to the real test images: no generator is expected below it."""
    return distance(torch.tensor(load_dataset(dataset).train_inputs), dataset)


def coverage(images: Tensor, dataset: str) -> float:
    """Share of the classes that get at least 2 % of the images (N, 1, height, width) from the classifier."""
    scores = _scores(images, dataset)
    shares = torch.bincount(scores.argmax(dim=1), minlength=scores.shape[1]) / len(scores)
    return float((shares >= SHARE).double().mean())


def confidence(images: Tensor, dataset: str) -> float:
    """Mean over the images of the classifier's largest probability."""
    return float(_scores(images, dataset).softmax(dim=1).amax(dim=1).mean())


def samples_of(generator: Generator, *, wanted: int = SAMPLES, seed: int = 0) -> Tensor:
    """Images (wanted, 1, height, width) of a generator from starts drawn by the seed."""
    random = torch.Generator().manual_seed(count(seed, name="seed", low=0))
    starts = generator.starts(count(wanted, name="wanted", low=1), random=random)
    return torch.cat(list(outputs_of(generator, starts, batch=500)))


def gaussian_images(dataset: str, *, wanted: int = SAMPLES, seed: int = 0) -> Tensor:
    """Images of a Gaussian pixel model: normal with mean and covariance of the training pixels, clipped.

    What a generator must beat to have learned more than second moments of pixels.
    """
    real = load_dataset(dataset).train_inputs
    pixels = real.reshape(len(real), -1).astype(np.float64)
    spread, axes = np.linalg.eigh(np.cov(pixels.T))
    drawn = np.random.default_rng(seed).standard_normal((wanted, len(spread)))
    made = pixels.mean(axis=0) + (drawn * np.sqrt(np.maximum(spread, 0.0))) @ axes.T
    return torch.tensor(np.clip(made, 0.0, 1.0).reshape(wanted, *real.shape[1:]), dtype=torch.float32)


def _check_range(images: Tensor) -> None:
    """InputError when a value is not in [0, 1], or is none: features of such images mean nothing."""
    low, high = float(images.min()), float(images.max())
    if not (low >= -EDGE and high <= 1 + EDGE):
        raise InputError(f"images must lie in [0, 1], got [{low:g}, {high:g}]; scale them, as pixels / 255")


def _scores(images: Tensor, dataset: str) -> Tensor:
    """What the classifier puts out for images, (N, classes)."""
    _check_range(images)
    return torch.cat(list(outputs_of(_classifier(dataset), images.float(), batch=1000))).double()


@cache
def _classifier(dataset: str) -> nn.Sequential:
    if dataset not in FEATURES:
        known = ", ".join(sorted(FEATURES))
        raise InputError(f"images must be of {known}, whose classifiers give features, got {dataset!r}")
    return cast(nn.Sequential, load_network(FEATURES[dataset]))


def _test_images(dataset: str) -> Tensor:
    return torch.tensor(load_dataset(dataset).test_inputs)
