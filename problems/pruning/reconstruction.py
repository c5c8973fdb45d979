"""Reconstruction: what the layers that read a channel miss when it is gone, and its least-squares repair.

A taker's pre-activation is Z = Σ_c Y_c + b, Y_c being what channel c adds by the taker's weights. Without the
channels R it is off by exactly Σ_{c∈R} Y_c, so the error is quadratic in the removed set:
‖Σ_{c∈R} Y_c‖² = rᵀ C r with C_cd = ⟨Y_c, Y_d⟩. With weights W and the Gram matrix G of the taker's inputs,
C is the sum of (WᵀW) ∘ G over the inputs a of c and b of d; no activation has to be kept.

Errors of several takers are added up as fractions of what each puts out ("relative"), or by how the loss
answers to them ("loss"): ½ Σ_o w_o E[ΔZ_o²] with w_o = E[(∂L/∂z_o)²], outputs and positions taken to be
independent as in K-FAC (Martens & Grosse 2015, arXiv:1503.05671). Targets are drawn from what the network
itself says, so that w is the loss's curvature even where the network errs (Kunstner et al. 2019,
arXiv:1905.12558). A quadratic overrates what a taker can do to the loss when most of its inputs go, so
"balanced", between the two, divides such an error by the root of the greatest, that of all inputs.

The repair refits the kept weights to the pre-activations of the original network, as in He et al. 2017
(arXiv:1707.06168); the choice of channels by C is ours.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from ..arrays import Floats
from ..layers.inputs import Hook, hooked
from ..layers.samples import Inputs, forward
from ..layers.uses import Use
from ..own.losses import drawn_by, required
from ..tasks.task import Task
from ..tasks.training_losses import Criterion
from .channels import DENSE, batches, output_axis, size_of
from .coupling import Ints, inputs_of
from .grams import grams_of_inputs
from .groups import Groups

__all__ = ["WEIGHTS", "contributions", "errors", "sensitivities"]

WEIGHTS = ("relative", "loss", "balanced")
"""In what the errors of several takers are added up."""

DRAWS = 4
"""Targets drawn for each sample, from which the loss's curvature is estimated."""

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def errors(task: Task, groups: Groups, *, centred: bool, weight: str) -> Any:
    """C (n, n), CSR for many channels: rᵀ C r is the error of removing r, summed over all takers.

    Each taker is taken alone, its inputs being those of the whole network. Centred, the mean over samples and
    positions counts neither in the error nor in what divides it: a BatchNorm re-estimated afterwards, or a
    bias, takes it up.

    Parameters:
        task: the network, and the samples that calibrate it.
        groups: its channels, n in all.
        centred: whether errors are counted about their mean.
        weight: "relative" divides the squared error of a taker by ‖Σ_c Y_c‖² over all its inputs, those that
            nothing can remove included; "loss" weights its outputs by `sensitivities`, in units of the loss;
            "balanced" is the geometric mean of the two, of takers whose outputs are weighted.

    Raises:
        InputError: a taker makes another weight of its own one, or NaN reaches it.
    """
    felt = {} if weight == "relative" else sensitivities(task, groups)
    grams = grams_of_inputs(task.network, list(groups.inputs), task.inputs, memory=task.memory)
    C: Any = np.zeros((groups.total, groups.total)) if groups.total <= DENSE else []
    for use, gram in grams:
        variables = groups.inputs[use.name]
        found = _contributions(task, use, gram, centred=centred, weights=felt.get(use.name))
        whole, mine = float(found.sum()), variables >= 0
        if whole > 0:
            scale = {"relative": whole, "loss": 2.0, "balanced": (2.0 * whole) ** 0.5}[weight]
            block = found[np.ix_(mine, mine)] / scale
            if isinstance(C, list):
                C.append(_placed(block, variables[mine], groups.total))
            else:
                np.add.at(C, np.ix_(variables[mine], variables[mine]), block)
    if isinstance(C, list):
        C = sum(C[1:], C[0]) if C else sp.csr_array((groups.total, groups.total))
    return (C + C.T) / 2


