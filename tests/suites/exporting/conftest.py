"""Networks whose codes are drawn, so that every width, group and zero point can be had."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from qubopress.problems.layers.uses import uses_of
from qubopress.problems.quantization.codes import Codes, attach

Plant = Callable[..., nn.Module]


def planted(
    network: nn.Module,
    x: torch.Tensor,
    *,
    bits: int,
    group: int = 0,
    symmetric: bool = True,
    half: bool = False,
) -> nn.Module:
    """The network with drawn codes in all its matrices; steps that float16 holds where `half`."""
    rng = np.random.default_rng(bits)
    low = -(2 ** (bits - 1)) if symmetric or bits == 8 else 0
    for use in uses_of(network.eval(), x).matrices:
        n, f = use.matrix(network).shape
        blocks = -(-f // group) if group else 1
        codes = rng.integers(low, low + 2**bits, (n, f))
        zero = rng.integers(low, low + 2**bits, (n, blocks)) * (not symmetric)
        step = rng.uniform(0.5, 1.5, (n, blocks)) / 2**bits
        step = step.astype(np.float16 if half else np.float32).astype(np.float32)
        made = Codes(use, codes.astype(np.int8), step, zero.astype(np.int8), bits, low, group)
        with torch.no_grad():
            use.put(network, made.matrix().astype(np.float64))
        attach(network, made)
    return network


@pytest.fixture
def plant() -> Plant:
    return planted
