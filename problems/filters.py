"""The prunable filters of a network, what calibration says of them, and the network without some.

The effect of filter i on sample m is u_mi = Σ_positions a_mi · ∂L/∂a_mi, the first-order change of the loss L
if its activation a were removed; Taylor importance T_i = mean_m |u_mi| and Fisher importance
F_i = ½ mean_m u_mi². The similarity S_ij of two filters of one layer is the |cosine| of their centred
post-activation maps over samples and positions, which is our reading of Orabi et al. 2026.

References: Orabi et al. 2026, arXiv:2604.05856; Molchanov et al. 2019, arXiv:1906.10771 (Taylor);
Theis et al. 2018, arXiv:1801.05787 (Fisher).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .arrays import Bits, Floats
from .errors import InputError
from .layers import BATCH, Call, calls, hooked
from .task import Task

__all__ = ["Filters", "Statistics", "cross_entropy", "measure", "prunable", "remove"]

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Hardswish)
"""Each maps 0 to 0, so that a filter without weights puts out zeros."""

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)

STILL = 1e-12
"""Share of a map's mean square below which its variance is rounding noise."""


@dataclass(frozen=True)
class Filters:
    """The prunable filters of a network, one variable each, layer after layer.

    Attributes:
        chains: for each layer its name, then those of the BatchNorms that follow it and of the activation
            after them; the output of the last is the filters' activation.
        widths: filters of each layer.
    """

    chains: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]

    @property
    def total(self) -> int:
        """Number of variables."""
        return sum(self.widths)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that make the filters."""
        return tuple(chain[0] for chain in self.chains)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the modules whose output is the filters' activation."""
        return tuple(chain[-1] for chain in self.chains)

    def spans(self) -> list[slice]:
        """Variables of each layer."""
        ends = np.cumsum(self.widths)
        return [slice(int(end - width), int(end)) for end, width in zip(ends, self.widths, strict=True)]


@dataclass(frozen=True, eq=False)
class Statistics:
    """What calibration says of the filters: effects (N, n) of each on each sample, similarity (n, n)."""

    effects: Floats
    similarity: Floats

    @property
    def taylor(self) -> Floats:
        """T (n,): mean absolute effect."""
        return np.asarray(np.abs(self.effects).mean(axis=0))

    @property
    def fisher(self) -> Floats:
        """F (n,): half the mean squared effect."""
        return np.asarray(0.5 * (self.effects**2).mean(axis=0))


def prunable(task: Task) -> Filters:
    """Filters of every Conv2d and hidden units of every Linear but the last layer, whose outputs are classes.

    Raises:
        InputError: there is no such layer, one runs twice in a pass, or a Linear puts out sequences.
    """
    network = task.copy()
    made = calls(network, task.inputs)
    makers = [
        i
        for i, call in enumerate(made)
        if isinstance(network.get_submodule(call.name), (nn.Conv2d, nn.Linear))
    ]
    if len(makers) < 2:
        raise InputError("the network must have a layer before its last one to prune; it has none")
    for i in makers[:-1]:
        _check_maker(network, made, made[i])
    chains = tuple(_chain(network, made, i) for i in makers[:-1])
    return Filters(chains, tuple(int(made[i].output.shape[1]) for i in makers[:-1]))


def _check_maker(network: nn.Module, made: list[Call], call: Call) -> None:
    if _runs(made, call.name) > 1:
        raise InputError(
            f"layer {call.name} must run once in a pass to be pruned, got {_runs(made, call.name)}"
        )
    if isinstance(network.get_submodule(call.name), nn.Linear) and call.output.dim() != 2:
        shape = tuple(call.output.shape)
        raise InputError(f"layer {call.name} must put out (samples, units) to be pruned, got shape {shape}")


def _runs(made: list[Call], name: str) -> int:
    return sum(call.name == name for call in made)


def _chain(network: nn.Module, made: list[Call], start: int) -> tuple[str, ...]:
    """The layer and, as long as each takes what the one before puts out, BatchNorms and an activation.

    A module that runs again elsewhere, such as a shared ReLU, ends the chain before it: it is not the
    layer's alone.
    """
    chain = [made[start]]
    for call in made[start + 1 :]:
        module = network.get_submodule(call.name)
        follows = call.argument is chain[-1].output and _runs(made, call.name) == 1
        if not (follows and isinstance(module, NORMS + ACTIVATIONS)):
            break
        chain.append(call)
        if isinstance(module, ACTIVATIONS):
            break
    return tuple(call.name for call in chain)


