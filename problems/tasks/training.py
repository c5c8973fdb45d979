"""Train a registered network from a seed, and save its weights."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from ..datasets.dataset import load_dataset
from ..errors import InputError
from ..instances.npz import replacing
from ..networks.weights import WEIGHTS, narrowed
from ..networks.zoo import Network, network
from .fitting import Course, Progress
from .kinds import kind_of

__all__ = ["initialised", "save_weights", "train"]


def train(
    name: str,
    *,
    seed: int = 0,
    epochs: int | None = None,
    progress: Progress | None = None,
    keep: Path | None = None,
    until: int | None = None,
) -> tuple[nn.Module, float]:
    """Train a network and measure it: the module, in eval mode and without gradients, and its test metric.

    `epochs` replaces the registered number; the test split only measures, it chooses nothing.
    After each epoch `progress(epoch, epochs, loss)` hears its number, from 1 on, and its mean training loss
    (cross-entropy in nats, or squared error; of a generator, the distance that its critic saw). A generator's
    training goes on from the checkpoint in the folder `keep`, and puts that and pictures of samples there; it
    alone may stop earlier, after `until` epochs, and be gone on with.
    The same seed gives the same weights on the same machine and
    number of threads; global generators stay as they were.
    Raises InputError for an unknown network, epochs < 1 or seed < 0, MissingDataError without its data set.
    """
    spec = _trainable(name)
    rounds = spec.epochs if epochs is None else epochs
    if rounds < 1:
        raise InputError(
            f"epochs must be 1 or more, got {rounds}; leave it out for {name}'s own {spec.epochs}"
        )
    if seed < 0:
        raise InputError(f"seed must be 0 or more, got {seed}; pass a non-negative integer")
    _check_stop(spec, until, rounds)
    kind, data = kind_of(spec), load_dataset(spec.dataset)
    course = Course(spec, data, rounds, seed, progress, keep, until)
    assert kind.train is not None
    module = kind.train(initialised(spec, seed=seed), course)
    return module, kind.judge(module, data)


def save_weights(name: str, module: nn.Module, *, seed: int, epochs: int, folder: Path = WEIGHTS) -> Path:
    """Write `folder/<name>.safetensors`, whole or not at all, with the weights' origin; return its path.

    The test metric in the file is measured here, so that it is that of these very weights.
    Raises InputError for weights that do no better than guessing, than leaving the noise in, or than pixels
    that know nothing of each other.
    """
    spec = _trainable(name)
    kind, data = kind_of(spec), load_dataset(spec.dataset)
    if spec.half:
        module = _rounded(module)
    measured = kind.judge(module, data)
    assert kind.worth is not None
    if missed := kind.worth(measured, data):
        raise InputError(f"{kind.output} of {name} {missed}; train for more epochs")
    metadata = {
        "network": name,
        "dataset": data.name,
        "dataset_checksum": data.checksum,
        "seed": str(seed),
        "epochs": str(epochs),
        kind.metric_key: repr(measured),
        "torch": torch.__version__,
    }
    return _write(module, metadata, folder / f"{name}.safetensors", half=spec.half)


def _trainable(name: str) -> Network:
    """A network that is trained here. Raises InputError for one that others trained, and an unknown name."""
    spec = network(name)
    if spec.package:
        raise InputError(f"{name} must be trained here, got one that {spec.package} ships; call load_network")
    return spec


def _check_stop(spec: Network, until: int | None, rounds: int) -> None:
    """InputError where training cannot stop after so many epochs."""
    if until is not None and not 1 <= until <= rounds:
        raise InputError(f"until must lie in [1, {rounds}], the epochs of {spec.name}, got {until}")
    if until is not None and spec.kind != "generator":
        raise InputError(f"{spec.name} must be a generator to stop early, got a {spec.kind}; leave out until")


def initialised(spec: Network, *, seed: int) -> nn.Module:
    """The untrained module of a seed. Layers draw from torch's global generator: it is lent and put back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return spec.build()


def _rounded(module: nn.Module) -> nn.Module:
    """A copy with the weights that a file of half precision holds."""
    made = copy.deepcopy(module)
    made.load_state_dict(narrowed(made.state_dict()))
    return made


def _write(module: nn.Module, metadata: dict[str, str], path: Path, *, half: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in module.state_dict().items()}
    tensors = narrowed(tensors) if half else tensors
    with replacing(path) as file:
        file.write(save(tensors, metadata=metadata))
    return path
