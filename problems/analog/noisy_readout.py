"""Readout: how a network runs on analog hardware, with noise at every read and converters of few bits."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor, nn
from torch.func import functional_call

from ..arrays import count, number
from ..errors import InputError
from ..layers.inputs import Hook, hooked
from ..quantization.weight_layers import Weighted
from ..tasks.task import Task
from .connections import Mask

__all__ = ["AnalogLayer", "Converter", "Estimate", "Readout", "analog", "estimate", "measures", "monte_carlo"]

DRAWS = 5
"""Noisy passes over the test data that a record's figures are the mean of."""

LEVEL = 0.95
"""Coverage of an interval."""


@dataclass(frozen=True)
class Readout:
    """Imperfections of the hardware; by default there are none.

    A connection w reads as w(1 + ρξ) + ασζ, ξ and ζ standard normal and new at every read, σ the largest
    |w| of its neuron: its full scale.

    Attributes:
        read_noise: ρ, multiplicative: what is 0 reads as 0.
        additive_noise: α, in full scales: every fabricated connection has it, one that was set to 0 too.
        converter_bits: width of the converters into and out of each layer, 0 for none.

    Raises:
        InputError: negative noise, or converters of more than 16 bits.
    """

    read_noise: float = 0.0
    additive_noise: float = 0.0
    converter_bits: int = 0

    def __post_init__(self) -> None:
        for name in ("read_noise", "additive_noise"):
            if number(getattr(self, name), name=name) < 0:
                raise InputError(f"{name} must not be negative, got {getattr(self, name)}; 0.1 is 10 %")
        count(self.converter_bits, name="converter_bits", low=0, high=16)

    @property
    def text(self) -> str:
        """In words, for tables."""
        parts = [
            f"{100 * self.read_noise:g} % read" if self.read_noise else "",
            f"{100 * self.additive_noise:g} % additive" if self.additive_noise else "",
            f"{self.converter_bits}-bit converters" if self.converter_bits else "",
        ]
        return ", ".join(part for part in parts if part) or "no noise"


STATED = (Readout(read_noise=0.1), Readout(read_noise=0.3), Readout(additive_noise=0.05))
"""Noise at which records hold the metric of a network."""


class Converter(nn.Module):
    """Maps x to the nearest of 2^bits values, evenly spaced over [low, high]."""

    def __init__(self, low: float, high: float, *, bits: int) -> None:
        super().__init__()
        self.low, self.top = low, 2**bits - 1
        self.step = (high - low) / self.top or 1.0

    def forward(self, x: Tensor) -> Tensor:
        """The converted values, in the type of x."""
        return self.low + self.step * torch.clamp(torch.round((x - self.low) / self.step), 0, self.top)


