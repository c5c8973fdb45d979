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

import copy
import math
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..arrays import Bits, Floats
from ..layers.inputs import BATCH, Hook, calls, gram_of_inputs, hooked, running_order
from ..tasks.task import Task
from .groups import Groups
from .surgery import reestimate

__all__ = ["WEIGHTS", "contributions", "errors", "repair", "sensitivities"]

WEIGHTS = ("relative", "loss", "balanced")
"""In what the errors of several takers are added up."""

DRAWS = 4
"""Targets drawn for each sample, from which the loss's curvature is estimated."""

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)

RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
"""Pulls of a repair towards the weights as they are, to choose from; in mean squares of a layer's inputs."""

CHECKED = 4
"""One sample in so many is held back while a layer's ridge is chosen."""

ROWS = 2**16
"""Rows, of samples and positions, that a repair is fitted to; neighbouring positions say much the same."""


def errors(task: Task, groups: Groups, *, centred: bool, weight: str) -> Floats:
    """C (n, n): rᵀ C r is the error of removing r, summed over all takers.

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
        InputError: a taker is neither Linear nor Conv2d with zero padding, or NaN reaches it.
    """
    felt = {} if weight == "relative" else sensitivities(task, groups)
    C = np.zeros((groups.total, groups.total))
    for name, variables in groups.inputs.items():
        found = contributions(task, name, centred=centred, weights=felt.get(name))
        whole, mine = float(found.sum()), variables >= 0
        if whole > 0:
            scale = {"relative": whole, "loss": 2.0, "balanced": (2.0 * whole) ** 0.5}[weight]
            into = np.ix_(variables[mine], variables[mine])
            np.add.at(C, into, found[np.ix_(mine, mine)] / scale)
    return (C + C.T) / 2


def contributions(task: Task, name: str, *, centred: bool, weights: Floats | None = None) -> Floats:
    """⟨Y_c, Y_d⟩ (p, p) of the p input channels of a layer, a mean over its rows: samples and positions.

    Outputs count by `weights` (outputs,), all by 1 where there are none.

    Raises:
        InputError: as `errors`.
    """
    layer = task.network.get_submodule(name)
    (gram,), _, _ = gram_of_inputs(task.network, name, task.inputs)
    mean = gram[-1, :-1] if centred else np.zeros(len(gram) - 1)
    W = layer.get_parameter("weight").detach().double().flatten(1).numpy()
    weighted = W if weights is None else weights[:, None] * W
    products = (W.T @ weighted) * (gram[:-1, :-1] - np.outer(mean, mean))
    size = int(np.prod(layer.kernel_size)) if isinstance(layer, nn.Conv2d) else 1
    channels = len(products) // size
    return np.asarray(products.reshape(channels, size, channels, size).sum(axis=(1, 3)))


# ---- what the loss feels


def sensitivities(task: Task, groups: Groups) -> dict[str, Floats]:
    """Σ_positions (∂L/∂z_o)² (outputs,), a mean over samples, for the outputs of each taker.

    L is the loss of one sample and a target that the network's own output draws, `DRAWS` times.
    """
    network = task.copy().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    total = dict.fromkeys(groups.inputs, np.zeros(1))
    for batch in torch.split(task.inputs, BATCH):
        for _ in range(DRAWS):
            for name, slope in _slopes(task, network, list(total), batch, generator).items():
                axis = _axis(network.get_submodule(name))
                squares = slope.double().square().movedim(axis, 0).flatten(1).sum(dim=1)
                total[name] = total[name] + squares.numpy()
    return {name: found / (DRAWS * len(task.inputs)) for name, found in total.items()}


