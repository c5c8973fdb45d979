"""Train a registered network from a seed, and save its weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import torch
from safetensors.torch import save
from torch import nn

from .data import load_dataset
from .errors import InputError
from .networks import WEIGHTS, Network, accuracy, network

__all__ = ["fit", "save_weights", "train"]

Progress: TypeAlias = Callable[[int, int, float], None]


def train(
    name: str, *, seed: int = 0, epochs: int | None = None, progress: Progress | None = None
) -> tuple[nn.Module, float]:
    """Train a network and measure it: the module, in eval mode and without gradients, and its test accuracy.

    `epochs` replaces the registered number; the test split only measures, it chooses nothing.
    After each epoch `progress(epoch, epochs, loss)` hears its number, from 1 on, and its mean training loss
    (cross-entropy, nats). The same seed gives the same weights on the same machine and number of threads;
    global generators stay as they were.
    Raises InputError for an unknown network, epochs < 1 or seed < 0, MissingDataError without its data set.
    """
    spec = network(name)
    rounds = spec.epochs if epochs is None else epochs
    if rounds < 1:
        raise InputError(
            f"epochs must be 1 or more, got {rounds}; leave it out for {name}'s own {spec.epochs}"
        )
    if seed < 0:
        raise InputError(f"seed must be 0 or more, got {seed}; pass a non-negative integer")
    data = load_dataset(spec.dataset)
    module = initialised(spec, seed=seed)
    inputs, targets = torch.tensor(data.train_inputs), torch.tensor(data.train_targets)
    for epoch, loss in enumerate(fit(module, spec, inputs, targets, rounds, seed), start=1):
        if progress is not None:
            progress(epoch, rounds, loss)
    module.eval().requires_grad_(False)
    return module, accuracy(module, data.test_inputs, data.test_targets)


def save_weights(name: str, module: nn.Module, *, seed: int, epochs: int, folder: Path = WEIGHTS) -> Path:
    """Write `folder/<name>.safetensors`, whole or not at all, with the weights' origin; return its path.

    The test accuracy in the file is measured here, so that it is the accuracy of these very weights.
    Raises InputError for weights that do no better than guessing.
    """
    data = load_dataset(network(name).dataset)
    measured = accuracy(module, data.test_inputs, data.test_targets)
    chance = float(torch.bincount(torch.tensor(data.test_targets)).max()) / len(data.test_targets)
    if measured < 2 * chance:  # a margin: a network that learned anything is far above it
        raise InputError(
            f"weights of {name} must reach twice the accuracy of guessing, {2 * chance:.1%}, "
            f"got {measured:.1%}; train for more epochs"
        )
    metadata = {
        "network": name,
        "dataset": data.name,
        "dataset_checksum": data.checksum,
        "seed": str(seed),
        "epochs": str(epochs),
        "test_accuracy": repr(measured),
        "torch": torch.__version__,
    }
    return _write(module, metadata, folder / f"{name}.safetensors")


def initialised(spec: Network, *, seed: int) -> nn.Module:
    """The untrained module of a seed. Layers draw from torch's global generator: it is lent and put back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return spec.build()


def fit(
    module: nn.Module, spec: Network, inputs: torch.Tensor, targets: torch.Tensor, epochs: int, seed: int
) -> Iterator[float]:
    """Adam with a cosine schedule; yields each epoch's mean loss."""
    shuffler = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(module.parameters(), lr=spec.learning_rate)
    steps = epochs * -(-len(targets) // spec.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    criterion = nn.CrossEntropyLoss()
    module.train()
    for _ in range(epochs):
        total = 0.0
        for rows in torch.split(torch.randperm(len(targets), generator=shuffler), spec.batch):
            loss = criterion(module(inputs[rows]), targets[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(rows)
        yield total / len(targets)


def _write(module: nn.Module, metadata: dict[str, str], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in module.state_dict().items()}
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(save(tensors, metadata=metadata))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