def _placed(block: Floats, variables: Ints, total: int) -> Any:
    """A block of pairs of variables as CSR (n, n), pairs that come twice added up."""
    own, inside = np.unique(variables, return_inverse=True)
    summed = np.zeros((len(own), len(own)))
    np.add.at(summed, np.ix_(inside, inside), block)
    rows, columns = np.repeat(own, len(own)), np.tile(own, len(own))
    return sp.csr_array(sp.coo_array((summed.ravel(), (rows, columns)), shape=(total, total)))


def contributions(task: Task, name: str, *, centred: bool, weights: Floats | None = None) -> Floats:
    """⟨Y_c, Y_d⟩ (p, p) of the p input channels of a layer, a mean over its rows: samples and positions.

    Outputs count by `weights` (outputs,), all by 1 where there are none.

    Raises:
        InputError: as `errors`.
    """
    ((use, gram),) = grams_of_inputs(task.network, [name], task.inputs, memory=task.memory)
    return _contributions(task, use, gram, centred=centred, weights=weights)


def _contributions(task: Task, use: Use, gram: Floats, *, centred: bool, weights: Floats | None) -> Floats:
    mean = gram[-1, :-1] if centred else np.zeros(len(gram) - 1)
    W = use.matrix(task.network)
    weighted = W if weights is None else weights[:, None] * W
    products = (W.T @ weighted) * (gram[:-1, :-1] - np.outer(mean, mean))
    channels = inputs_of(task.network.get_submodule(use.name))
    size = len(products) // channels
    return np.asarray(products.reshape(channels, size, channels, size).sum(axis=(1, 3)))


# ---- what the loss feels


def sensitivities(task: Task, groups: Groups) -> dict[str, Floats]:
    """Σ_positions (∂L/∂z_o)² (outputs,), a mean over samples, for the outputs of each taker.

    L is the loss of one sample and a target that the network's own output draws, `DRAWS` times.
    """
    network = task.copy().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    total = dict.fromkeys(groups.inputs, np.zeros(1))
    for batch, targets in batches(task.inputs, task.targets, size_of(task.inputs)):
        for _ in range(DRAWS):
            for name, slope in _slopes(task, network, list(total), (batch, targets), generator).items():
                axis = output_axis(network.get_submodule(name))
                squares = slope.double().square().movedim(axis, 0).flatten(1).sum(dim=1)
                total[name] = total[name] + squares.numpy()
    return {name: found / (DRAWS * len(task.inputs)) for name, found in total.items()}


def _slopes(
    task: Task, network: nn.Module, names: list[str], batch: tuple[Inputs, Inputs], generator: torch.Generator
) -> dict[str, Tensor]:
    """Gradients of the summed loss by the outputs of a few layers, at targets drawn anew."""
    nudges: dict[str, Tensor] = {}

    def nudged(name: str) -> Hook:
        def add(_: nn.Module, __: object, output: Tensor) -> Tensor:
            nudges[name] = torch.zeros_like(output, requires_grad=True)
            return output + nudges[name]

        return add

    with hooked({network.get_submodule(name): nudged(name) for name in names}), torch.enable_grad():
        outputs = forward(network, batch[0])
        targets = _targets(task.criterion, outputs.detach(), batch[1], generator)
        slopes = torch.autograd.grad(task.criterion(outputs, targets), list(nudges.values()))
    return dict(zip(nudges, slopes, strict=True))


def _targets(criterion: Criterion, outputs: Tensor, given: Inputs, generator: torch.Generator) -> Inputs:
    """Targets drawn as the criterion says, or as the given ones' type does; the given ones of a caller's."""
    required(criterion)
    draw = drawn_by(criterion)
    if draw is not None:
        drawn: Inputs = draw(outputs, given, generator)
        return drawn
    assert isinstance(given, Tensor)
    return _drawn(outputs, generator, classes=not given.is_floating_point())


def _drawn(outputs: Tensor, generator: torch.Generator, *, classes: bool) -> Tensor:
    """Targets drawn as the outputs would have it, so that squared slopes have the mean of the curvature.

    Classes (N,) by their softmax; images with the noise whose likelihood a mean of squared errors is.
    """
    if classes:
        shares = outputs.softmax(dim=1).movedim(1, -1)
        drawn = torch.multinomial(shares.reshape(-1, shares.shape[-1]), 1, generator=generator)
        return drawn.reshape(shares.shape[:-1])
    noise = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype)
    spread = math.sqrt(outputs[0].numel() / 2)
    return outputs + spread * noise
