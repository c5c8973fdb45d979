"""Repair: least-squares refit of the weights that a pruned network keeps."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..arrays import Bits, Floats
from ..layers.inputs import BATCH, gram_of_inputs, hooked
from ..layers.samples import Inputs, forward, pieces
from ..tasks.task import Task
from .channels import output_axis
from .groups import Groups
from .passes import runs
from .reconstruction import NORMS
from .surgery import reestimate

__all__ = ["CHECKED", "RIDGES", "ROWS", "repair"]

RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
"""Pulls of a repair towards the weights as they are, to choose from; in mean squares of a layer's inputs."""


CHECKED = 4
"""One sample in so many is held back while a layer's ridge is chosen."""


ROWS = 2**16
"""Rows, of samples and positions, that a repair is fitted to; neighbouring positions say much the same."""


def repair(
    network: nn.Module, x: Bits, *, task: Task, groups: Groups, weights: bool, norms: bool = True
) -> None:
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
        norms: whether statistics of BatchNorms are re-estimated before each layer and at the end.

    Raises:
        InputError: as `errors`.
    """
    normed = _before_norms(task)
    for name in dict.fromkeys(call.name for call in runs(task.network, task.inputs)):
        if name in groups.inputs and (weights or name not in normed):
            if norms:
                reestimate(_Until(network, name), task.inputs)
            rows = _left(groups.outputs.get(name), x)
            _refit(network, task, name, rows, weights=weights, bias=name not in normed)
    if norms:
        reestimate(network, task.inputs)


def _left(variables: npt.NDArray[np.int64] | None, x: Bits) -> Tensor | None:
    """Which outputs of a layer are left, None for all."""
    return None if variables is None else torch.from_numpy((variables < 0) | (x[variables] == 1))


def _before_norms(task: Task) -> set[str]:
    """Names of the modules whose output a BatchNorm takes."""
    made = runs(task.network, task.inputs)
    norms = [call for call in made if isinstance(task.network.get_submodule(call.name), NORMS)]
    return {call.name for call in made if any(norm.argument is call.output for norm in norms)}


def _enough(network: nn.Module, name: str, inputs: Inputs) -> Inputs:
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
        until = _Until(network, name)
        grams = [gram_of_inputs(until, f"network.{name}", part)[0][0] for part in parts]
        ridge = min(RIDGES, key=lambda pull: _rise(_newton(grams[0], slopes[0], pull), grams[-1], slopes[-1]))
        step = _newton(_mean(grams, parts), slope, ridge)
    _add(layer, "weight", step[:, :-1])
    if bias:
        _add(layer, "bias", step[:, -1])


def _mean(values: list[Floats], parts: list[Inputs]) -> Floats:
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


def _slope(network: nn.Module, original: nn.Module, name: str, inputs: Inputs, rows: Tensor | None) -> Floats:
    """Gradient (outputs, f + 1) of half a layer's mean squared error by its weights and its bias."""
    layer = copy.deepcopy(network.get_submodule(name)).requires_grad_(True)
    weight, axis = layer.get_parameter("weight"), output_axis(layer)
    total, count = np.zeros((len(weight), weight[0].numel() + 1)), 0
    for batch in pieces(inputs, BATCH):
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


class _Until(nn.Module):
    """A network that runs as far as a layer, and puts out nothing of use."""

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Run for the sake of hooks and statistics."""

        def stop(*_: object) -> None:
            raise _Reached

        with hooked({self.network.get_submodule(self.name): stop}), suppress(_Reached):
            self.network(*args, **kwargs)
        return torch.zeros(1)


def _passing(network: nn.Module, name: str, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """What reaches a layer and what it puts out."""
    seen: list[tuple[Tensor, Tensor]] = []

    def note(_: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append((arguments[0], output))
        raise _Reached

    with hooked({network.get_submodule(name): note}), torch.no_grad(), suppress(_Reached):
        forward(network, inputs)
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
