"""Supermasks: train what analog hardware can set, by primaries over frozen signs or on the midrise grid.

A weight is w = σ·r·T·C·S·μ: a gain σ a layer, a frozen random sign r = ±1, the fixed topology T and the
primaries C in {0, 1} (connectivity), S in {−1, 1} (sign) and μ in {1, …, N} (magnitude M), learned by scores
with straight-through gradients (García-Arias et al. 2024). C keeps the largest scores (edge-popup, Ramanujan
et al. 2020, arXiv:1911.13299), S is the score's sign, M counts the nested percentiles of the existing
connections that the score passes. Our reading: frozen magnitudes are all 1 and the gain is learned, so that
every weight is one that the hardware's levels hold. Biases are digital and trained as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ...problems.analog.connections import Mask, connections
from ...problems.arrays import count
from ...problems.errors import unknown_name
from ...problems.networks.zoo import Network
from ...problems.quantization.weight_layers import Weighted
from ...problems.tasks.fitting import fit
from ...problems.tasks.training import initialised

__all__ = ["METHODS", "PRIMARIES", "Midrise", "Supermask", "Trained", "topology_of", "train_supermask"]

PRIMARIES = ("C", "C+M", "C+S", "S", "M", "S+M", "C+S+M")

METHODS = (*PRIMARIES, "midrise", "learned zeros")
"""The primaries, and quantization-aware training on a fixed topology or with zeros that are learned."""

HALF_STEPS = {1: 0.7979, 2: 0.4978, 3: 0.2930, 4: 0.1676}
"""s of the midrise grid that fits standard normal weights best, by its bits (Max 1960)."""

SPREAD = 0.1
"""Standard deviation of a score at the start."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network in eval mode, without gradients, and what was fabricated for it.

    Attributes:
        network: its weights are those that the hardware holds.
        fabricated: (n, f) connections of each layer that must exist; a learned zero is one of them.
        bits: that a fabricated connection must be set with.
    """

    network: nn.Module
    fabricated: dict[str, Mask]
    bits: float

    @property
    def connections(self) -> int:
        """How many are fabricated."""
        return sum(int(mask.sum()) for mask in self.fabricated.values())

    @property
    def weights(self) -> int:
        """How many weights are not 0."""
        layers = [part for part in self.network.modules() if isinstance(part, Weighted)]
        return sum(int(part.weight.count_nonzero()) for part in layers)


def topology_of(spec: Network, *, topology: str, density: float = 0.5, seed: int = 0) -> dict[str, Mask]:
    """Masks of a network's layers before it has learned anything. Raises as `connections` does."""
    layers = _layers(initialised(spec, seed=0))
    weights = {name: np.asarray(part.weight.detach().flatten(1).numpy()) for name, part in layers.items()}
    return connections(weights, topology=topology, density=density, seed=seed)


