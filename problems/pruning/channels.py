"""What calibration says of the channels of a network: their effects, likenesses and weights.

The effect of channel i on sample m is u_mi = Σ_positions a_mi · ∂L/∂a_mi over the activations a of all layers
of its group: the derivative of the sample's loss L by a gate that multiplies the channel, so that removing it
changes the loss by −u_mi to first order. Taylor importance is T_i = mean_m |u_mi|, Fisher importance
F_i = ½ mean_m u_mi². The similarity S_ij of two channels of one group is the |cosine| of their centred
post-activation maps over samples and positions, those of all its layers side by side, which is our reading of
Orabi et al. 2026.

References: Orabi et al. 2026, arXiv:2604.05856; Molchanov et al. 2019, arXiv:1906.10771 (Taylor);
Theis et al. 2018, arXiv:1801.05787 (Fisher); Li et al. 2017, arXiv:1608.08710 (sums of weights).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from ..arrays import Floats
from ..errors import InputError
from ..layers.inputs import BATCH, Hook, hooked
from ..layers.samples import Inputs, Samples, forward, pieces
from ..tasks.task import Task
from .coupling import by_output
from .groups import Groups
from .stored import measured_once

__all__ = [
    "DENSE",
    "Statistics",
    "batches",
    "magnitudes",
    "mean_loss",
    "measure",
    "output_axis",
    "size_of",
    "statistics",
]

DENSE = 4096
"""Most channels whose pairs are held as a dense matrix, 128 MiB; of more, those inside groups alone."""

NUMBERS = 2**22
"""Numbers in the inputs whose gradients are taken at once."""

STILL = 1e-12
"""Share of a map's mean square below which its variance is rounding noise."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """Effects (N, n) of each channel on each sample and similarity (n, n), 0 between groups; CSR for many."""

    effects: Floats
    similarity: Any

    @property
    def taylor(self) -> Floats:
        """T (n,): mean absolute effect."""
        return np.asarray(np.abs(self.effects).mean(axis=0))

    @property
    def fisher(self) -> Floats:
        """F (n,): half the mean squared effect."""
        return np.asarray(0.5 * (self.effects**2).mean(axis=0))

    @property
    def interactions(self) -> Floats:
        """E[u uᵀ] (n, n), across groups too; twice F on its diagonal."""
        return np.asarray(self.effects.T @ self.effects / len(self.effects))


def statistics(task: Task, groups: Groups) -> Statistics:
    """What `measure` finds, measured once for all sparsities."""
    return Statistics(**measured_once(task, "statistics of channels", lambda: vars(measure(task, groups))))


def measure(task: Task, groups: Groups) -> Statistics:
    """Effects and similarities of the channels on the calibration samples, in eval mode.

    Raises:
        InputError: targets that the criterion does not take, or weights that hold NaN.
    """
    found: list[Floats] = []
    moments = _Moments(groups)
    network = task.copy().requires_grad_(False)
    # Where samples do not come first in every layer, gates cannot tell them apart: one at a time then.
    size = size_of(task.inputs) if _samples_first(network, groups, task.inputs) else 1
    for inputs, targets in batches(task.inputs, task.targets, size):
        found.append(_effects(task, network, groups, inputs, targets, moments))
    effects = np.concatenate(found)
    if not np.isfinite(effects).all():
        raise InputError("effects of the channels must be finite; check the network's weights for NaN")
    return Statistics(effects, moments.cosine())


def batches(inputs: Inputs, targets: Inputs, size: int) -> Iterator[tuple[Inputs, Inputs]]:
    """Inputs and their targets, at most `size` samples at a time."""
    start = 0
    for piece in pieces(inputs, size):
        yield piece, targets[start : start + len(piece)]
        start += len(piece)


def _samples_first(network: nn.Module, groups: Groups, inputs: Inputs) -> bool:
    """Whether twice the samples make every layer put out twice the rows."""
    few = Samples(inputs.batches[:1], inputs.call) if isinstance(inputs, Samples) else inputs
    if len(few) < 2:
        return True
    rows: dict[str, list[int]] = defaultdict(list)

    def noted(name: str) -> Hook:
        return lambda _, __, output: rows[name].append(len(output))

    hooks = {network.get_submodule(chain[-1]): noted(chain[-1]) for chain in _chains(groups)}
    with hooked(hooks), torch.no_grad():
        forward(network, few[:1])
        forward(network, few[:2])
    found = [rows[chain[-1]] for chain in _chains(groups)]  # an expert's may be none
    return all(len(one) == 2 and one[1] == 2 * one[0] for one in found)


