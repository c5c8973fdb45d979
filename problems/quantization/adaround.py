"""adaround: for each weight of a trained network, round down or up (Muñiz Subiñas et al. 2025)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from functools import partial
from typing import Any

from torch import nn

from ..arrays import Bits, count
from ..errors import InputError
from ..instances.rounding import Rounding
from ..layers.uses import parameter_of
from ..registry import problem
from ..tasks.ledger import spans
from ..tasks.task import Task
from .book import Book, modules_of, tables_of, write
from .eight_bit import input_step
from .grids import grid_for
from .layer_rounding import gathered, rows_rounding
from .weight_layers import UnreachedError, WeightLayer, WeightLayers
from .wishes import Answer, Wishes

__all__ = [
    "adaround",
    "adaround_neuron",
    "rounded_layers",
]


ACTIVATIONS = ("float", "int8")

APART = 32
"""Most groups of a convolution that are problems of their own."""


LATER = {
    "embeddings": 8,
    "guard": False,
    "group": 0,
    "levels": 2,
    "bias": "int32",
    "keep_zeros": False,
    "tries": 4,
    "refits": 0,
}
"""What instances had before there was a parameter for it."""


@problem("adaround", family="rounding", version=2, later=LATER)
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
    embeddings: int = 8,
    guard: bool = False,
    group: int | None = 0,
    levels: int | str = 2,
    bias: str = "int32",
    keep_zeros: bool = False,
    tries: int = 4,
    refits: int = 0,
) -> Generator[Rounding, Bits, nn.Module]:
    """Decide for every weight and bias whether it rounds down or up, or to which level, layer by layer.

    Layer l costs Σ_neurons s² (h − Δ)ᵀ G (h − Δ), the mean squared error of its pre-activations on the
    calibration data, exactly; G is the Gram matrix of its inputs and a column for the bias. Neurons never
    couple, so a layer is one `Rounding` and needs no penalty; a convolution of several groups is one for each
    group, or one for as many of them as are small together. BatchNorms are folded into the layers before them
    first. A layer is whatever matrix the network multiplies by: see `uses`. What became of each parameter,
    its loss on the calibration data and on samples held out stand in the task's ledger.

    Parameters:
        task: the network, and the samples that calibrate it.
        bits: width of the weights in [1, 8].
        grid: "code", "minmax" or "mse"; see `grids`. "fit" takes the steps and zero points that leave least
            under G, and after each answer the steps that are best for it; see `fit`.
        per: one step for the "tensor", as published, or one for each output "channel": folded BatchNorms
            spread the channels' ranges too far for one step.
        clip_aware: a weight whose floor is the grid's top has no "up". False ignores that, as published: what
            rounds past an end of the grid saturates in the network, which the loss does not see.
        sequential: calibrate a layer on the activations of the layers already quantized, not the float ones.
        activations: "float", or "int8" to round what flows into each layer to eight bits, both in the Gram
            matrix and in the compressed network.
        block: where positive, only this many inputs of each layer, those of the largest mean square, are
            free; the rest and the bias round to nearest.
        embeddings: width of tables that rows are looked up in, each row rounded to the nearest value of its
            own grid; 0 leaves them float.
        guard: keep the nearest values where a layer's answer is worse than these on the samples held out.
        group: inputs of a neuron, or numbers of a row of a table, that share a step; 0 for all of them. None
            for 32 where eight bits alone are too coarse for 1 % of error: rows of 64 to 256, whole groups,
            no convolution's.
        levels: that a weight may take: 2 as published, as many about it, or "all" of its grid; with eight
            bits those are the 64 about it.
        bias: "int32" of step s_x·s_w with a rounding bit of its own, as published; "corrected" for a real one
            that takes up the mean error of its neuron's weights, exactly; "float" as it is.
        keep_zeros: weights that are 0 stay 0, so that a sparse network stays sparse.
        tries: steps and zero points of each neuron and group that nearest planes choose a fitted grid among,
            those of the weights' range included.
        refits: rounds of new steps and new levels after the first answer on a fitted grid; each costs about
            as much as that and leaves 1 or 2 % less.

    Raises:
        InputError: a parameter outside its range, a layer that is not supported, or weights with NaN.

    References:
        Muñiz Subiñas et al. 2025, arXiv:2510.16075; Nagel et al. 2020, arXiv:2004.10568.
    """
    if activations not in ACTIVATIONS:
        raise InputError(f"activations must be one of {', '.join(ACTIVATIONS)}, got {activations!r}")
    usual: dict[str, Any] = {
        "bits": bits,
        "grid": grid,
        "per": per,
        "group": group,
        "levels": levels,
        "bias": bias,
        "clip_aware": clip_aware,
        "keep_zeros": keep_zeros,
        "block": block,
        "tries": tries,
        "refits": refits,
    }
    Wishes(**usual)
    layers = WeightLayers(task, sequential=sequential, rounded=activations == "int8")
    book = Book(layers)
    tables = tables_of(layers, bits=embeddings, group=group)
    if sequential:
        tables.round(book)
    yield from rounded_layers(layers, book, usual, guard=guard)
    if not sequential:  # else last: a rounded table takes up memory beside the task's
        tables.round(book)
    book.close()
    return layers.finished()


def rounded_layers(
    layers: WeightLayers,
    book: Book,
    usual: dict[str, Any],
    *,
    widths: Mapping[str, int] | None = None,
    guard: bool,
) -> Generator[Rounding, Bits, None]:
    """Decide all matrices of a network, one after another, and write them down.

    Parameters:
        layers: the matrices.
        book: in which they are noted.
        usual: what is wished of a matrix for which the task's rules say nothing else; see `Wishes`.
        widths: bits of each matrix by name, where they are no part of what is usual.
        guard: see `adaround`.
    """
    owners = modules_of(layers) if layers.rounded else None
    work = [parameter_of(layers.network, use.parameter).numel() for use in layers.chosen]
    for one, span in zip(layers, spans(work), strict=True):
        wished = layers.task.rules.settings(one.name, usual)
        if widths is not None:
            wished["bits"] = widths[one.name]
        yield from _decide(one, book, span, Wishes(**wished), guard=guard)
        if owners is not None:
            book.quantize_input(one, owners)


def _decide(
    one: WeightLayer, book: Book, span: tuple[float, float], wishes: Wishes, *, guard: bool
) -> Generator[Rounding, Bits, None]:
    """Decide one matrix, group by group, and write it down."""
    try:
        step = input_step(*one.inputs["span"])
    except UnreachedError:
        return
    made = list(wishes.layers(one, input_step=step))
    layers, nearest = [layer for layer, _ in made], [found for _, found in made]
    answers: list[Answer] = []
    enter = partial(one.layers.task.ledger.enter, one.name, parameters=(one.use.parameter,), span=span)
    if len(layers) > APART:
        for together in gathered(layers):
            enter()
            found = together.split((yield together.instance))
            answers += [Answer(*pair) for pair in zip(together.layers, found, strict=True)]
    else:
        for layer in layers:
            answers.append((yield from wishes.decided(one, layer, enter=enter)))
    book.rounded(one, answers, nearest, bits=wishes.bits, guard=guard)


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
    made = grid_for(one.weights, bits=bits, grid=grid, per=per)
    step = input_step(*one.inputs["span"])
    row = count(neuron, name="neuron", low=0, high=len(one.weights) - 1)
    rows, gram = next(found for found in one.groups() if row < found[0].stop)
    whole = rows_rounding(
        one.weights, one.bias, gram, made, rows=rows, input_step=step, clip_aware=clip_aware
    )
    alone = whole.row(row - rows.start)
    write(one, [Answer(alone, (yield alone.instance))], bits=bits)
    return layers.finished()
