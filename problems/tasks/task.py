"""Task: a trained network, the data that calibrates its compression, and the metric that judges it."""

from __future__ import annotations

import copy
import hashlib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..arrays import count
from ..datasets.dataset import Dataset, calibration_draw, load_dataset
from ..errors import InputError
from ..layers.running import outputs_of
from ..layers.samples import Inputs
from ..networks.image_generators import Generator
from ..networks.weights import load_network, weights_checksum
from ..networks.zoo import network
from . import frechet_distance
from .accuracy import accuracy
from .denoising_metrics import psnr, ssim
from .ledger import Ledger
from .own_data import gather
from .rules import Rules
from .training_losses import Criterion, criterion_of, summed_cross_entropy

__all__ = [
    "Task",
    "bare_task",
    "classification_task",
    "denoising_task",
    "generator_task",
    "own_task",
    "task_of",
]


@dataclass(frozen=True, eq=False)
class Task:
    """What a problem compresses and by what it is judged. No problem changes the network in place.

    Attributes:
        name: of the network.
        network: trained module in eval mode.
        inputs, targets: calibration samples (N, ...) and their classes (N,) or, where the network puts out
            images, the images (N, ...) it should put out; from training data only.
        held_inputs, held_targets: more training samples, disjoint from those, for choices between masks.
        judge: true metric of a network on data that no choice has seen; None where there is no such data.
        metric: its name.
        higher_is_better: its direction.
        identity: hash of the weights, the data and the draw; two tasks with the same hash are the same.
        kept: whether what is measured on it may be kept on disk; a caller's own data never is.
        criterion: loss of outputs and targets, summed over the samples of a batch; what training lowered.
        also: further true metrics by name, of a network on the judge's data.
        rules: what the caller wishes of single layers.
        ledger: what became of each parameter, written by formulations while they compress.
    """

    name: str
    network: nn.Module
    inputs: Inputs
    targets: Tensor
    held_inputs: Inputs
    held_targets: Tensor
    judge: Callable[[nn.Module], float] | None
    metric: str
    higher_is_better: bool
    identity: str
    kept: bool = False
    criterion: Criterion = summed_cross_entropy
    also: Mapping[str, Callable[[nn.Module], float]] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    ledger: Ledger = field(default_factory=Ledger)

    def copy(self) -> nn.Module:
        """A copy of the network, in eval mode, that a problem may change."""
        return copy.deepcopy(self.network).eval()


def task_of(name: str, *, calibration: int = 500, calibration_seed: int = 0) -> Task:
    """The task of a network of ours: of generating, of denoising where it is trained on photographs, else of
    classes.

    Raises as `classification_task` does.
    """
    spec = network(name)
    make = generator_task if spec.generates else denoising_task if spec.denoises else classification_task
    return make(name, calibration=calibration, calibration_seed=calibration_seed)


def classification_task(name: str, *, calibration: int = 500, calibration_seed: int = 0) -> Task:
    """A network of ours with `calibration` training samples, as many held-out ones, and its test accuracy.

    Raises:
        InputError: an unknown network, a denoiser, or more samples than the training split can give twice.
        MissingDataError: the data set is not on this machine.
    """
    spec = network(name)
    if spec.denoises or spec.generates:
        kind = "a denoiser" if spec.denoises else "a generator"
        raise InputError(f"{name} must be a classifier, got {kind}; call task_of")
    data = load_dataset(network(name).dataset)
    return replace(
        _calibrated(name, data, calibration, calibration_seed),
        judge=lambda candidate: accuracy(candidate, data.test_inputs, data.test_targets),
        metric=network(name).metric,
    )


def denoising_task(name: str, *, calibration: int = 500, calibration_seed: int = 0) -> Task:
    """A denoiser of ours with `calibration` noisy and clean patches of training scenes, and as many others.

    Its metric is the mean PSNR (dB) over images and noise of scenes that nothing was trained on; it also has
    their mean SSIM.

    Raises as `classification_task` does.
    """
    if not network(name).denoises:
        raise InputError(f"{name} must map images to images, got a classifier; call task_of")
    data = load_dataset(network(name).dataset)
    return replace(
        _calibrated(name, data, calibration, calibration_seed),
        judge=lambda candidate: psnr(candidate, data.test_inputs, data.test_targets),
        metric=network(name).metric,
        also={"SSIM": lambda candidate: ssim(candidate, data.test_inputs, data.test_targets)},
    )


