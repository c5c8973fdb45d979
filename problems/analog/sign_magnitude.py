"""sign-magnitude: sign and magnitude of every connection of a fixed topology, for hardware without a zero.

A fabricated connection of an analog array cannot hold an exact zero, so which connections exist is decided
once (`connections`) and each of them takes a value of the midrise grid, w = s(2u − (2^B − 1)), u in [0, 2^B):
a sign and B − 1 bits of magnitude. A connection that does not exist is 0 exactly.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..arrays import Bits, Floats, number
from ..errors import InputError
from ..instances.rounding import Rounding
from ..quantization.grids import Grid, midrise
from ..quantization.weight_layers import Weighted, WeightLayers, matrix_of
from ..registry import problem
from ..tasks.task import Task
from .connections import Mask, connections
from .noisy_readout import measures

__all__ = ["Inputs", "Wiring", "put", "sign_magnitude", "wiring"]


@problem("sign-magnitude", family="analog", measures=measures)
def sign_magnitude(
    task: Task,
    *,
    bits: int = 2,
    topology: str = "random",
    density: float = 0.5,
    topology_seed: int = 0,
    per: str = "channel",
    read_noise: float = 0.0,
    sequential: bool = False,
) -> Generator[Rounding, Bits, nn.Module]:
    """Decide sign and magnitude of every connection that exists, layer by layer; there is no zero to learn.

    A neuron with trained weights v and inputs x costs E[((w − v)ᵀx + noise)²], its mean squared
    pre-activation error on the calibration data under read noise of w_i(1 + ρξ_i):

        (w − v)ᵀ C (w − v) + ρ² Σ_i G_ii w_i²,    G = E[xxᵀ], C the covariance where the layer has a bias.

    The bias is digital and keeps its width: it takes up the mean error, which is why C is centred. w is
    linear in the B bits of each connection, so a layer is exactly one `Rounding` of 2^B levels, a neuron
    exactly one QUBO of B bits a connection, and no penalty is needed. A missing connection is a coordinate
    fixed at the value that stands for w = 0; its error is part of the loss and the others make up for it.

    Parameters:
        task: the network, and the samples that calibrate it.
        bits: B in [1, 4]; one bit is a sign.
        topology: which connections exist, see `connections`; "own" takes those of the network's weights that
            are not 0, such as `topology` leaves.
        density: share of the connections that exist, in (0, 1].
        topology_seed: of a random topology.
        per: one s for the "tensor" or one for each output "channel".
        read_noise: ρ, standard deviation of the noise over the weight that is read.
        sequential: calibrate a layer on the activations of the layers already decided, not the trained ones.

    Raises:
        InputError: a parameter outside its range, a topology that leaves a neuron without connections, a
            layer that is not supported, or weights with NaN.

    References:
        García-Arias et al. 2024 for the supermasks; the QUBO is ours.
    """
    if number(read_noise, name="read_noise") < 0:
        raise InputError(f"read_noise must not be negative, got {read_noise}; 0.1 is 10 % of a weight")
    layers = WeightLayers(task, sequential=sequential, modules=True)
    weights = {one.name: matrix_of(one.part) for one in layers}
    exists = connections(weights, topology=topology, density=density, seed=topology_seed)
    for one in layers:
        trained, there = weights[one.name], exists[one.name]
        for rows, gram in one.groups():
            inputs = Inputs.of(gram, centred=one.part.bias is not None)
            layer = wiring(trained[rows], there[rows], inputs, bits=bits, per=per, read_noise=read_noise)
            x = yield layer.instance
            put(one.part, rows, layer.weights(x), trained[rows], inputs)
    return layers.finished()


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a layer must know of its inputs, where its bias takes up the mean error.

    Attributes:
        form: (f, f) matrix C of the squared error (w − v)ᵀ C (w − v): covariance with a bias, else gram.
        mean: (f,) of the inputs, zeros without a bias.
        power: (f,) mean squares of the inputs, which read noise meets.
    """

    form: Floats
    mean: Floats
    power: Floats

    @classmethod
    def of(cls, gram: Floats, *, centred: bool) -> Inputs:
        """From the gram (f + 1, f + 1) of the inputs and a one."""
        mean = np.array(gram[-1, :-1]) if centred else np.zeros(len(gram) - 1)
        inner = np.asarray(gram[:-1, :-1])
        return cls(inner - np.outer(mean, mean), mean, np.diag(inner).copy())


@dataclass(frozen=True, eq=False)
class Wiring:
    """A layer's problem and what its levels mean.

    Attributes:
        instance: the problem; with read noise a last coordinate, always fixed, carries what no choice
            changes, so that the loss is the whole expected error.
        grid: midrise, a row a neuron.
        exists: (n, f) connections.
    """

    instance: Rounding
    grid: Grid
    exists: Mask

    def weights(self, x: Bits) -> Floats:
        """Weights (n, f) that levels stand for: on the grid, and 0 where there is no connection."""
        levels = np.asarray(x, dtype=np.float64)[:, : self.exists.shape[1]]
        return np.where(self.exists, self.grid.value(levels), 0.0)


def wiring(
    weights: Floats, exists: Mask, inputs: Inputs, *, bits: int, per: str = "channel", read_noise: float = 0.0
) -> Wiring:
    """The problem of one layer of trained weights (n, f), whose connections are `exists` (n, f).

    Completing the square takes read noise into the matrix: the error is (w − t)ᵀ(C + ρ²D)(w − t) + constant
    with D = diag(power) and the shrunk target t = (C + ρ²D)⁻¹ C v.
    """
    target, form = _shrunk(weights, inputs, read_noise)
    grid = midrise(target, exists, bits=bits, per=per)
    # A missing connection has its grid's origin at 0: fixed at level 0, it is off by −t.
    shift = np.where(exists, grid.position(target), target / grid.step)
    fixed = np.where(exists, -1, 0)
    if not read_noise:
        return Wiring(Rounding(form, shift, grid.step[:, 0], 2**bits, fixed), grid, exists)
    constant = np.einsum("nf,nf->n", weights @ inputs.form, weights - target)
    unit = float(np.mean(np.diag(form))) or 1.0
    gram = np.pad(form, (0, 1))
    gram[-1, -1] = unit
    off = np.sqrt(np.maximum(constant, 0.0) / unit) / grid.step[:, 0]
    shift, fixed = np.column_stack([shift, off]), np.column_stack([fixed, np.zeros(len(fixed), dtype=int)])
    return Wiring(Rounding(gram, shift, grid.step[:, 0], 2**bits, fixed), grid, exists)


def _shrunk(weights: Floats, inputs: Inputs, read_noise: float) -> tuple[Floats, Floats]:
    """Target (n, f) and matrix (f, f) of the error under read noise; what no input reaches stays as it is."""
    if not read_noise:
        return weights, inputs.form
    form = inputs.form + read_noise**2 * np.diag(inputs.power)
    live = np.flatnonzero(inputs.power > 0)
    target = weights.copy()
    among = np.ix_(live, live)
    target[:, live] = np.linalg.solve(form[among], inputs.form[among] @ weights[:, live].T).T
    return target, form


def put(part: Weighted, rows: slice, made: Floats, trained: Floats, inputs: Inputs) -> None:
    """Write weights (n, f) into rows of a layer, in place; its bias takes up the mean error."""
    with torch.no_grad():
        part.weight[rows] = torch.from_numpy(made).reshape(-1, *part.weight.shape[1:]).to(part.weight)
        if part.bias is not None:
            part.bias[rows] += torch.from_numpy((trained - made) @ inputs.mean).to(part.bias)
