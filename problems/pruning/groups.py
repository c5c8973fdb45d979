"""What of a network can be pruned, and what each channel costs.

The channels that go together are found in `coupling`; here they are tried: a network can be pruned if it puts
out the same whether channels are zeroed or cut out.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..arrays import Bits, Floats
from ..errors import InputError, one_line
from ..layers.costs import products_of
from ..layers.inputs import calls
from ..layers.samples import Inputs, forward, tensor_of
from ..tasks.task import Task
from .coupling import LAYERS, Group, Groups, Ints, Part, depthwise, find, inputs_of, outputs_of
from .surgery import mask, shrink

__all__ = ["UNITS", "Group", "Groups", "Part", "prunable", "shares"]

UNITS = ("filters", "parameters", "products")
"""In which a channel's cost is counted; products are multiply–accumulates of one sample."""

TRIED = 8
"""Samples on which cut networks are compared with masked ones."""


def prunable(task: Task) -> Groups:
    """Every group of channels that can be pruned.

    Left out, because they must stay: the network's inputs and outputs and what is added to them, single
    channels and what they are multiplied with, what is split, and what runs through layers that mix channels
    (grouped convolutions, LayerNorm, GroupNorm).

    Raises:
        InputError: the network does not run on the calibration data or cannot be traced, a layer does not run
            exactly once or shares its weights, a hidden Linear puts out sequences, there is no group, or
            channels that are zeroed do not reach the next layers as zeros, as behind a sigmoid.
    """
    network = task.copy()
    made = calls(network, task.inputs)
    groups = find(network, made, tensor_of(task.inputs[:1], "pruning"))
    if not groups.groups:
        raise InputError(
            "the network must have a layer before its last one with two channels or more that can be pruned; "
            "it has none"
        )
    _try(task, groups)
    return groups


def _try(task: Task, groups: Groups) -> None:
    """Compare masked and cut networks: every channel is removed once, in two halves of all groups.

    Raises:
        InputError: they differ; the message names the first group that makes them.
    """
    inputs = task.inputs[:TRIED]
    whole = _run(task.network, inputs)
    if not torch.isfinite(whole).all():
        raise InputError(
            "the network must put out finite numbers on the calibration data; check its weights for NaN"
        )
    halves = [_half(groups, parity) for parity in (0, 1)]
    if all(_agree(task, groups, x, inputs, whole) for x in halves):
        return
    for group, span in zip(groups.groups, groups.spans(), strict=True):
        for half in halves:
            x = np.ones(groups.total, dtype=np.int8)
            x[span] = half[span]
            if not _agree(task, groups, x, inputs, whole):
                raise InputError(_refusal(group.name))
    raise InputError(_refusal(groups.groups[0].name))


def _refusal(name: str) -> str:
    return (
        f"channels of layer {name} must mean nothing to later layers once they are zero, got other "
        "outputs than without them; let no sigmoid, added constant or fixed shape follow"
    )


def _half(groups: Groups, parity: int) -> Bits:
    """Every other channel of each group kept, from the first or the second on."""
    return np.concatenate([np.arange(width) % 2 == parity for width in groups.widths]).astype(np.int8)


def _agree(task: Task, groups: Groups, x: Bits, inputs: Inputs, whole: Tensor) -> bool:
    """Whether the masked and the cut network put out the same, up to rounding."""
    masked = task.copy()
    mask(masked, groups, x, original=task.network)
    expected = _run(masked, inputs)
    try:
        got = _run(shrink(task.network, groups, x), inputs)
    except InputError:  # it counts on a shape
        return False
    room = torch.finfo(whole.dtype).eps ** 0.5 * max(float(whole.abs().max()), float(expected.abs().max()))
    return got.shape == expected.shape and bool(((got - expected).abs() <= room).all())


def _run(network: nn.Module, inputs: Inputs) -> Tensor:
    try:
        with torch.no_grad():
            outputs = forward(network, inputs)
    except Exception as error:  # a foreign forward may raise anything
        reason = one_line(error)
        raise InputError(
            f"the network must run on {len(inputs)} samples of the calibration data at once, got {reason}"
        ) from error
    return outputs


def shares(task: Task, groups: Groups, unit: str) -> Floats:
    """Cost (n,) of each channel in a unit of `UNITS`; their sum is what goes when all channels go.

    A weight, and a product with it, that belongs to a channel on either side counts half to each. Parameters
    are those of the convolutions and Linears, biases included, and the scales and shifts of the norms;
    products are those of one sample.

    Raises:
        InputError: an unknown unit.
    """
    if unit not in UNITS:
        raise InputError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
    if unit == "filters":
        return np.ones(groups.total)
    products = _products(task) if unit == "products" else {}
    cost = np.zeros(groups.total + 1)  # the last is of channels that are no variables, whose index is −1
    for name in {**groups.outputs, **groups.inputs}:
        module = task.network.get_submodule(name)
        if isinstance(module, LAYERS):
            amount = products.get(name, module.weight.numel())
            _spread(cost, module, amount, groups.outputs.get(name), groups.inputs.get(name))
        if unit == "parameters" and name in groups.outputs:
            vectors = [p for p in module.parameters(recurse=False) if p.dim() == 1]
            np.add.at(cost, groups.outputs[name], len(vectors))
    return cost[:-1]


def _spread(cost: Floats, layer: nn.Module, amount: int, makes: Ints | None, reads: Ints | None) -> None:
    """Add a layer's amount, of which each weight has an equal share, to the channels that it lies between."""
    made = np.full(outputs_of(layer), -1) if makes is None else makes
    read = np.full(1 if depthwise(layer) else inputs_of(layer), -1) if reads is None else reads
    each = amount / (len(made) * len(read))
    np.add.at(cost, made, each * (np.sum(read < 0) + 0.5 * np.sum(read >= 0)))
    np.add.at(cost, read, each * (np.sum(made < 0) + 0.5 * np.sum(made >= 0)))


def _products(task: Task) -> dict[str, int]:
    """Multiply–accumulates of each layer for one sample."""
    made = {call.name: call for call in calls(task.copy(), task.inputs)}
    layers = {name: task.network.get_submodule(name) for name in made}
    return {
        name: products_of(layers[name], call.argument, call.output)
        for name, call in made.items()
        if isinstance(layers[name], LAYERS)
    }