def _slopes(
    task: Task, network: nn.Module, names: list[str], inputs: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Gradients of the summed loss by the outputs of a few layers, at targets drawn anew."""
    nudges: dict[str, Tensor] = {}

    def nudged(name: str) -> Hook:
        def add(_: nn.Module, __: object, output: Tensor) -> Tensor:
            nudges[name] = torch.zeros_like(output, requires_grad=True)
            return output + nudges[name]

        return add

    with hooked({network.get_submodule(name): nudged(name) for name in names}), torch.enable_grad():
        outputs = network(inputs)
        targets = _drawn(outputs.detach(), generator, classes=not task.targets.is_floating_point())
        slopes = torch.autograd.grad(task.criterion(outputs, targets), list(nudges.values()))
    return dict(zip(nudges, slopes, strict=True))


def _drawn(outputs: Tensor, generator: torch.Generator, *, classes: bool) -> Tensor:
    """Targets drawn as the outputs would have it, so that squared slopes have the mean of the curvature.

    Classes (N,) by their softmax; images with the noise whose likelihood a mean of squared errors is.
    """
    if classes:
        return torch.multinomial(outputs.softmax(dim=1), 1, generator=generator)[:, 0]
    noise = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype)
    spread = math.sqrt(outputs[0].numel() / 2)
    return outputs + spread * noise


def _axis(layer: nn.Module) -> int:
    """Where a layer's outputs lie."""
    return -1 if isinstance(layer, nn.Linear) else 1


# ---- repair


def repair(network: nn.Module, x: Bits, *, task: Task, groups: Groups, weights: bool) -> None:
    """Bring the takers of `network`, shrunk to x, back to the original's pre-activations; in place.

    One after the other as they run, each on what the layers before it put out by then, their BatchNorms
    re-estimated: a layer fitted to what those put out before would be off again once they are. A bias is
    refitted, or added, unless a BatchNorm comes next, which takes up the mean once it is re-estimated.

    Parameters:
        network: the shrunk network, in eval mode.
        task: the original one, and the samples on which the two are compared.
        groups: of the original.
        x: (n,) channels that were kept.
        weights: whether to refit the kept weights too, by least squares; else the biases alone.

    Raises:
        InputError: as `errors`.
    """
    normed = _before_norms(task)
    for name in running_order(task.network, task.inputs):
        if name in groups.inputs and (weights or name not in normed):
            reestimate(network, task.inputs)
            rows = _left(groups.outputs.get(name), x)
            _refit(network, task, name, rows, weights=weights, bias=name not in normed)


def _left(variables: npt.NDArray[np.int64] | None, x: Bits) -> Tensor | None:
    """Which outputs of a layer are left, None for all."""
    return None if variables is None else torch.from_numpy((variables < 0) | (x[variables] == 1))


def _before_norms(task: Task) -> set[str]:
    """Names of the modules whose output a BatchNorm takes."""
    made = calls(task.network, task.inputs)
    norms = [call for call in made if isinstance(task.network.get_submodule(call.name), NORMS)]
    return {call.name for call in made if any(norm.argument is call.output for norm in norms)}


def _enough(network: nn.Module, name: str, inputs: Tensor) -> Tensor:
    """The first of the inputs, as many as give a layer `ROWS` rows."""
    _, output = _passing(network, name, inputs[:1])
    layer = network.get_submodule(name)
    positions = output.numel() // len(layer.get_parameter("weight"))
    return inputs[: -(-ROWS // positions)]


def _refit(
    network: nn.Module, task: Task, name: str, rows: Tensor | None, *, weights: bool, bias: bool
) -> None:
    """One Newton step on half the squared error of a layer: it is quadratic, so the step ends at the minimum.

    The ridge draws the step to 0, not the weights. `rows` are the original's outputs that are left.
    """
    layer, inputs = network.get_submodule(name), _enough(network, name, task.inputs)
    held = torch.arange(len(inputs)) % CHECKED == CHECKED - 1
    parts = [part for part in (inputs[~held], inputs[held]) if len(part)]
    slopes = [_slope(network, task.network, name, part, rows) for part in parts]
    slope = _mean(slopes, parts)
    step = np.zeros_like(slope)
    step[:, -1] = -slope[:, -1]
    if weights:
        grams = [gram_of_inputs(network, name, part)[0][0] for part in parts]
        ridge = min(RIDGES, key=lambda pull: _rise(_newton(grams[0], slopes[0], pull), grams[-1], slopes[-1]))
        step = _newton(_mean(grams, parts), slope, ridge)
    _add(layer, "weight", step[:, :-1])
    if bias:
        _add(layer, "bias", step[:, -1])


def _mean(values: list[Floats], parts: list[Tensor]) -> Floats:
    """The mean over all samples of means over parts of them."""
    return np.asarray(np.average(values, axis=0, weights=[len(part) for part in parts]))


def _rise(step: Floats, gram: Floats, slope: Floats) -> float:
    """By how much a step raises half the squared error of samples with this Gram matrix and slope."""
    return float(np.sum(slope * step) + 0.5 * np.sum((step @ gram) * step))


def _newton(gram: Floats, slope: Floats, ridge: float) -> Floats:
    """−slope · (gram + ridge)⁻¹ for slopes (rows, f + 1); the intercept, the last, is free."""
    pull = np.full(len(gram), ridge * float(np.diag(gram)[:-1].mean()) or 1.0)
    pull[-1] = 0.0
    return np.asarray(-np.linalg.solve(gram + np.diag(pull), slope.T).T)


def _slope(network: nn.Module, original: nn.Module, name: str, inputs: Tensor, rows: Tensor | None) -> Floats:
    """Gradient (outputs, f + 1) of half a layer's mean squared error by its weights and its bias."""
    layer = copy.deepcopy(network.get_submodule(name)).requires_grad_(True)
    weight, axis = layer.get_parameter("weight"), _axis(layer)
    total, count = np.zeros((len(weight), weight[0].numel() + 1)), 0
    for batch in torch.split(inputs, BATCH):
        _, wanted = _passing(original, name, batch)
        reaching, _ = _passing(network, name, batch)
        wanted = wanted if rows is None else wanted.movedim(axis, 0)[rows].movedim(0, axis)
        with torch.enable_grad():
            error = layer(reaching) - wanted
            (slope,) = torch.autograd.grad(0.5 * (error**2).sum(), weight)
        total[:, :-1] += slope.double().flatten(1).numpy()
        total[:, -1] += error.detach().double().movedim(axis, 0).flatten(1).sum(dim=1).numpy()
        count += error.numel() // len(weight)
    return total / count


class _Reached(BaseException):
    """The layer has run and the rest of the network need not; no forward catches it as an `Exception`."""


def _passing(network: nn.Module, name: str, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """What reaches a layer and what it puts out."""
    seen: list[tuple[Tensor, Tensor]] = []

    def note(_: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append((arguments[0], output))
        raise _Reached

    with hooked({network.get_submodule(name): note}), torch.no_grad(), suppress(_Reached):
        network(inputs)
    return seen[0]


def _add(layer: nn.Module, name: str, step: Floats) -> None:
    """Add to a parameter of the layer, or give it the bias that it lacks."""
    weight = layer.get_parameter("weight")
    change = torch.from_numpy(step).to(weight.dtype)
    with torch.no_grad():
        if getattr(layer, name) is None:
            layer.register_parameter(name, nn.Parameter(change, requires_grad=weight.requires_grad))
        else:
            parameter = layer.get_parameter(name)
            parameter.add_(change.reshape(parameter.shape))
