"""Train a registered network from a seed, and save its weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias, cast

import torch
from safetensors.torch import save
from torch import nn

from ..datasets.dataset import Dataset, load_dataset
from ..datasets.photographs import sensor_noise
from ..errors import InputError
from ..networks.image_generators import Generator
from ..networks.weights import WEIGHTS
from ..networks.zoo import Network, network
from .accuracy import accuracy
from .denoising_metrics import psnr
from .frechet_distance import SAMPLES, distance, samples_of
from .generator_training import Terms, train_generator
from .training_losses import criterion_of

__all__ = ["fit", "save_weights", "train"]

Progress: TypeAlias = Callable[[int, int, float], None]
Samples: TypeAlias = tuple[torch.Tensor, torch.Tensor]


def train(
    name: str,
    *,
    seed: int = 0,
    epochs: int | None = None,
    progress: Progress | None = None,
    keep: Path | None = None,
) -> tuple[nn.Module, float]:
    """Train a network and measure it: the module, in eval mode and without gradients, and its test metric.

    `epochs` replaces the registered number; the test split only measures, it chooses nothing.
    After each epoch `progress(epoch, epochs, loss)` hears its number, from 1 on, and its mean training loss
    (cross-entropy in nats, or squared error; of a generator, the distance that its critic saw). A generator's
    training goes on from the checkpoint in the folder `keep`, and puts that and pictures of samples there.
    The same seed gives the same weights on the same machine and
    number of threads; global generators stay as they were.
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
    if spec.generates:
        terms = Terms(learning_rate=spec.learning_rate, batch=spec.batch, epochs=rounds)
        place = keep and keep / f"{name}.training"
        module = train_generator(
            cast(Generator, module), inputs, terms=terms, seed=seed, progress=progress, keep=place
        )
        return module, _measured(spec, module, data)
    losses = fit(module, spec, inputs, targets, rounds, seed, renew=_renewal(spec))
    for epoch, loss in enumerate(losses, start=1):
        if progress is not None:
            progress(epoch, rounds, loss)
    module.eval().requires_grad_(False)
    return module, _measured(spec, module, data)


def save_weights(name: str, module: nn.Module, *, seed: int, epochs: int, folder: Path = WEIGHTS) -> Path:
    """Write `folder/<name>.safetensors`, whole or not at all, with the weights' origin; return its path.

    The test metric in the file is measured here, so that it is that of these very weights.
    Raises InputError for weights that do no better than guessing, than leaving the noise in, or than pixels
    that know nothing of each other.
    """
    spec = network(name)
    data = load_dataset(spec.dataset)
    measured = _measured(spec, module, data)
    _check_worth(spec, measured, data)
    metadata = {
        "network": name,
        "dataset": data.name,
        "dataset_checksum": data.checksum,
        "seed": str(seed),
        "epochs": str(epochs),
        spec.metric_key: repr(measured),
        "torch": torch.__version__,
    }
    return _write(module, metadata, folder / f"{name}.safetensors")


def _measured(spec: Network, module: nn.Module, data: Dataset) -> float:
    """The test metric: accuracy in [0, 1], mean PSNR in dB, or Fréchet distance."""
    if spec.generates:
        return distance(samples_of(cast(Generator, module)), data.name)
    judge = psnr if spec.denoises else accuracy
    return judge(module, data.test_inputs, data.test_targets)


def _check_worth(spec: Network, measured: float, data: Dataset) -> None:
    """Refuse weights that learned nothing; a network that learned anything is far from these margins."""
    if spec.generates:
        scattered = distance(_scattered(torch.tensor(data.train_inputs)), data.name)
        if not measured < scattered:
            raise InputError(
                f"images of {spec.name} must be closer to real ones than pixels drawn one by one, "
                f"{scattered:.1f}, got {measured:.1f}; train for more epochs"
            )
        return
    if spec.denoises:
        noisy = psnr(nn.Identity(), data.test_inputs, data.test_targets)
        if measured < noisy + 1:
            raise InputError(
                f"weights of {spec.name} must reach 1 dB more than the noisy images' {noisy:.2f} dB, "
                f"got {measured:.2f}; train for more epochs"
            )
        return
    chance = float(torch.bincount(torch.tensor(data.test_targets)).max()) / len(data.test_targets)
    if measured < 2 * chance:
        raise InputError(
            f"weights of {spec.name} must reach twice the accuracy of guessing, {2 * chance:.1%}, "
            f"got {measured:.1%}; train for more epochs"
        )


def _scattered(images: torch.Tensor) -> torch.Tensor:
    """As many images as a generator is judged by, each pixel drawn for itself from those of real images."""
    pixels = images[:, :1].flatten(1)
    random = torch.Generator().manual_seed(0)
    rows = torch.randint(len(pixels), (SAMPLES, pixels.shape[1]), generator=random)
    return pixels.gather(0, rows).reshape(SAMPLES, 1, *images.shape[2:])


def initialised(spec: Network, *, seed: int) -> nn.Module:
    """The untrained module of a seed. Layers draw from torch's global generator: it is lent and put back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return spec.build()


def fit(
    module: nn.Module,
    spec: Network,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    epochs: int,
    seed: int,
    *,
    renew: Callable[[int, Samples], Samples] | None = None,
) -> Iterator[float]:
    """Adam with a cosine schedule; yields each epoch's mean loss.

    `renew` makes the samples of an epoch, given its number from 0 on and the samples there are.
    """
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


def _renewal(spec: Network) -> Callable[[int, Samples], Samples] | None:
    """For denoisers, images that lie another way each epoch, photographs under another draw of noise."""

    def renew(epoch: int, samples: Samples) -> Samples:
        noisy, clean = (_turned(images, epoch) for images in samples)
        if spec.dataset == "photographs" and epoch:
            # Draw 0 is the calibration's; a test draw is never reached.
            noisy = torch.tensor(sensor_noise(clean.numpy(), seed=epoch))
        return noisy, clean

    return renew if spec.denoises else None


def _turned(images: torch.Tensor, way: int) -> torch.Tensor:
    """Square images (N, channels, side, side) in one of the eight ways they can lie."""
    turned = torch.rot90(images, way % 4, dims=(2, 3))
    return (turned if way % 8 < 4 else turned.flip(3)).contiguous()


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