def size_of(inputs: Inputs) -> int:
    """Samples whose gradients are taken at once."""
    each = inputs[0].numel() if isinstance(inputs, Tensor) and len(inputs) else 1
    return max(1, min(BATCH, NUMBERS // max(each, 1)))


def _effects(
    task: Task, network: nn.Module, groups: Groups, inputs: Inputs, targets: Inputs, moments: _Moments
) -> Floats:
    """Gradient (samples, n) of the summed loss by gates of one; the maps are added to the moments."""
    dtype = inputs.dtype if isinstance(inputs, Tensor) and inputs.is_floating_point() else _dtype(network)
    # One gate more than there are channels, for those that are no variables: their index is −1.
    gates = torch.ones(len(inputs), groups.total + 1, dtype=dtype, requires_grad=True)
    hooks: dict[nn.Module, Hook] = {}

    def gated(name: str) -> Hook:
        axis = output_axis(network.get_submodule(name))

        def multiply(_: nn.Module, __: object, output: Tensor) -> Tensor:
            moments.add(name, output.detach().movedim(axis, 1))
            gate = _over(gates[:, torch.tensor(groups.outputs[name])], output, name)
            between = [1] * (output.dim() - 2)
            return output * gate.reshape(len(gate), *between, -1).movedim(-1, axis)

        return multiply

    for chain in _chains(groups):
        hooks[network.get_submodule(chain[-1])] = gated(chain[0])
    with hooked(hooks), torch.enable_grad():
        torch.autograd.backward(task.criterion(forward(network, inputs), targets))
    assert gates.grad is not None
    return np.asarray(gates.grad[:, :-1].double().numpy())


def _over(gate: Tensor, output: Tensor, name: str) -> Tensor:
    """A sample's gates for each row of an output that has several rows a sample, such as windows.

    Raises:
        InputError: rows are no multiple of the samples.
    """
    times, rest = divmod(len(output), len(gate))
    if rest or not times:
        raise InputError(
            f"layer {name} must put out samples first to be pruned, got {len(output)} rows for {len(gate)} "
            "samples; pass batch_first=True where the network has it"
        )
    return gate if times == 1 else gate.repeat_interleave(times, dim=0)


def _dtype(network: nn.Module) -> torch.dtype:
    """Of the parameters, which gates are multiplied with where the inputs are no real numbers."""
    return next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.get_default_dtype())


def _chains(groups: Groups) -> list[tuple[str, ...]]:
    """Every layer that makes channels with what follows it; two groups may have one in common."""
    return list(dict.fromkeys(chain for group in groups.groups for chain in group.chains))


class _Moments:
    """Running moments of the channels' maps, centred layer by layer, for the cosine of two of a group."""

    def __init__(self, groups: Groups) -> None:
        self.groups = groups
        self.rows: defaultdict[str, int] = defaultdict(int)
        self.first: defaultdict[str, Floats] = defaultdict(lambda: np.zeros(groups.total))
        self.second = [np.zeros((width, width)) for width in groups.widths]

    def add(self, name: str, maps: Tensor) -> None:
        """Count what the chain that begins with the layer of that name put out, its channels second."""
        values = np.asarray(maps.transpose(0, 1).flatten(1).double().numpy())
        variables = self.groups.outputs[name]
        for span, second in zip(self.groups.spans(), self.second, strict=True):
            mine = (variables >= span.start) & (variables < span.stop)
            if mine.any():
                inside = variables[mine]
                # Of a head there are several rows, and each adds to its own pairs.
                np.add.at(self.first[name], inside, values[mine].sum(axis=1))
                products = values[mine] @ values[mine].T
                np.add.at(second, np.ix_(inside - span.start, inside - span.start), products)
        self.rows[name] += values.shape[1]

    def cosine(self) -> Any:
        """|cosine| (n, n), 0 on the diagonal, between groups, and for maps that never change."""
        blocks = [
            self._block(span, second) for span, second in zip(self.groups.spans(), self.second, strict=True)
        ]
        if self.groups.total > DENSE:
            return sp.block_diag(blocks, format="csr")
        whole = np.zeros((self.groups.total, self.groups.total))
        for span, block in zip(self.groups.spans(), blocks, strict=True):
            whole[span, span] = block
        return whole

    def _block(self, span: slice, second: Floats) -> Floats:
        """The |cosine| of the channels of one group."""
        lost = [np.outer(first[span], first[span]) / self.rows[name] for name, first in self.first.items()]
        covariance = second - np.sum(lost, axis=0)
        variance = np.diag(covariance)
        size = np.sqrt(np.where(variance > STILL * np.diag(second), variance, 0.0))
        norm = np.outer(size, size)
        cosine = np.abs(np.divide(covariance, norm, out=np.zeros_like(norm), where=norm > 0))
        np.fill_diagonal(cosine, 0.0)
        return np.asarray(np.minimum((cosine + cosine.T) / 2, 1.0))


def magnitudes(task: Task, groups: Groups) -> Floats:
    """‖W_i‖₁ (n,): the absolute weights that make channel i, summed over all layers of its group.

    Raises:
        InputError: weights that are not finite.
    """
    sizes = np.zeros(groups.total)
    for chain in _chains(groups):
        variables, layer = groups.outputs[chain[0]], task.network.get_submodule(chain[0])
        weight = by_output(layer, layer.get_parameter("weight").detach().double())
        found = weight.abs().flatten(1).sum(dim=1).numpy()
        np.add.at(sizes, variables[variables >= 0], found[variables >= 0])
    if not np.isfinite(sizes).all():
        raise InputError("weights of the network must be finite; check them for NaN")
    return sizes


def mean_loss(task: Task, network: nn.Module, inputs: Inputs, targets: Inputs) -> float:
    """The task's criterion, a mean over samples (N, ...) and their targets, of a network in eval mode."""
    total = 0.0
    with torch.no_grad():
        for piece, expected in batches(inputs, targets, BATCH):
            total += float(task.criterion(forward(network, piece).double(), expected))
    return total / len(inputs)


def output_axis(layer: nn.Module) -> int:
    """Where a layer's outputs lie."""
    return -1 if isinstance(layer, nn.Linear) else 1
