"""Task: a trained network, the data that calibrates its compression, and the metric that judges it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from ..layers.samples import Inputs
from ..layers.sums import MEMORY
from ..networks.zoo import Network, network
from .kinds import Judge, kind_of, spec_of
from .ledger import Ledger
from .rules import Rules
from .training_losses import Criterion, criterion_of, summed_cross_entropy

__all__ = [
    "Task",
    "bare_task",
    "classification_task",
    "denoising_task",
    "generator_task",
    "task_of",
]


@dataclass(frozen=True, eq=False)
class Task:
    """What a problem compresses and by what it is judged. No problem changes the network in place.

    Attributes:
        name: of the network.
        network: trained module in eval mode.
        inputs, targets: calibration samples (N, ...) and their classes (N,) or, where the network puts out
            images, the images (N, ...) it should put out; from training data only. Targets are `Samples`
            where they have no common shape, or a criterion of the caller's takes whole batches.
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
        memory: bytes of Gram matrices that may be in memory at once; others lie in temporary files.
    """

    name: str
    network: nn.Module
    inputs: Inputs
    targets: Inputs
    held_inputs: Inputs
    held_targets: Inputs
    judge: Callable[[nn.Module], float] | None
    metric: str
    higher_is_better: bool
    identity: str
    kept: bool = False
    criterion: Criterion = summed_cross_entropy
    also: Mapping[str, Callable[[nn.Module], float]] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    ledger: Ledger = field(default_factory=Ledger)
    memory: int = MEMORY

    def copy(self) -> nn.Module:
        """A copy of the network, in eval mode, that a problem may change."""
        return copy.deepcopy(self.network).eval()


def task_of(name: str, *, calibration: int = 500, calibration_seed: int = 0) -> Task:
    """The task of a network of ours, whatever its kind.

    Raises as `classification_task` does.
    """
    return _task(network(name), calibration, seed=calibration_seed)


def classification_task(name: str, *, calibration: int = 500, calibration_seed: int = 0) -> Task:
    """A network of ours with `calibration` training samples, as many held-out ones, and its test accuracy.

    Raises:
        InputError: an unknown network, a denoiser, or more samples than the training split can give twice.
        MissingDataError: the data set is not on this machine.
    """
    return _task(spec_of(name, "classifier"), calibration, seed=calibration_seed)


def denoising_task(name: str, *, calibration: int = 500, calibration_seed: int = 0) -> Task:
    """A denoiser of ours with `calibration` noisy and clean patches of training scenes, and as many others.

    Its metric is the mean PSNR (dB) over images and noise of scenes that nothing was trained on; it also has
    their mean SSIM.

    Raises as `classification_task` does.
    """
    return _task(spec_of(name, "denoiser"), calibration, seed=calibration_seed)


def generator_task(name: str, *, calibration: int = 200, calibration_seed: int = 0) -> Task:
    """A generator of ours with `calibration` initial states, its own images of them, and as many others.

    Its metric is the Fréchet distance of its images, of fixed initial states, to the test images; it also has
    the share of the classes that they cover and how sure a classifier is of them. The initial states of
    calibration are never those that judge.

    Raises as `classification_task` does.
    """
    return _task(spec_of(name, "generator"), calibration, seed=calibration_seed)


def _task(spec: Network, calibration: int, *, seed: int) -> Task:
    """Half of the samples that are drawn calibrate, half are held out."""
    kind = kind_of(spec)
    drawn = kind.draw(spec, calibration, seed=seed)
    half = len(drawn.inputs) // 2

    def on_its_data(judge: Judge) -> Callable[[nn.Module], float]:
        return lambda candidate: judge(candidate, drawn.data)

    return Task(
        name=spec.name,
        network=drawn.network,
        inputs=drawn.inputs[:half],
        targets=drawn.targets[:half],
        held_inputs=drawn.inputs[half:],
        held_targets=drawn.targets[half:],
        judge=on_its_data(kind.judge),
        metric=kind.metric,
        higher_is_better=kind.higher_is_better,
        identity=drawn.identity,
        kept=True,
        criterion=criterion_of(drawn.targets),
        also={name: on_its_data(judge) for name, judge in kind.also.items()},
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
