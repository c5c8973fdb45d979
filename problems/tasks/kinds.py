"""Kinds of network: for each word of `Network.kind`, how such a network is calibrated, judged and trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias, cast

from torch import Tensor, nn

from ..datasets.dataset import Dataset
from ..errors import InputError
from ..networks.image_generators import Generator
from ..networks.weights import weights_metadata
from ..networks.zoo import Network, network
from .accuracy import accuracy
from .calibration import Calibration, own_images, training_samples
from .denoising_metrics import psnr, ssim
from .fitting import Course, fit_classes, fit_images
from .frechet_distance import confidence, coverage, distance, samples_of
from .generator_training import fit_generator
from .worth import worth_of_classes, worth_of_denoised, worth_of_generated

__all__ = ["Kind", "float_metric", "kind_of", "spec_of"]

Judge: TypeAlias = Callable[[nn.Module, Dataset], float]
"""A metric of a network on the test split of its data set."""


class Draw(Protocol):
    """Draws what calibrates a network."""

    def __call__(self, spec: Network, samples: int, *, seed: int) -> Calibration:
        """`samples` to calibrate with, and as many more."""
        ...


@dataclass(frozen=True)
class Kind:
    """What sets the networks of a kind apart.

    Attributes:
        must: what a network of another kind is told where one of this kind is asked for; {} is what it is.
        metric: name of what judges it.
        metric_key: the metric's name in a weights file.
        judge: the metric.
        draw: its calibration.
        train: makes it out of an untrained module.
        worth: what the metric misses for the weights to be saved, "" for nothing.
        higher_is_better: direction of the metric.
        also: further metrics by name.
        heard: what training tells of each epoch.
        output: what messages call that which is judged before weights are saved.
    """

    must: str
    metric: str
    metric_key: str
    judge: Judge
    draw: Draw
    train: Callable[[nn.Module, Course], nn.Module]
    worth: Callable[[float, Dataset], str]
    higher_is_better: bool = True
    also: Mapping[str, Judge] = field(default_factory=dict)
    heard: str = "training loss"
    output: str = "weights"


def kind_of(spec: Network) -> Kind:
    """The kind of a network."""
    return KINDS[spec.kind]


def spec_of(name: str, kind: str) -> Network:
    """The network of a name, which must be of a kind. Raises InputError for none and for another kind."""
    spec = network(name)
    if spec.kind != kind:
        raise InputError(f"{name} must {KINDS[kind].must.format(f'a {spec.kind}')}; call task_of")
    return spec


def float_metric(name: str, *, weights: Path | None = None) -> float:
    """The test metric that a weights file states. Raises as `load_network` does."""
    return float(weights_metadata(name, weights=weights)[kind_of(network(name)).metric_key])


def _accuracy(module: nn.Module, data: Dataset) -> float:
    return accuracy(module, data.test_inputs, data.test_targets)


def _psnr(module: nn.Module, data: Dataset) -> float:
    return psnr(module, data.test_inputs, data.test_targets)


def _ssim(module: nn.Module, data: Dataset) -> float:
    return ssim(module, data.test_inputs, data.test_targets)


def _of_images(metric: Callable[[Tensor, str], float]) -> Judge:
    """A metric of the images that a generator makes of fixed initial states."""
    return lambda module, data: metric(samples_of(cast(Generator, module)), data.name)


KINDS = {
    "classifier": Kind(
        must="be a classifier, got {}",
        metric="accuracy",
        metric_key="test_accuracy",
        judge=_accuracy,
        draw=training_samples,
        train=fit_classes,
        worth=worth_of_classes,
    ),
    "denoiser": Kind(
        must="map images to images, got {}",
        metric="PSNR",
        metric_key="test_psnr",
        judge=_psnr,
        also={"SSIM": _ssim},
        draw=training_samples,
        train=fit_images,
        worth=worth_of_denoised,
    ),
    "generator": Kind(
        must="be a generator, got another network",
        metric="Fréchet distance",
        metric_key="test_frechet",
        higher_is_better=False,
        judge=_of_images(distance),
        also={"classes covered": _of_images(coverage), "confidence": _of_images(confidence)},
        draw=own_images,
        train=fit_generator,
        heard="critic's distance",
        output="images",
        worth=worth_of_generated,
    ),
}
"""By the word that `Network.kind` bears."""
