"""Filter pruning: which filters of a trained network stay when exactly K may (Orabi et al. 2026).

x_i = 1 keeps filter i. The effect of filter i on sample m is u_mi = Σ_positions a_mi · ∂L/∂a_mi, the first-order
change of the loss L if its activation a were removed; Taylor importance T_i = mean_m |u_mi| and Fisher
importance F_i = ½ mean_m u_mi². The similarity S_ij of two filters of one layer is the |cosine| of their
centred post-activation maps. How T and F are normalised and S is measured is our reading of the paper.

References: Orabi et al. 2026, arXiv:2604.05856; Molchanov et al. 2019, arXiv:1906.10771 (Taylor);
Theis et al. 2018, arXiv:1801.05787 (Fisher).
"""

from __future__ import annotations

import copy
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .arrays import Bits, Floats, count, number
from .blackbox import BlackBox
from .capacity import Capacity
from .errors import InputError
from .instance import Instance
from .layers import BATCH, hooked, running_order
from .registry import problem
from .task import Task

__all__ = ["Filters", "Statistics", "hybrid", "measure", "prunable", "taylor"]

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Hardswish)


@dataclass(frozen=True)
class Filters:
    """The prunable filters of a network, one variable each, layer after layer.

    Attributes:
        layers: names of the layers that make them.
        outputs: names of the modules whose output is their activation, the layer's own if it has none.
        widths: filters of each layer.
    """

    layers: tuple[str, ...]
    outputs: tuple[str, ...]
    widths: tuple[int, ...]

    @property
    def total(self) -> int:
        """Number of variables."""
        return sum(self.widths)

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


@problem("taylor", family="pruning")
def taylor(task: Task, *, keep: float = 0.64, refine: int = 0) -> Generator[Instance, Bits, nn.Module]:
    """Keep the K filters of the largest Taylor importance: E(x) = −Σ T̃_i x_i, Σ x = K.

    Linear, so greedy is optimal: the baseline of the family and the check that a solver keeps the capacity.

    Parameters:
        keep: fraction of the filters kept, in (0, 1].
        refine: where positive, that many of the least certain filters are then chosen by the true loss.

    Raises:
        InputError: keep outside (0, 1], or no filter to prune.

    References:
        Molchanov et al. 2019, arXiv:1906.10771.
    """
    filters = prunable(task)
    importance = _normalised(measure(task, filters).taylor)
    return (yield from _select(task, filters, np.diag(-importance), keep, refine))


@problem("hybrid", family="pruning")
def hybrid(
    task: Task, *, keep: float = 0.64, alpha: float = 0.5, beta: float = 0.1, refine: int = 0
) -> Generator[Instance, Bits, nn.Module]:
    """Keep K filters that matter and are unlike: E(x) = −Σ I_i x_i + β Σ_{i<j} S_ij x_i x_j, Σ x = K.

    I = α T̃ + (1 − α) F̃; the tilde divides by the mean over all filters (our reading). The capacity is exact,
    part of the instance and not a penalty.

    Parameters:
        keep: fraction of the filters kept, in (0, 1].
        alpha: weight of Taylor against Fisher, in [0, 1].
        beta: weight of similarity, at least 0.
        refine: where positive, that many of the least certain filters are then chosen by the true loss.

    Raises:
        InputError: a parameter outside its range, or no filter to prune.

    References:
        Orabi et al. 2026, arXiv:2604.05856.
    """
    if not 0 <= number(alpha, name="alpha") <= 1:
        raise InputError(f"alpha must lie in [0, 1], got {alpha}")
    if number(beta, name="beta") < 0:
        raise InputError(f"beta must not be negative, got {beta}")
    filters = prunable(task)
    found = measure(task, filters)
    importance = alpha * _normalised(found.taylor) + (1 - alpha) * _normalised(found.fisher)
    # Each pair stands twice in a symmetric Q, so half of β S is its share.
    Q = np.diag(-importance) + 0.5 * beta * found.similarity
    return (yield from _select(task, filters, Q, keep, refine))


