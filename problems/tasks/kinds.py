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
from .agreement import mean_cosine, neighbours_kept, rank_correlation, same_class
from .calibration import Calibration, own_images, training_samples
from .denoising_metrics import psnr, ssim
from .fitting import Course, fit_classes, fit_images
from .frechet_distance import confidence, coverage, distance, samples_of
from .generator_training import fit_generator
from .own_outputs import own_classes, own_embeddings
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
        metric_key: the metric's name in a weights file, "" where the metric of the network itself is 1.
        higher_is_better: direction of the metric.
        judge: the metric.
        also: further metrics by name.
        draw: its calibration.
        train: makes it out of an untrained module; None where others trained it.
        heard: what training tells of each epoch.
        output: what is weighed before weights are saved.
        worth: what the metric misses to be worth saving, "" for nothing; None where it is not saved.
    """

    must: str
    metric: str
    judge: Judge
    draw: Draw
    metric_key: str = ""
    train: Callable[[nn.Module, Course], nn.Module] | None = None
    worth: Callable[[float, Dataset], str] | None = None
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
    """The test metric that a weights file states, 1 where a network is held to its own outputs.

    Raises as `load_network` does.
    """
    return float(weights_metadata(name, weights=weights).get(kind_of(network(name)).metric_key, 1.0))


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
    "text encoder": Kind(
        must="be a text encoder, got {}",
        metric="cosine",
        judge=mean_cosine,
        also={"rank correlation": rank_correlation, "top-10 overlap": neighbours_kept},
        draw=own_embeddings,
    ),
    "recogniser": Kind(
        must="be a recogniser, got {}",
        metric="top-1 agreement",
        judge=same_class,
        also={"cosine of logits": mean_cosine},
        draw=own_classes,
    ),
}
"""By the word that `Network.kind` bears."""
