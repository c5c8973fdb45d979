"""Eight-bit activations: what flows into a layer, rounded to an asymmetric grid whose range holds 0."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError

__all__ = ["STEPS", "QuantizedInput", "input_step", "quantize_input"]

STEPS = 255
"""Between the least and the greatest value of eight bits."""


def input_step(low: float, high: float) -> float:
    """Step s_x of eight bits over [low, high], made to hold 0; 1 where there is nothing to hold."""
    return (max(high, 0.0) - min(low, 0.0)) / STEPS or 1.0


class QuantizedInput(nn.Module):
    """Maps x to s·(clip(round(x/s) + z, 0, 255) − z), s and z from the range of the calibration inputs.

    Muñiz Subiñas et al. 2025 (arXiv:2510.16075) quantize activations so; 0 is a value of the grid, and so is
    what a convolution pads with.
    """

    step: Tensor
    zero: Tensor

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        step = input_step(low, high)
        self.register_buffer("step", torch.tensor(step))
        self.register_buffer("zero", torch.tensor(float(round(-min(low, 0.0) / step))))

    def forward(self, x: Tensor) -> Tensor:
        """The rounded activations, in the type of x."""
        step, zero = self.step.to(x), self.zero.to(x)
        return step * (torch.clamp(torch.round(x / step) + zero, 0, STEPS) - zero)


def quantize_input(network: nn.Module, name: str, quantizer: QuantizedInput) -> None:
    """Round what the layer of that name receives, in place; the layer stays where it is and of its type.

    The quantizer becomes its part `input_quantizer`, so copies and state dicts have it.

    Raises:
        InputError: the layer goes by several names, so that another use of it would be quantized as well.
    """
    layer = network.get_submodule(name)
    aliases = [alias for alias, module in network.named_modules(remove_duplicate=False) if module is layer]
    if len(aliases) > 1:
        names = " and ".join(aliases)
        raise InputError(f"layers must not share a module for int8 activations, got {names}; copy it")
    layer.input_quantizer = quantizer
    layer.register_forward_pre_hook(_quantize_first)


def _quantize_first(layer: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """A hook that rounds the first argument; a function of the module level, so that copies keep it."""
    quantizer = layer.input_quantizer
    assert isinstance(quantizer, QuantizedInput)
    return (quantizer(arguments[0]), *arguments[1:]) if arguments else None