class AnalogLayer(nn.Module):
    """A Linear or Conv2d whose weights are read anew for every sample and place; its bias is digital.

    The noise of all reads that meet in one output is normal with variance Σ_i (ρ²w_i² + α²σ²T_i) x_i², and it
    is drawn as such: exact, and a second product in place of a weight for every sample
    (Kingma et al. 2015, arXiv:1506.02557).
    """

    def __init__(self, part: Weighted, exists: Tensor, readout: Readout, generator: torch.Generator) -> None:
        super().__init__()
        self.bias, self.generator = part.bias, generator
        self.part = copy.deepcopy(part)
        self.part.bias = None
        full_scale = part.weight.abs().flatten(1).amax(dim=1).reshape(-1, *[1] * (part.weight.dim() - 1))
        additive = (readout.additive_noise * full_scale * exists) ** 2
        self.variance = (readout.read_noise * part.weight) ** 2 + additive
        self.noisy = bool(self.variance.any())
        self.enters: nn.Module = nn.Identity()
        self.leaves: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Pre-activations as they are read."""
        x = self.enters(x)
        y: Tensor = self.part(x)
        if self.noisy:
            spread = functional_call(self.part, {"weight": self.variance}, (x * x,)).clamp(min=0).sqrt()
            y = y + spread * torch.randn(y.shape, generator=self.generator, dtype=y.dtype)
        y = self.leaves(y)
        if self.bias is None:
            return y
        return y + (self.bias if isinstance(self.part, nn.Linear) else self.bias[:, None, None])


def analog(
    network: nn.Module,
    readout: Readout,
    *,
    exists: Mapping[str, Mask] | None = None,
    inputs: Tensor | None = None,
    seed: int = 0,
) -> nn.Module:
    """A copy of a network, in eval mode, as the hardware runs it; every pass draws new noise.

    Parameters:
        network: its Linear and Conv2d layers are the analog ones.
        readout: the hardware.
        exists: (n, f) connections that were fabricated, by layer; the weights that are not 0 where a layer is
            not named. A learned zero is fabricated: name it.
        inputs: (N, ...) samples over whose span each converter reaches.
        seed: of the noise.

    Raises:
        InputError: converters without inputs, or a mask that does not fit its layer.
    """
    generator = torch.Generator().manual_seed(count(seed, name="seed", low=0))
    made = copy.deepcopy(network).eval().requires_grad_(False)
    for name, part in [*made.named_modules()]:
        if isinstance(part, Weighted):
            there = _exists(part, name, exists or {})
            made.set_submodule(name, AnalogLayer(part, there, readout, generator).eval())
    if readout.converter_bits:
        _add_converters(made, network, readout.converter_bits, inputs)
    return made


def _exists(part: Weighted, name: str, masks: Mapping[str, Mask]) -> Tensor:
    if name not in masks:
        return part.weight != 0
    mask = np.asarray(masks[name])
    if mask.size != part.weight.numel():
        raise InputError(f"exists must have {part.weight.numel()} entries for layer {name}, got {mask.size}")
    return torch.from_numpy(mask.reshape(tuple(part.weight.shape)))


def _add_converters(made: nn.Module, network: nn.Module, bits: int, inputs: Tensor | None) -> None:
    """Converters over the span that enters and leaves each layer of the noiseless network, in place."""
    if inputs is None or not len(inputs):
        raise InputError("converters need inputs whose span they reach over, got none; pass inputs")
    spans: dict[str, list[tuple[float, float]]] = {}

    def note(name: str) -> Hook:
        def hook(_: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            spans[name] = [(float(x.min()), float(x.max())) for x in (arguments[0], output)]

        return hook

    # What crosses an array has no bias, so the spans are of the products in a copy without noise.
    quiet = analog(network, Readout())
    layers = {name: part for name, part in quiet.named_modules() if isinstance(part, AnalogLayer)}
    with hooked({layer.part: note(name) for name, layer in layers.items()}), torch.no_grad():
        quiet(inputs)
    for name, (entered, left) in spans.items():
        layer = made.get_submodule(name)
        layer.enters, layer.leaves = Converter(*entered, bits=bits), Converter(*left, bits=bits)


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % interval; NaN ends where there is one value alone."""

    mean: float
    low: float
    high: float


def estimate(values: list[float]) -> Estimate:
    """Mean of independent draws with Student's interval."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Estimate(mean, float("nan"), float("nan"))
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2) * np.std(values, ddof=1) / np.sqrt(n))
    return Estimate(mean, mean - half, mean + half)


def monte_carlo(
    judge: Callable[[nn.Module], float],
    network: nn.Module,
    readout: Readout,
    *,
    draws: int = DRAWS,
    exists: Mapping[str, Mask] | None = None,
    inputs: Tensor | None = None,
    seed: int = 0,
) -> Estimate:
    """A metric of a network on the hardware, over `draws` independent runs; the rest as `analog` takes it."""
    runs = count(draws, name="draws", low=1)
    return estimate(
        [
            judge(analog(network, readout, exists=exists, inputs=inputs, seed=seed * runs + run))
            for run in range(runs)
        ]
    )


def measures(task: Task, network: nn.Module) -> dict[str, float]:
    """Connections, and the task's metric at the stated noise: means over `DRAWS` passes."""
    layers = [part for part in network.modules() if isinstance(part, Weighted)]
    found = {"connections": float(sum(int(part.weight.count_nonzero()) for part in layers))}
    if task.judge is not None:
        for readout in STATED:
            found[f"{task.metric} at {readout.text} noise"] = monte_carlo(task.judge, network, readout).mean
    return found
