"""Calibration: what is drawn to compress a network of ours, from training data or from its own images."""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from ..arrays import count
from ..datasets.dataset import Dataset, calibration_draw, load_dataset
from ..layers.running import outputs_of
from ..layers.samples import Inputs
from ..networks.image_generators import Generator
from ..networks.weights import load_network, weights_checksum
from ..networks.zoo import Network

__all__ = ["Calibration", "own_images", "training_samples"]


@dataclass(frozen=True, eq=False)
class Calibration:
    """A trained network and samples for it, as many again as were asked for.

    Attributes:
        network: trained module in eval mode.
        data: the data set that it was trained on.
        inputs, targets: samples (2N, ...); the first N calibrate, the others are held out.
        identity: hash of the weights, the data and the draw.
    """

    network: nn.Module
    data: Dataset
    inputs: Inputs
    targets: Tensor
    identity: str


def training_samples(spec: Network, samples: int, *, seed: int) -> Calibration:
    """Samples of the training split with their targets.

    Raises:
        InputError: more samples than the training split can give twice.
        MissingDataError: the data set or the weights are not on this machine.
    """
    data = load_dataset(spec.dataset)
    wanted = count(samples, name="calibration", low=1, high=len(data.train_targets) // 2)
    draw = count(seed, name="calibration_seed", low=0)
    inputs, targets, _ = calibration_draw(data, 2 * wanted, seed=draw)
    network = load_network(spec.name)
    identity = _hash(weights_checksum(network), data.checksum, str(wanted), str(draw))
    return Calibration(network, data, torch.tensor(inputs), torch.tensor(targets), identity)


def own_images(spec: Network, samples: int, *, seed: int) -> Calibration:
    """Initial states of a generator, never those that judge it, and the images that it makes of them.

    Raises as `training_samples` does; there are always enough.
    """
    # A harness makes tasks before it forks, so that no cell must wait for this import.
    importlib.import_module("torchmetrics.image.fid")
    wanted = count(samples, name="calibration", low=1)
    draw = count(seed, name="calibration_seed", low=0)
    network, data = cast(Generator, load_network(spec.name)), load_dataset(spec.dataset)
    # The judge draws from seed 0, which is even.
    starts = network.starts(2 * wanted, random=torch.Generator().manual_seed(2 * draw + 1))
    images = torch.cat(list(outputs_of(network, starts, batch=500)))
    design = repr(getattr(network, "design", ""))
    identity = _hash(weights_checksum(network), design, data.checksum, str(wanted), str(draw))
    return Calibration(network, data, starts, images, identity)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
