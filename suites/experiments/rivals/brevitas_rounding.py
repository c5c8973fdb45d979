"""Rounding by other packages, on the same grid and Gram matrix.

brevitas (AMD, https://github.com/Xilinx/brevitas, extra `peers`): its GPTQ with the columns of the largest
mean square first and 1 % damping, in float32, a hundred blocks of columns as its users have it.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from ....problems import Instance, Rounding
from ....problems.arrays import Bits

__all__ = ["BREVITAS", "brevitas_gptq"]

BREVITAS = "brevitas"
"""Module that must be there."""


def brevitas_gptq(rounding: Instance) -> Bits:
    """Levels (n, f) by brevitas' GPTQ; the neurons have one step each, and levels a power of two."""
    assert isinstance(rounding, Rounding)
    assert not rounding.grouped
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of modules that it deprecates and imports
        from brevitas.graph.gptq import GPTQ

        layer = _layer(rounding)
        search = GPTQ(
            layer, "layer", act_order=True, len_parallel_layers=1, create_weight_orig=False, num_blocks=100
        )
        search.H = torch.tensor(rounding.gram, dtype=torch.float32)[None]
        search.single_layer_update()
        found = layer.quant_weight()
        levels = np.rint((found.value / found.scale).numpy())
    return rounding.settle(levels)


def _layer(rounding: Rounding) -> Any:
    """A layer of brevitas' whose grid is that of the problem: from 0, where its level 0 lies."""
    from brevitas.core.zero_point import ZeroZeroPoint
    from brevitas.inject.enum import ScalingImplType
    from brevitas.nn import QuantLinear
    from brevitas.quant import ShiftedUint8WeightPerChannelFloat

    top, steps = int(rounding.levels.max()) - 1, torch.tensor(rounding.scale, dtype=torch.float32)[:, None]

    class Grid(ShiftedUint8WeightPerChannelFloat):  # type: ignore[misc]
        scaling_impl_type = ScalingImplType.CONST
        scaling_init = steps * top
        zero_point_impl = ZeroZeroPoint
        bit_width = top.bit_length()

    layer = QuantLinear(rounding.f, rounding.n, bias=False, weight_quant=Grid).eval()
    layer.weight.data = torch.tensor(rounding.shift * rounding.scale[:, None], dtype=torch.float32)
    return layer