def _normalised(importance: Floats) -> Floats:
    return importance / (float(importance.mean()) or 1.0)


def _select(
    task: Task, filters: Filters, Q: Floats, keep: float, refine: int
) -> Generator[Instance, Bits, nn.Module]:
    """The exact-capacity stage, the refinement if wanted, and the masked network."""
    capacity = Capacity(Q, np.ones(filters.total), kept(keep, filters.total))
    x = yield capacity
    if count(refine, name="refine", low=0, high=filters.total):
        chosen = _least_certain(capacity, x, refine)
        mask = np.array(x)
        mask[chosen] = yield _refinement(task, filters, mask, chosen)
        x = mask
    return _masked(task.network, filters, x)


def kept(keep: float, total: int) -> int:
    """Number of filters that a fraction stands for, at least one.

    Raises:
        InputError: a fraction outside (0, 1].
    """
    if not 0 < number(keep, name="keep") <= 1:
        raise InputError(f"keep must lie in (0, 1], got {keep}; 0.64 keeps 64 % of the filters")
    return max(1, round(keep * total))


def prunable(task: Task) -> Filters:
    """Filters of every Conv2d and hidden units of every Linear but the last layer, whose outputs are classes.

    Raises:
        InputError: there is no such layer.
    """
    order = running_order(task.network, task.inputs)
    modules = [task.network.get_submodule(name) for name in order]
    makers = [i for i, module in enumerate(modules) if isinstance(module, (nn.Conv2d, nn.Linear))][:-1]
    if not makers:
        raise InputError("the network must have a layer before its last one to prune; it has none")
    widths = tuple(int(modules[i].get_parameter("weight").shape[0]) for i in makers)
    outputs = tuple(order[_activation_after(modules, i)] for i in makers)
    return Filters(tuple(order[i] for i in makers), outputs, widths)


def _activation_after(modules: list[nn.Module], maker: int) -> int:
    """Index of the activation that follows a layer, BatchNorm passed over; the layer's own if none does."""
    for i in range(maker + 1, len(modules)):
        if isinstance(modules[i], ACTIVATIONS):
            return i
        if not isinstance(modules[i], nn.BatchNorm2d):
            return maker
    return maker


def measure(task: Task, filters: Filters) -> Statistics:
    """Effects and similarities of the filters on the calibration samples, in eval mode."""
    effects: list[Floats] = []
    moments = [_Moments() for _ in filters.layers]
    network = copy.deepcopy(task.network).eval().requires_grad_(True)
    for start in range(0, len(task.inputs), BATCH):
        inputs, targets = task.inputs[start : start + BATCH], task.targets[start : start + BATCH]
        maps = _activations(network, filters, inputs, targets)
        effects.append(np.concatenate([_effects(a) for a in maps], axis=1))
        for moment, a in zip(moments, maps, strict=True):
            moment.add(a.detach())
    similarity = np.zeros((filters.total, filters.total))
    for span, moment in zip(filters.spans(), moments, strict=True):
        similarity[span, span] = moment.cosine()
    return Statistics(np.concatenate(effects), similarity)


def _activations(network: nn.Module, filters: Filters, inputs: Tensor, targets: Tensor) -> list[Tensor]:
    """Activations of each layer, each with the gradient of the summed cross-entropy."""
    seen: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, _: object, output: Tensor) -> None:
        output.retain_grad()
        seen[module] = output

    modules = [network.get_submodule(name) for name in filters.outputs]
    with hooked(dict.fromkeys(modules, keep)), torch.enable_grad():
        functional.cross_entropy(network(inputs), targets, reduction="sum").backward()  # type: ignore[no-untyped-call]
    return [seen[module] for module in modules]


def _effects(a: Tensor) -> Floats:
    """u (N, channels): activation times gradient, summed over positions, in float64."""
    assert a.grad is not None
    product = (a.detach() * a.grad).double()
    return np.asarray(product.flatten(2).sum(dim=2).numpy() if a.dim() > 2 else product.numpy())


