"""Repair: least-squares refit of the weights that a pruned network keeps."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..arrays import Bits, Floats
from ..layers.grams import sums_of
from ..layers.inputs import BATCH
from ..layers.samples import Batch, Inputs, Samples, forward, pieces
from ..layers.sums import Room
from ..layers.uses import Use
from ..tasks.task import Task
from .channels import output_axis
from .coupling import outputs_of
from .grams import uses_of_layers
from .groups import Groups
from .passes import runs, until
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
                reestimate(network, task.inputs, before=name)
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
    passing = _passing(network, name, inputs[:1])
    if passing is None:
        return inputs
    positions = passing.output.numel() // outputs_of(network.get_submodule(name))
    return inputs[: -(-ROWS // positions)]


def _refit(
    network: nn.Module, task: Task, name: str, rows: Tensor | None, *, weights: bool, bias: bool
) -> None:
    """One Newton step on half the squared error of a layer: it is quadratic, so the step ends at the minimum.

    The ridge draws the step to 0, not the weights. `rows` are the original's outputs that are left.
    """
    layer, inputs = network.get_submodule(name), _enough(network, name, task.inputs)
    use = _use(network, name, inputs)
    if use is None:
        return
    held = torch.arange(len(inputs)) % CHECKED == CHECKED - 1
    parts = [part for part in (inputs[~held], inputs[held]) if len(part)]
    found = [_second_order(network, task, name, use, part, rows, grams=weights) for part in parts]
    sizes = [len(part) for part, one in zip(parts, found, strict=True) if one]
    if not sizes:
        return
    slopes, grams = zip(*(one for one in found if one), strict=True)
    slope = _mean(slopes, sizes)
    step = np.zeros_like(slope)
    step[:, -1] = -slope[:, -1]
    if weights:
        ridge = min(RIDGES, key=lambda pull: _rise(_newton(grams[0], slopes[0], pull), grams[-1], slopes[-1]))
        step = _newton(_mean(grams, sizes), slope, ridge)
        use.put(layer, use.matrix(layer) + step[:, :-1])
    if bias:
        _add_bias(layer, step[:, -1])


def _mean(values: Sequence[Floats], sizes: list[int]) -> Floats:
    """The mean over all samples of means over parts of so many."""
    return np.asarray(np.average(values, axis=0, weights=sizes))


def _rise(step: Floats, gram: Floats, slope: Floats) -> float:
    """By how much a step raises half the squared error of samples with this Gram matrix and slope."""
    return float(np.sum(slope * step) + 0.5 * np.sum((step @ gram) * step))


def _newton(gram: Floats, slope: Floats, ridge: float) -> Floats:
    """−slope · (gram + ridge)⁻¹ for slopes (rows, f + 1); the intercept, the last, is free."""
    pull = np.full(len(gram), ridge * float(np.diag(gram)[:-1].mean()) or 1.0)
    pull[-1] = 0.0
    return np.asarray(-np.linalg.solve(gram + np.diag(pull), slope.T).T)


def _second_order(
    network: nn.Module, task: Task, name: str, use: Use, inputs: Inputs, rows: Tensor | None, *, grams: bool
) -> tuple[Floats, Floats] | None:
    """Slope (outputs, f + 1) of half a layer's mean squared error by weights and bias, and the Gram matrix.

    The Gram matrix (f + 1, f + 1) is empty where nobody asks for it; None where nothing reaches the layer, or
    other rows than in the original, as behind another choice of experts.
    """
    layer = copy.deepcopy(network.get_submodule(name)).requires_grad_(True)
    axis, intercepts, count = output_axis(layer), np.zeros(outputs_of(layer)), 0
    sums, room = None, Room(task.memory)
    for batch in pieces(inputs, BATCH):
        original, passing = _passing(task.network, name, batch), _passing(network, name, batch)
        if original is None or passing is None or len(original.output) != len(passing.output):
            continue
        wanted = original.output
        wanted = wanted if rows is None else wanted.movedim(axis, 0)[rows].movedim(0, axis)
        with torch.enable_grad():
            error = layer(*passing.args, **passing.named) - wanted
            torch.autograd.backward(0.5 * (error**2).sum())
        intercepts += error.detach().double().movedim(axis, 0).flatten(1).sum(dim=1).numpy()
        count += error.numel() // len(intercepts)
        if grams:
            found = sums_of(layer, passing.samples, [use], room=room)[use.name]
            sums = found.joined(sums)
    weight = layer.get_parameter("weight")
    if weight.grad is None or not count:
        return None
    weight.data.copy_(weight.grad)  # in its layout, of which the use tells
    slope = np.column_stack([use.matrix(layer), intercepts]) / count
    return slope, np.zeros((0, 0)) if sums is None else sums.mean()[0]


@dataclass(frozen=True, eq=False)
class _Passing:
    """What a layer was called with, and what it put out."""

    args: tuple[Any, ...]
    named: dict[str, Any]
    output: Tensor

    @property
    def samples(self) -> Samples:
        """The same call, of the layer alone."""
        return Samples([Batch(self.args, self.named, len(self.output))])


def _passing(network: nn.Module, name: str, inputs: Inputs) -> _Passing | None:
    """What reaches a layer and what it puts out; None where nothing does."""
    seen: list[_Passing] = []

    def note(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any], output: Tensor) -> None:
        seen.append(_Passing(args, named, output))

    noting = network.get_submodule(name).register_forward_hook(note, with_kwargs=True)
    try:
        with until(network, name), torch.no_grad():
            forward(network, inputs)
    finally:
        noting.remove()
    return seen[0] if seen and seen[0].output.numel() else None


def _use(network: nn.Module, name: str, inputs: Inputs) -> Use | None:
    """The weight of a layer as the matrix that it multiplies by, alone; None where nothing reaches it."""
    layer = network.get_submodule(name)
    for piece in chain([inputs[:1]], pieces(inputs, BATCH)):
        if passing := _passing(network, name, piece):
            return uses_of_layers(layer, [""], passing.samples)[0]
    return None


def _add_bias(layer: nn.Module, step: Floats) -> None:
    """Add to the bias of a layer, or give it the one that it lacks."""
    weight, bias = layer.get_parameter("weight"), layer._parameters.get("bias")
    change = torch.from_numpy(step).to(weight.dtype)
    if bias is None:
        layer.register_parameter("bias", nn.Parameter(change, requires_grad=weight.requires_grad))
    else:
        bias.data.add_(change)