def train_supermask(
    spec: Network,
    inputs: Tensor,
    targets: Tensor,
    *,
    method: str,
    exists: Mapping[str, Mask],
    bits: int = 2,
    density: float | Mapping[str, float] = 1.0,
    seed: int = 0,
) -> Trained:
    """Train a network from a seed under what the hardware can hold.

    Parameters:
        spec: architecture, epochs, learning rate and batch.
        inputs, targets: training samples (N, ...) and classes (N,).
        method: one of `METHODS`.
        exists: (n, f) topology T of each layer; what learns its zeros fabricates it all.
        bits: B in [1, 4] of a weight that is not 0: magnitudes 1 … 2^(B−1) beside a sign, 1 … 2^B without.
        density: share of the topology that is not 0 where zeros are learned, of all layers or by layer.
        seed: of weights, signs, scores and batches.

    Raises:
        InputError: no such method or width.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    width = count(bits, name="bits", low=1, high=4)
    network = initialised(spec, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    learned = _learns_zeros(method)
    for name, part in _layers(network).items():
        mask = torch.from_numpy(exists[name]).reshape(part.weight.shape)
        share = density[name] if isinstance(density, Mapping) else density
        kept = share if learned else 1.0
        rule: nn.Module
        if method in PRIMARIES:
            rule = Supermask(mask, method, levels=_levels(method, width), density=kept, generator=draw)
            part.weight.requires_grad_(False)
        else:
            rule = Midrise(mask, bits=width, density=kept)
            with torch.no_grad():  # a sparse neuron needs larger weights for outputs of the same size
                part.weight.mul_(float(kept * mask.float().mean()) ** -0.5)
        parametrize.register_parametrization(part, "weight", rule)
    for _ in fit(network, spec, inputs, targets, spec.epochs, seed):
        pass
    for part in _layers(network).values():
        parametrize.remove_parametrizations(part, "weight", leave_parametrized=True)
    fabricated = {name: np.asarray(exists[name]) for name in _layers(network)}
    return Trained(network.eval().requires_grad_(False), fabricated, _width(method, width))


class Supermask(nn.Module):
    """The primaries of one layer as a parametrization of its frozen weight, of which only the signs count.

    Parameters:
        exists: topology T, of the weight's shape.
        primaries: one of `PRIMARIES`.
        levels: N magnitudes.
        density: share of the existing connections that C keeps.
        generator: of signs and scores.
    """

    exists: Tensor
    sign: Tensor

    def __init__(
        self, exists: Tensor, primaries: str, *, levels: int, density: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.levels, self.kept = levels, max(1, round(density * int(exists.sum())))
        self.register_buffer("exists", exists)
        self.register_buffer("sign", torch.randn(exists.shape, generator=generator).sign())
        self.scores = nn.ParameterDict(
            {
                letter: nn.Parameter(SPREAD * torch.randn(exists.shape, generator=generator))
                for letter in primaries.split("+")
            }
        )
        power = (levels + 1) * (2 * levels + 1) / 6 if "M" in self.scores else 1.0  # mean of μ²
        inputs = exists[0].numel() * self.kept / exists.numel()
        self.gain = nn.Parameter(torch.tensor((2 / (inputs * power)) ** 0.5))

    def forward(self, weight: Tensor) -> Tensor:
        """The layer's weight."""
        made = self.gain * self.sign * self.exists
        for letter, score in self.scores.items():
            hard = {"C": self._connectivity, "S": _signs, "M": self._magnitudes}[letter](score.detach())
            made = made * _straight(hard, score)
        return made.to(weight)

    def _connectivity(self, score: Tensor) -> Tensor:
        return _largest(score, self.exists, self.kept).to(score)

    def _magnitudes(self, score: Tensor) -> Tensor:
        """1 and one more for each N-quantile of the existing connections that a score passes."""
        there = score[self.exists]
        places = (len(there) * k // self.levels for k in range(1, self.levels))
        passed = [score > there.kthvalue(max(1, place)).values for place in places]
        return 1 + sum((one.to(score) for one in passed), torch.zeros_like(score))


class Midrise(nn.Module):
    """Latent weights to s(2u − (2^B − 1)) on the existing connections, straight through.

    s follows the layer's spread. With a density below 1 only the largest latent weights are not 0: the zeros
    are learned.
    """

    exists: Tensor

    def __init__(self, exists: Tensor, *, bits: int, density: float) -> None:
        super().__init__()
        self.bits, self.kept = bits, max(1, round(density * int(exists.sum())))
        self.register_buffer("exists", exists)

    def forward(self, weight: Tensor) -> Tensor:
        """The layer's weight."""
        latent = weight.detach()
        there = (
            _largest(latent.abs(), self.exists, self.kept) if self.kept < self.exists.sum() else self.exists
        )
        s = HALF_STEPS[self.bits] * latent[there].square().mean().sqrt()
        top = 2**self.bits - 1
        u = torch.clamp(torch.round((latent / s + top) / 2), 0, top)
        # A weight that is 0 for now still hears the gradient, or it could never come back.
        return _straight(s * (2 * u - top) * there, weight * self.exists)


def _straight(hard: Tensor, soft: Tensor) -> Tensor:
    """`hard` forward, the gradient of `soft` backward."""
    return soft + (hard - soft).detach()


def _signs(score: Tensor) -> Tensor:
    """−1 and 1; there is no 0."""
    return torch.where(score >= 0, 1.0, -1.0).to(score)


def _largest(score: Tensor, exists: Tensor, kept: int) -> Tensor:
    """Where the `kept` largest scores of the existing connections are."""
    ranked = score.masked_fill(~exists, -torch.inf).flatten()
    chosen = torch.zeros_like(ranked, dtype=torch.bool)
    chosen[ranked.topk(kept).indices] = True
    return chosen.reshape(score.shape)


def _layers(network: nn.Module) -> dict[str, Weighted]:
    return {name: part for name, part in network.named_modules() if isinstance(part, Weighted)}


def _learns_zeros(method: str) -> bool:
    return method == "learned zeros" or method.startswith("C")


def _levels(primaries: str, bits: int) -> int:
    """N: a sign takes one of the bits."""
    return 1 << (bits - 1 if "S" in primaries else bits)


def _width(method: str, bits: int) -> float:
    """log2 of how many values a fabricated connection may have."""
    if method in ("midrise", "learned zeros"):
        return float(np.log2(2**bits + (method == "learned zeros")))
    values = (2 if "S" in method else 1) * (_levels(method, bits) if "M" in method else 1)
    return float(np.log2(values + ("C" in method)))
