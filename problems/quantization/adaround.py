"""adaround: for each weight of a trained network, round down or up (Muñiz Subiñas et al. 2025)."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import nn

from ..arrays import Bits, count
from ..errors import InputError
from ..instances.rounding import Rounding
from ..layers.inputs import groups_of
from ..registry import problem
from ..tasks.ledger import spans
from ..tasks.task import Task
from .eight_bit import QuantizedInput, input_step, quantize_input
from .grids import grid_for
from .layer_rounding import Layer, layer_rounding
from .weight_layers import Weighted, WeightLayers, matrix_of

__all__ = [
    "adaround",
    "adaround_neuron",
]


ACTIVATIONS = ("float", "int8")


@problem("adaround", family="rounding", version=2)
def adaround(
    task: Task,
    *,
    bits: int = 4,
    grid: str = "minmax",
    per: str = "channel",
    clip_aware: bool = True,
    sequential: bool = False,
    activations: str = "float",
    block: int = 0,
) -> Generator[Rounding, Bits, nn.Module]:
    """Decide for every weight and bias whether it rounds down or up, layer by layer.

    Layer l costs Σ_neurons s² (h − Δ)ᵀ G (h − Δ), the mean squared error of its pre-activations on the
    calibration data, exactly; G is the Gram matrix of its inputs and a column for the bias. Neurons never
    couple, so a layer is one `Rounding` and needs no penalty; a convolution of several groups is one for each
    group. BatchNorms are folded into the layers before them first.

    Parameters:
        task: the network, and the samples that calibrate it.
        bits: width of the weights in [1, 8]. The bias is an int32 of step s_x·s_w with its own rounding bit.
        grid: "code", "minmax" or "mse"; see `grids`.
        per: one step for the "tensor", as published, or one for each output "channel": folded BatchNorms
            spread the channels' ranges too far for one step.
        clip_aware: a weight whose floor is the grid's top has no "up". False ignores that, as published: what
            rounds past an end of the grid saturates in the network, which the loss does not see.
        sequential: calibrate a layer on the activations of the layers already quantized, not the float ones.
        activations: "float", or "int8" to round what flows into each layer to eight bits, both in the Gram
            matrix and in the compressed network.
        block: where positive, only this many inputs of each layer, those of the largest mean square, are
            free; the rest and the bias round to nearest.

    Raises:
        InputError: a parameter outside its range, a layer that is not supported, or weights with NaN.

    References:
        Muñiz Subiñas et al. 2025, arXiv:2510.16075; Nagel et al. 2020, arXiv:2004.10568.
    """
    free = count(block, name="block", low=0)
    if activations not in ACTIVATIONS:
        raise InputError(f"activations must be one of {', '.join(ACTIVATIONS)}, got {activations!r}")
    layers = WeightLayers(task, sequential=sequential, rounded=activations == "int8")
    for one, place in zip(layers, _places(layers), strict=True):
        made = grid_for(matrix_of(one.part), bits=bits, grid=grid, per=per)
        span = one.inputs["span"]
        step = input_step(*span)
        for group, (_, gram) in enumerate(one.groups()):
            layer = layer_rounding(one.part, gram, made, input_step=step, clip_aware=clip_aware, group=group)
            if free:
                layer = layer.only(free)
            task.ledger.enter(one.name, span=place)
            _write(one.part, layer, (yield layer.instance))
        if activations == "int8":
            quantize_input(layers.network, one.name, QuantizedInput(*span))
    return layers.network


@problem("adaround-neuron", family="rounding")
def adaround_neuron(
    task: Task,
    *,
    layer: int = 0,
    neuron: int = 0,
    bits: int = 4,
    grid: str = "minmax",
    per: str = "channel",
    clip_aware: bool = True,
) -> Generator[Rounding, Bits, nn.Module]:
    """Decide for the weights of one neuron alone; all others stay as they are.

    A small instance with the structure of a whole layer's, for solvers that take a neuron at a time.

    Parameters:
        task: the network, and the samples that calibrate it.
        layer: of the layers with weights, in running order, from 0 on.
        neuron: row of the layer, from 0 on.
        bits: width of the weights in [1, 8].
        grid: "code", "minmax" or "mse"; see `grids`.
        per: one step for the "tensor" or one for each output "channel".
        clip_aware: see `adaround`.

    Raises:
        InputError: there is no such layer or neuron, or what `adaround` refuses.
    """
    layers = WeightLayers(task)
    place = count(layer, name="layer", low=0, high=len(layers.names) - 1)
    one = layers.layer(layers.names[place])
    made = grid_for(matrix_of(one.part), bits=bits, grid=grid, per=per)
    step = input_step(*one.inputs["span"])
    row = count(neuron, name="neuron", low=0, high=len(one.part.weight) - 1)
    group, within = divmod(row, len(one.part.weight) // groups_of(one.part))
    gram = one.inputs["gram"][group]
    whole = layer_rounding(one.part, gram, made, input_step=step, clip_aware=clip_aware, group=group)
    alone = whole.row(within)
    _write(one.part, alone, (yield alone.instance))
    return layers.network


def _places(layers: WeightLayers) -> list[tuple[float, float]]:
    """Where in the whole work each layer lies, by its numbers."""
    parts = [layers.network.get_submodule(name) for name in layers.names]
    return spans([sum(one.numel() for one in part.parameters()) for part in parts])


def _write(part: Weighted, layer: Layer, x: Bits) -> None:
    """Put rounded weights into the layer of the compressed network that they belong to."""
    bias = layer.bias(x)
    weights = torch.from_numpy(layer.weights(x)).reshape(-1, *part.weight.shape[1:])
    with torch.no_grad():
        part.weight[layer.rows].copy_(weights)
        if bias is not None and part.bias is not None:
            part.bias[layer.rows].copy_(torch.from_numpy(bias))