def generator_task(name: str, *, calibration: int = 200, calibration_seed: int = 0) -> Task:
    """A generator of ours with `calibration` initial states, its own images of them, and as many others.

    Its metric is the Fréchet distance of its images, of fixed initial states, to the test images; it also has
    the share of the classes that they cover and how sure a classifier is of them. The initial states of
    calibration are never those that judge.

    Raises as `classification_task` does.
    """
    spec = network(name)
    if not spec.generates:
        raise InputError(f"{name} must be a generator, got another network; call task_of")
    # A harness makes tasks before it forks, so that no cell must wait for this import.
    importlib.import_module("torchmetrics.image.fid")
    wanted = count(calibration, name="calibration", low=1)
    seed = count(calibration_seed, name="calibration_seed", low=0)
    module, data = cast(Generator, load_network(name)), load_dataset(spec.dataset)
    # The judge draws from seed 0, which is even.
    starts = module.starts(2 * wanted, random=torch.Generator().manual_seed(2 * seed + 1))
    images = torch.cat(list(outputs_of(module, starts, batch=500)))

    def judged(metric: Callable[[Tensor, str], float]) -> Callable[[nn.Module], float]:
        return lambda candidate: metric(frechet_distance.samples_of(cast(Generator, candidate)), spec.dataset)

    parts = (
        weights_checksum(module),
        repr(getattr(module, "design", "")),
        data.checksum,
        str(wanted),
        str(seed),
    )
    return replace(
        _halved(name, module, starts, images, parts),
        judge=judged(frechet_distance.distance),
        metric=spec.metric,
        higher_is_better=False,
        also={
            "classes covered": judged(frechet_distance.coverage),
            "confidence": judged(frechet_distance.confidence),
        },
    )


def _calibrated(name: str, data: Dataset, calibration: int, calibration_seed: int) -> Task:
    """The network and its draws from the training split; who calls adds what judges it."""
    half = len(data.train_targets) // 2
    wanted = count(calibration, name="calibration", low=1, high=half)
    seed = count(calibration_seed, name="calibration_seed", low=0)
    drawn, expected, _ = calibration_draw(data, 2 * wanted, seed=seed)
    inputs, targets = torch.tensor(drawn), torch.tensor(expected)
    module = load_network(name)
    parts = (weights_checksum(module), data.checksum, str(wanted), str(seed))
    return _halved(name, module, inputs, targets, parts)


def _halved(name: str, module: nn.Module, inputs: Tensor, targets: Tensor, parts: tuple[str, ...]) -> Task:
    """A task of ours without a judge: half of the samples calibrate, half are held out; `parts` name it."""
    wanted = len(inputs) // 2
    return Task(
        name=name,
        network=module,
        inputs=inputs[:wanted],
        targets=targets[:wanted],
        held_inputs=inputs[wanted:],
        held_targets=targets[wanted:],
        judge=None,
        metric="",
        higher_is_better=True,
        identity=hashlib.sha256("\n".join(parts).encode()).hexdigest(),
        kept=True,
        criterion=criterion_of(targets),
    )


def bare_task() -> Task:
    """A task without network, data or metric, for instances that come from elsewhere."""
    nothing = torch.empty(0)
    return Task(
        name="",
        network=nn.Identity(),
        inputs=nothing,
        targets=nothing,
        held_inputs=nothing,
        held_targets=nothing,
        judge=None,
        metric="",
        higher_is_better=True,
        identity="",
    )


def own_task(model: nn.Module, data: Any, *, samples: int = 1000, name: str = "own") -> Task:
    """A copy of a caller's module, with the first samples of a loader or of a pair as calibration data.

    Whole-numbered targets are classes, judged by cross-entropy; real ones are outputs, by squared error.
    One sample in four is held out for choices between masks; up to three samples serve as both. There is no
    judge: the caller has the test data.

    Parameters:
        model: trained module; what becomes of it later does not change the task.
        data: DataLoader, or another iterable, of batches (x, y), or one pair (x, y) of arrays or tensors. A
            real x is converted to the type of the module's parameters.
        samples: most samples to take.
        name: of the network, for records.

    Raises:
        InputError: data of another form, none of it, or NaN in it.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    network = copy.deepcopy(model).eval()
    inputs, targets = gather(data, count(samples, name="samples", low=1))
    inputs = inputs.to(_dtype(network)) if inputs.is_floating_point() else inputs
    targets = targets.to(_dtype(network)) if targets.is_floating_point() else targets.long()
    for what, tensor in (("inputs", inputs), ("targets", targets)):
        if not torch.isfinite(tensor).all():
            raise InputError(f"data must be finite, got NaN or infinity in the {what}; clean them first")
    held = torch.arange(len(inputs)) % 4 == 3
    spare = held if held.any() else ~held
    return Task(
        name=name,
        network=network,
        inputs=inputs[~held],
        targets=targets[~held],
        held_inputs=inputs[spare],
        held_targets=targets[spare],
        judge=None,
        metric="",
        higher_is_better=True,
        identity=_identity(network, inputs, targets),
        criterion=criterion_of(targets),
    )


def _dtype(network: nn.Module) -> torch.dtype:
    return next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.get_default_dtype())


def _identity(network: nn.Module, *tensors: Tensor) -> str:
    """Hash of an architecture, its weights and the data. The weights alone do not tell ReLU from Tanh."""
    digest = hashlib.sha256(f"{network}\n{weights_checksum(network)}\n".encode())
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
