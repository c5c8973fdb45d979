"""What a network costs to store and to run: bytes of its weights, and energy of its multiply–accumulates.

The energy is a model of ours on published constants, not a measurement of any chip: a b-bit weight times an
8-bit activation costs b/8 of an 8-bit multiplier, and each product one 32-bit integer addition. Biases are
32-bit, as the formulations have them. Memory traffic is left out, which would add to every row alike.

Reference: Horowitz 2014, Computing's energy problem (ISSCC), 45 nm, 0.9 V.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ..arrays import count
from .inputs import Hook, hooked
from .samples import Inputs, forward

__all__ = ["PICOJOULES", "Costs", "costs", "products_of"]

PICOJOULES = {
    "8-bit multiply": 0.2,
    "32-bit integer add": 0.1,
    "32-bit float multiply": 3.7,
    "32-bit float add": 0.9,
}
"""Energy of an operation."""

FLOAT_BITS = 32


@dataclass(frozen=True)
class Costs:
    """Of one network on one input.

    Attributes:
        weights, biases: how many there are in its Linear and convolution layers.
        products: multiply–accumulates.
    """

    weights: int
    biases: int
    products: int

    def bytes(self, bits: int | None = None) -> float:
        """Size of the parameters with weights of so many bits; of the float network where None."""
        return (self.weights * (bits or FLOAT_BITS) + self.biases * FLOAT_BITS) / 8

    def nanojoules(self, bits: int | None = None) -> float:
        """Energy of the multiply–accumulates with b-bit weights and 8-bit activations, or all in float."""
        if bits is None:
            each = PICOJOULES["32-bit float multiply"] + PICOJOULES["32-bit float add"]
        else:
            width = count(bits, name="bits", low=1, high=8)
            each = PICOJOULES["8-bit multiply"] * width / 8 + PICOJOULES["32-bit integer add"]
        return self.products * each / 1000


def costs(network: nn.Module, inputs: Inputs) -> Costs:
    """Count the weights, biases and products of a network in eval mode on the first of `inputs`."""
    weights = biases = products = 0
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | _ConvNd)]

    def add(layer: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal products
        products += products_of(layer, arguments[0], output)

    hooks: dict[nn.Module, Hook] = dict.fromkeys(layers, add)
    with hooked(hooks), torch.no_grad():
        forward(network, inputs[:1])
    for layer in layers:
        weights += layer.weight.numel()
        biases += 0 if layer.bias is None else layer.bias.numel()
    return Costs(weights, biases, products)


def products_of(layer: nn.Module, argument: Tensor, output: Tensor) -> int:
    """Multiply–accumulates of one run of a Linear or a convolution."""
    weight = layer.get_parameter("weight")
    # Each output sums over a filter; a transposed convolution spreads each input over one.
    transposed = isinstance(layer, _ConvNd) and layer.transposed
    return (argument if transposed else output).numel() * weight[0].numel()
