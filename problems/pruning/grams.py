"""Gram matrices of what flows into many layers, from one pass for as many as memory bears."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..arrays import Floats
from ..errors import InputError, one_line
from ..layers.inputs import BATCH, Hook, _rows, _supported, hooked
from ..layers.samples import Inputs, forward, pieces

__all__ = ["grams_of_inputs"]

ELEMENTS = 2**24
"""Numbers of unfolded patches held at once: 128 MiB in float64."""

HELD = 2**27
"""Numbers in the Gram matrices that are held at once: 1 GiB."""


def grams_of_inputs(network: nn.Module, names: Sequence[str], inputs: Inputs) -> Iterator[tuple[str, Floats]]:
    """The Gram matrix (f + 1, f + 1) of the inputs of each layer, as `gram_of_inputs` has it, one by one.

    Raises:
        InputError: a layer is neither Linear nor Conv2d with zero padding, the network does not run, or
            nothing or NaN reaches a layer.
    """
    for name in names:
        if not _supported(layer := network.get_submodule(name)):
            raise InputError(f"layer {name} must be Linear or Conv2d with zero padding, got {layer}")
    for window in _windows(network, names):
        sums = {name: _Sum() for name in window}
        hooks = {network.get_submodule(name): sums[name].hook for name in window}
        with hooked(hooks), torch.no_grad():
            for piece in pieces(inputs, BATCH):
                _run(network, piece)
        for name in window:
            yield name, sums.pop(name).mean(name)


def _run(network: nn.Module, piece: Inputs) -> None:
    try:
        forward(network, piece)
    except InputError:  # of a hook of ours
        raise
    except Exception as error:  # a foreign forward may raise anything
        raise InputError(
            f"the network must run on the calibration data, got {one_line(error)} for {len(piece)} samples"
        ) from error


def _windows(network: nn.Module, names: Sequence[str]) -> Iterator[list[str]]:
    """Layers whose Gram matrices fit into memory together, in order."""
    window: list[str] = []
    held = 0
    for name in names:
        size = (network.get_submodule(name).get_parameter("weight")[0].numel() + 1) ** 2
        if window and held + size > HELD:
            yield window
            window, held = [], 0
        window.append(name)
        held += size
    if window:
        yield window


class _Sum:
    """Running Σ x̃ x̃ᵀ over rows x̃ = (x, 1) that reach a layer, and how many there were."""

    def __init__(self) -> None:
        self.gram: Any = 0.0
        self.rows = 0

    @property
    def hook(self) -> Hook:
        """Adds what reaches the layer, in pieces that memory bears."""

        def add(layer: nn.Module, arguments: Any, output: Tensor) -> None:
            weight = layer.get_parameter("weight")
            if output.numel():
                size = output.numel() // len(weight) * (weight[0].numel() + 1)
                before = self.rows
                for piece in arguments[0].chunk(-(-size // ELEMENTS)):
                    self._add(_rows(layer, piece))
                if self.rows - before != output.numel() // len(weight):
                    raise InputError(
                        f"layers must multiply what they are called with, got {type(layer).__name__}, which "
                        "pads it first; pad before the layer"
                    )

        return add

    def _add(self, x: Tensor) -> None:
        rows = torch.cat([x.double(), torch.ones(*x.shape[:2], 1, dtype=torch.float64)], dim=2)
        self.gram = self.gram + rows.transpose(1, 2) @ rows
        self.rows += rows.shape[1]

    def mean(self, name: str) -> Floats:
        """The mean over rows, symmetric."""
        if not self.rows:
            raise InputError(f"something must reach layer {name}, got no row; use other calibration data")
        gram = np.asarray((self.gram / self.rows).numpy(), dtype=np.float64)[0]
        if not np.isfinite(gram).all():
            raise InputError(f"inputs of layer {name} must be finite; check the network's weights for NaN")
        return np.asarray((gram + gram.T) / 2)
