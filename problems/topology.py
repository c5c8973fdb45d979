"""topology: which connections of a trained network to fabricate, exactly K a neuron."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from torch import nn

from .adaround import folded, inputs_of, matrix_of, part_of, weighted
from .arrays import Bits, Floats, count
from .capacity import Capacity
from .connections import inputs_kept
from .errors import InputError
from .layers import groups_of
from .readout import measures
from .registry import problem
from .sign_magnitude import Inputs, put
from .task import Task

__all__ = ["topology", "wires"]


@problem("topology", family="analog", measures=measures)
def topology(
    task: Task, *, density: float = 0.5, fan_in: int = 0, sequential: bool = False
) -> Generator[Capacity, Bits, nn.Module]:
    """Decide which K connections of every neuron to fabricate: min rᵀCr, C = (w wᵀ) ∘ G, Σ(1 − r) = K.

    r marks the connections left out. Without them a neuron's pre-activations are off by Σ_{i in r} w_i x_i,
    whose mean square on the calibration data is rᵀCr exactly; with a bias, which takes up the mean error, G
    is the covariance. Neurons never couple and each has a capacity of its own, so a neuron is an instance.
    The network that comes out feeds `sign-magnitude` with topology "own".

    Parameters:
        task: the network, and the samples that calibrate it.
        density: share of a neuron's connections that are fabricated, in (0, 1].
        fan_in: where positive, that many connections a neuron in place of a share.
        sequential: calibrate a layer on the activations of the layers already decided, not the trained ones.

    Raises:
        InputError: more connections than a neuron has inputs, a share that leaves none, a layer that is not
            supported, or weights with NaN.
    """
    compressed = folded(task)

    def source() -> nn.Module:
        return compressed if sequential else folded(task)

    names = weighted(compressed, task)
    kept = {name: _kept(part_of(compressed, name), name, density, fan_in) for name in names}
    for name in names:
        part = part_of(compressed, name)
        weights = matrix_of(part)
        seen = inputs_of(source, name, task, keep=not sequential, rounded=False)["gram"]
        size = len(weights) // groups_of(part)
        for group, gram in enumerate(seen):
            inputs = Inputs.of(gram, centred=part.bias is not None)
            for row in range(group * size, (group + 1) * size):
                one = slice(row, row + 1)
                x = yield wires(weights[row], inputs, kept[name])
                put(part, one, weights[one] * x, weights[one], inputs)
    return compressed


def wires(weights: Floats, inputs: Inputs, K: int) -> Capacity:
    """The problem of one neuron of trained weights (f,), K of which are kept (x = 1)."""
    cost = np.outer(weights, weights) * inputs.form
    # With r = 1 − x, rᵀCr = xᵀCx − 2(C1)ᵀx + 1ᵀC1.
    whole = cost.sum(axis=1)
    return Capacity(cost - np.diag(2 * whole), np.ones(len(weights)), K, offset=float(whole.sum()))


def _kept(part: nn.Linear | nn.Conv2d, name: str, density: float, fan_in: int) -> int:
    """K of a layer's neurons."""
    f = part.weight[0].numel()
    wanted = count(fan_in, name="fan_in", low=0)
    if wanted > f:
        raise InputError(f"fan_in must be at most the {f} inputs of layer {name}, got {wanted}; lower it")
    return wanted or inputs_kept(density, f)