class _Moments:
    """Streamed first and second moments of a layer's maps, for the cosine of centred maps."""

    def __init__(self) -> None:
        self.count, self.first, self.second = 0, np.zeros(0), np.zeros((0, 0))

    def add(self, a: Tensor) -> None:
        rows = a.double().transpose(0, 1).flatten(1).numpy()
        first, second = rows.sum(axis=1), rows @ rows.T
        self.first = first if not self.count else self.first + first
        self.second = second if not self.count else self.second + second
        self.count += rows.shape[1]

    def cosine(self) -> Floats:
        """|cosine| (channels, channels), 0 on the diagonal and for maps that never change."""
        mean = self.first / self.count
        covariance = self.second / self.count - np.outer(mean, mean)
        size = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        norm = np.outer(size, size)
        cosine = np.abs(np.divide(covariance, norm, out=np.zeros_like(norm), where=norm > 1e-30))
        np.fill_diagonal(cosine, 0.0)
        return np.asarray(np.minimum((cosine + cosine.T) / 2, 1.0))


def _least_certain(capacity: Capacity, x: Bits, wanted: int) -> list[int]:
    """The filters whose marginal energy is nearest to the border between kept and removed."""
    slope = capacity.qubo.linear + 2 * (capacity.qubo.couplings @ x.astype(np.float64))
    removed = slope[x == 0]
    border = (slope[x == 1].max(initial=-np.inf) + removed.min(initial=np.inf)) / 2
    distance = np.abs(slope - (border if np.isfinite(border) else 0.0))
    return sorted(int(i) for i in np.argsort(distance, kind="stable")[:wanted])


def _refinement(task: Task, filters: Filters, mask: Bits, chosen: list[int]) -> BlackBox:
    """Cross-entropy on the held-out calibration samples as a function of the chosen filters, same number kept."""

    def evaluate(points: Bits) -> Floats:
        masks = np.repeat(mask[None], len(points), axis=0)
        masks[:, chosen] = points
        return np.array([_held_loss(task, filters, one) for one in masks])

    return BlackBox(evaluate, len(chosen), start=mask[chosen], K=int(mask[chosen].sum()))


def _held_loss(task: Task, filters: Filters, mask: Bits) -> float:
    """Mean cross-entropy (nats) of the masked network on the held-out samples."""
    hooks = {}
    for name, span in zip(filters.outputs, filters.spans(), strict=True):
        hooks[task.network.get_submodule(name)] = _masking(torch.tensor(mask[span], dtype=torch.bool))
    total = 0.0
    with hooked(hooks), torch.no_grad():  # type: ignore[arg-type]
        for start in range(0, len(task.held_inputs), BATCH):
            output = task.network(task.held_inputs[start : start + BATCH]).double()
            targets = task.held_targets[start : start + BATCH]
            total += float(functional.cross_entropy(output, targets, reduction="sum"))
    return total / len(task.held_inputs)


def _masking(keep: Tensor):  # type: ignore[no-untyped-def]
    """A forward hook that zeroes the removed channels of an output."""

    def hook(_: nn.Module, __: object, output: Tensor) -> Tensor:
        shape = (1, -1, *[1] * (output.dim() - 2))
        return output * keep.reshape(shape)

    return hook


def _masked(network: nn.Module, filters: Filters, x: Bits) -> nn.Module:
    """A copy of the network in which the removed filters put out zeros."""
    copied = copy.deepcopy(network)
    for name, output, span in zip(filters.layers, filters.outputs, filters.spans(), strict=True):
        removed = torch.tensor(x[span] == 0)
        for part in _parts_between(copied, name, output):
            with torch.no_grad():
                for tensor in part.parameters(recurse=False):
                    tensor[removed] = 0.0
    return copied


def _parts_between(network: nn.Module, name: str, output: str) -> list[nn.Module]:
    """The layer, and the BatchNorm that would turn its zeros into a constant."""
    names = [n for n, module in network.named_modules() if not list(module.children())]
    between = names[names.index(name) : names.index(output) + 1]
    parts = [network.get_submodule(n) for n in between]
    return [part for part in parts if isinstance(part, (nn.Conv2d, nn.Linear, nn.BatchNorm2d))]
