"""What a network costs to store and to run: bytes of its weights, and energy of its multiply–accumulates.

The energy is a model of ours on published constants, not a measurement of any chip: a b-bit weight times an
8-bit activation costs b/8 of an 8-bit multiplier, and each product one 32-bit integer addition. Biases are
32-bit, as the formulations have them. Memory traffic is left out, which would add to every row alike.

Reference: Horowitz 2014, Computing's energy problem (ISSCC), 45 nm, 0.9 V.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from ..arrays import count
from ..networks.interaction import InteractionSystem
from .products import products
from .samples import Inputs

__all__ = ["PICOJOULES", "Costs", "costs", "products_of"]

PICOJOULES = {
    "8-bit multiply": 0.2,
    "32-bit integer add": 0.1,
    "32-bit float multiply": 3.7,
    "32-bit float add": 0.9,
}
"""Energy of an operation, in picojoules."""

FLOAT_BITS = 32


@dataclass(frozen=True)
class Costs:
    """Of one network on one input, all three as counts.

    Shared parameters count once. Those of BatchNorms do not count, because they go into the layers before
    them, nor does what an analog system stores, which `analog.hardware_costs` tells.

    Attributes:
        weights: numbers in parameters of two dimensions or more: matrices, filters, tables.
        biases: numbers in parameters that are vectors: biases, scales and shifts of norms.
        products: multiply–accumulates with parameters; see `products`.
    """

    weights: int
    biases: int
    products: int

    def bytes(self, bits: int | None = None) -> float:
        """Bytes of the parameters with weights of so many bits; of the float network where None."""
        return (self.weights * (bits or FLOAT_BITS) + self.biases * FLOAT_BITS) / 8

    def nanojoules(self, bits: int | None = None) -> float:
        """Energy in nJ of the products with b-bit weights and 8-bit activations, or all in float."""
        if bits is None:
            each = PICOJOULES["32-bit float multiply"] + PICOJOULES["32-bit float add"]
        else:
            width = count(bits, name="bits", low=1, high=8)
            each = PICOJOULES["8-bit multiply"] * width / 8 + PICOJOULES["32-bit integer add"]
        return self.products * each / 1000


def costs(network: nn.Module, inputs: Inputs) -> Costs:
    """Count the weights, biases and products of a network in eval mode on the first of `inputs`."""
    stored = list(_stored(network))
    weights = sum(parameter.numel() for parameter in stored if parameter.dim() > 1)
    biases = sum(parameter.numel() for parameter in stored if parameter.dim() < 2)
    return Costs(weights, biases, products(network, stored, inputs))


def _stored(network: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters that a digital machine stores, each once."""
    gone = {
        parameter
        for module in network.modules()
        if isinstance(module, _BatchNorm | InteractionSystem)
        for parameter in module.parameters()
    }
    return (parameter for parameter in network.parameters() if parameter not in gone)


def products_of(layer: nn.Module, argument: Tensor, output: Tensor) -> int:
    """Multiply–accumulates of one run of a Linear or a convolution."""
    weight = layer.get_parameter("weight")
    # Each output sums over a filter; a transposed convolution spreads each input over one.
    transposed = isinstance(layer, _ConvNd) and layer.transposed
    return (argument if transposed else output).numel() * weight[0].numel()
