"""Calibration of networks that others trained, whose data nobody has: they are held to their own outputs."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..arrays import count
from ..datasets.crops import calibration_crops, held_out_crops
from ..datasets.dataset import Dataset, Floats, calibration_draw, load_dataset
from ..layers.samples import Samples
from ..networks.weights import load_network, weights_checksum
from ..networks.zoo import Network
from .agreement import outputs_for, token_samples
from .calibration import Calibration

__all__ = ["own_classes", "own_embeddings"]

NOISE = 0.01
"""Standard deviation of what is added to each number of an embedding of length 1."""


def own_embeddings(spec: Network, samples: int, *, seed: int) -> Calibration:
    """Training sentences by length, and the embeddings that the network gives them, with noise.

    Without noise the loss would have no gradient at the network itself, and pruning could not read one; with
    it, squared gradients are Fisher's information of an embedding that is observed.

    Raises:
        InputError: more samples than the training split can give twice.
        MissingDataError: the packages of the extra `real` are not installed.
    """
    data = load_dataset(spec.dataset)
    wanted = count(samples, name="calibration", low=1, high=len(data.train_targets) // 2)
    draw = count(seed, name="calibration_seed", low=0)
    network = load_network(spec.name)
    drawn, lengths, _ = calibration_draw(data, 2 * wanted, seed=draw)
    halves = [token_samples(_by_length(drawn[part], lengths[part])) for part in _halves(wanted)]
    inputs = Samples([batch for half in halves for batch in half.batches])
    clean = outputs_for(network, inputs)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(draw))
    judged = outputs_for(network, token_samples(torch.tensor(data.test_inputs))).numpy()
    identity = _hash(weights_checksum(network), data.checksum, str(wanted), str(draw))
    return Calibration(network, replace(data, test_targets=judged), inputs, clean + NOISE * noise, identity)


def own_classes(spec: Network, samples: int, *, seed: int) -> Calibration:
    """Crops of photographs, and the classes that the network finds in them.

    Raises as `own_embeddings` does; there are always enough.
    """
    wanted = count(samples, name="calibration", low=1)
    draw = count(seed, name="calibration_seed", low=0)
    network, data = load_network(spec.name), _scaled(load_dataset(spec.dataset))
    crops = np.concatenate([cut(wanted, seed=draw) for cut in (calibration_crops, held_out_crops)])
    inputs = torch.from_numpy(as_trained(crops))
    judged = outputs_for(network, torch.tensor(data.test_inputs)).numpy()
    identity = _hash(weights_checksum(network), data.checksum, str(wanted), str(draw))
    classes = outputs_for(network, inputs).argmax(dim=1)
    return Calibration(network, replace(data, test_targets=judged), inputs, classes, identity)


def as_trained(images: Floats) -> Floats:
    """Images in [0, 1] as EfficientNet-Lite was trained on them: bytes less 127, in units of 128."""
    return (images * np.float32(255) - np.float32(127)) / np.float32(128)


def _scaled(data: Dataset) -> Dataset:
    return replace(data, test_inputs=as_trained(data.test_inputs))


def _halves(wanted: int) -> tuple[slice, slice]:
    """Places of the samples that calibrate, and of those held out."""
    return slice(0, wanted), slice(wanted, 2 * wanted)


def _by_length(ids: NDArray[Any], lengths: NDArray[Any]) -> Tensor:
    """Sentences in order of their lengths, so that little is padded."""
    return torch.tensor(ids[np.argsort(lengths, kind="stable")])


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
