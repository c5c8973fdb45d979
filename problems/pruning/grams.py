"""Gram matrices of what the layers that read channels multiply by their weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import nn

from ..arrays import Floats
from ..errors import InputError
from ..layers.grams import sums_of, windows
from ..layers.samples import Inputs
from ..layers.sums import MEMORY, Room, Sums
from ..layers.uses import Use, uses_of

__all__ = ["grams_of_inputs", "uses_of_layers"]


def grams_of_inputs(
    network: nn.Module, names: Sequence[str], inputs: Inputs, *, memory: int = MEMORY
) -> Iterator[tuple[Use, Floats]]:
    """The matrix of each layer, as they run, and the Gram matrix (f + 1, f + 1) of what it meets and a one.

    That is what the product itself receives: a convolution's patches after padding of any mode, also where
    its own forward pads. As many as there is room for are measured in one pass.

    Parameters:
        network: in eval mode.
        names: of its Linears and convolutions, each of one group.
        inputs: of the network.
        memory: bytes of Gram matrices that may be held in memory; others lie in temporary files.

    Raises:
        InputError: a layer makes another weight of its own one, the network does not run, or nothing or NaN
            reaches a layer.
    """
    room = Room(memory)
    for window in windows(uses_of_layers(network, names, inputs), network, most=room.most):
        sums = sums_of(network, inputs, window, room=room)
        for use in window:
            yield use, _mean(use.name, sums.pop(use.name))


def uses_of_layers(network: nn.Module, names: Sequence[str], inputs: Inputs) -> list[Use]:
    """The weights of some layers as the matrices that a network multiplies by, in running order.

    Raises:
        InputError: a layer makes another weight of its own one, or nothing reaches it.
    """
    found = uses_of(network, inputs)
    whole = {f"{use.name}.weight": use for use in found.matrices if use.kind != "embedding"}
    for name in names:
        if f"{name}.weight" not in whole:
            why = found.reasons.get(f"{name}.weight", "it is used in parts")
            raise InputError(f"layer {name} must multiply by its own weight, got none: {why}; leave it out")
    wanted = {f"{name}.weight" for name in names}
    return [use for parameter, use in whole.items() if parameter in wanted]


def _mean(name: str, sums: Sums) -> Floats:
    """The mean over rows, symmetric and finite."""
    if not sums.rows:
        raise InputError(f"something must reach layer {name}, got no row; use other calibration data")
    gram: Floats = sums.mean()[0]
    if not np.isfinite(gram).all():
        raise InputError(f"inputs of layer {name} must be finite; check the network's weights for NaN")
    return gram