def remove(network: nn.Module, filters: Filters, x: Bits, *, original: nn.Module) -> None:
    """Make `network`, a copy of `original`, put out zeros wherever a filter is removed, x (n,) being 0.

    The filter's weights and bias become 0, and so does what a BatchNorm would make of its zeros.
    """
    with torch.no_grad():
        for chain, span in zip(filters.chains, filters.spans(), strict=True):
            removed = torch.from_numpy(x[span] == 0)
            for name in chain:
                ours, theirs = network.get_submodule(name), original.get_submodule(name)
                for tensor, source in zip(_by_filter(ours), _by_filter(theirs), strict=True):
                    tensor.copy_(source)
                    tensor[removed] = 0.0


def _by_filter(part: nn.Module) -> list[Tensor]:
    """Tensors of a layer or BatchNorm that hold something of each filter and make its output."""
    mean = part.running_mean if isinstance(part, NORMS) else None
    return [*part.parameters(recurse=False), *([] if mean is None else [mean])]


def cross_entropy(network: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """Mean cross-entropy (nats) of a network in eval mode over samples (N, ...) and their classes (N,)."""
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(inputs), BATCH):
            output = network(inputs[start : start + BATCH]).double()
            total += float(functional.cross_entropy(output, targets[start : start + BATCH], reduction="sum"))
    return total / len(inputs)


def measure(task: Task, filters: Filters) -> Statistics:
    """Effects and similarities of the filters on the calibration samples, in eval mode.

    Raises:
        InputError: the targets are no classes of the network's outputs, or weights hold NaN.
    """
    effects: list[Floats] = []
    moments = [_Moments() for _ in filters.chains]
    network = task.copy().requires_grad_(True)
    for start in range(0, len(task.inputs), BATCH):
        inputs, targets = task.inputs[start : start + BATCH], task.targets[start : start + BATCH]
        maps = _activations(network, filters, inputs, targets)
        effects.append(np.concatenate([_effects(a) for a in maps], axis=1))
        for moment, a in zip(moments, maps, strict=True):
            moment.add(a.detach())
    found = np.concatenate(effects)
    if not np.isfinite(found).all():
        raise InputError("effects of the filters must be finite; check the network's weights for NaN")
    return Statistics(found, _block_diagonal(filters, [moment.cosine() for moment in moments]))


def _block_diagonal(filters: Filters, blocks: list[Floats]) -> Floats:
    whole = np.zeros((filters.total, filters.total))
    for span, block in zip(filters.spans(), blocks, strict=True):
        whole[span, span] = block
    return whole


def _activations(network: nn.Module, filters: Filters, inputs: Tensor, targets: Tensor) -> list[Tensor]:
    """Activations of each layer, each with the gradient of the summed cross-entropy."""
    seen: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, _: object, output: Tensor) -> None:
        output.retain_grad()
        seen[module] = output

    modules = [network.get_submodule(name) for name in filters.outputs]
    with hooked(dict.fromkeys(modules, keep)), torch.enable_grad():
        outputs = network(inputs)
        _check_classes(outputs, targets)
        torch.autograd.backward(functional.cross_entropy(outputs, targets, reduction="sum"))
    return [seen[module] for module in modules]


def _check_classes(outputs: Tensor, targets: Tensor) -> None:
    good = outputs.dim() == 2 and targets.dim() == 1 and targets.dtype == torch.int64
    if not (good and int(targets.min()) >= 0 and int(targets.max()) < outputs.shape[1]):
        got = f"outputs {tuple(outputs.shape)} and {targets.dtype} targets {tuple(targets.shape)}"
        raise InputError(f"targets must be classes (N,) of outputs (N, classes), got {got}")


def _effects(a: Tensor) -> Floats:
    """Activation times gradient, summed over positions: (N, channels) in float64."""
    assert a.grad is not None
    product = a.detach().double() * a.grad.double()
    return np.asarray(product.flatten(2).sum(dim=2).numpy() if a.dim() > 2 else product.numpy())


class _Moments:
    """Running first and second moments of a layer's maps, for the cosine of centred maps."""

    def __init__(self) -> None:
        self.rows = 0
        self.first: Floats | float = 0.0
        self.second: Floats | float = 0.0

    def add(self, a: Tensor) -> None:
        maps = np.asarray(a.double().transpose(0, 1).flatten(1).numpy())
        self.first = self.first + maps.sum(axis=1)
        self.second = self.second + maps @ maps.T
        self.rows += maps.shape[1]

    def cosine(self) -> Floats:
        """|cosine| (channels, channels), 0 on the diagonal and for maps that never change."""
        mean, square = np.asarray(self.first) / self.rows, np.asarray(self.second) / self.rows
        covariance = square - np.outer(mean, mean)
        variance = np.diag(covariance)
        size = np.sqrt(np.where(variance > STILL * np.diag(square), variance, 0.0))
        norm = np.outer(size, size)
        cosine = np.abs(np.divide(covariance, norm, out=np.zeros_like(norm), where=norm > 0))
        np.fill_diagonal(cosine, 0.0)
        return np.asarray(np.minimum((cosine + cosine.T) / 2, 1.0))
