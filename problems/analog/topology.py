"""topology: which connections of a trained network to fabricate, exactly K a neuron or N of every M."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from torch import nn

from ..arrays import Bits, Floats, count
from ..errors import InputError
from ..instances.capacity import Capacity
from ..quantization.weight_layers import WeightLayers, matrix_of
from ..registry import problem
from ..tasks.task import Task
from .connections import inputs_kept, pattern_of
from .noisy_readout import measures
from .sign_magnitude import Inputs, put

__all__ = ["topology", "wires"]


@problem("topology", family="analog", measures=measures)
def topology(
    task: Task,
    *,
    density: float = 0.5,
    fan_in: int = 0,
    pattern: str = "",
    sweeps: int = 2,
    sequential: bool = False,
) -> Generator[Capacity, Bits, nn.Module]:
    """Decide which K connections of every neuron to fabricate: min rᵀCr, C = (w wᵀ) ∘ G, Σ(1 − r) = K.

    r marks the connections left out. Without them a neuron's pre-activations are off by Σ_{i in r} w_i x_i,
    whose mean square on the calibration data is rᵀCr exactly; with a bias, which takes up the mean error, G
    is the covariance. Neurons never couple and each has a capacity of its own, so a neuron is an instance.
    The network that comes out feeds `sign-magnitude` with topology "own".

    With a pattern N:M exactly N of every M neighbouring inputs stay, a capacity for each block of M. Our
    reading: an instance is one block of a neuron, whose other blocks stay as they are, whole to begin with;
    its loss is what its choice adds to the error, so a neuron's losses sum to rᵀCr. Each sweep decides every
    block again. A filter's inputs lie channel by channel, place by place.

    Parameters:
        task: the network, and the samples that calibrate it.
        density: share of a neuron's connections that are fabricated, in (0, 1].
        fan_in: where positive, that many connections a neuron in place of a share.
        pattern: "N:M", such as "2:4", in place of both; a shorter last block keeps up to N as well.
        sweeps: through the blocks of a pattern.
        sequential: calibrate a layer on the activations of the layers already decided, not the trained ones.

    Raises:
        InputError: more connections than a neuron has inputs, a share that leaves none, N > M or N < 1, a
            layer that is not supported, or weights with NaN.
    """
    layers = WeightLayers(task, sequential=sequential, modules=True)
    rules = {one.name: _rule(one.part, one.name, density, fan_in, pattern) for one in layers}
    passes = count(sweeps, name="sweeps", low=1) if pattern else 1
    for one in layers:
        weights = matrix_of(one.part)
        for rows, gram in one.groups():
            inputs = Inputs.of(gram, centred=one.part.bias is not None)
            for row in range(rows.start, rows.stop):
                place = slice(row, row + 1)
                x = yield from _neuron(weights[row], inputs, *rules[one.name], sweeps=passes)
                put(one.part, place, weights[place] * x, weights[place], inputs)
    return layers.finished()


def wires(
    weights: Floats, inputs: Inputs, K: int, *, block: slice = slice(None), present: Bits | None = None
) -> Capacity:
    """The problem of a block of inputs of one neuron of trained weights (f,): K of them are kept (x = 1).

    Its loss is the error with the new block less that of the connections `present` (f,), all by default.
    """
    missing = np.zeros(len(weights)) if present is None else 1.0 - present
    rows = np.outer(weights[block], weights) * inputs.form[block]
    cost, ones, now = rows[:, block], np.ones(len(rows)), missing[block]
    pull = rows @ missing - cost @ now  # what the other blocks lack, as it meets this one
    # With r = 1 − x, rᵀCr + 2 pullᵀr = xᵀCx − 2(C1 + pull)ᵀx + 1ᵀC1 + 2·1ᵀpull.
    offset = ones @ cost @ ones + 2 * pull.sum() - now @ cost @ now - 2 * pull @ now
    return Capacity(cost - np.diag(2 * (cost @ ones + pull)), ones, K, offset=float(offset))


def _neuron(
    weights: Floats, inputs: Inputs, kept: int, of: int, *, sweeps: int
) -> Generator[Capacity, Bits, Bits]:
    """Connections (f,) of a neuron, at most `kept` of every `of` inputs."""
    x = np.ones(len(weights), dtype=np.int8)
    for _ in range(sweeps):
        for start in range(0, len(weights), of):
            block = slice(start, start + of)
            x[block] = yield wires(weights, inputs, min(kept, len(x[block])), block=block, present=x)
    return x


def _rule(
    part: nn.Linear | nn.Conv2d, name: str, density: float, fan_in: int, pattern: str
) -> tuple[int, int]:
    """How many of how many neighbouring inputs a layer's neurons keep."""
    f = part.weight[0].numel()
    wanted = count(fan_in, name="fan_in", low=0)
    if wanted > f:
        raise InputError(f"fan_in must be at most the {f} inputs of layer {name}, got {wanted}; lower it")
    if pattern:
        return pattern_of(pattern)
    return wanted or inputs_kept(density, f), f
