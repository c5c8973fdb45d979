"""Fold BatchNorms into the layers before them, so that rounding sees the weights that inference uses."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvTransposeNd

from .agreement import difference, outputs, same, tolerance
from .norm_pairs import LAYERS, Pair, pairs_of
from .samples import Inputs

__all__ = ["Folds", "fold_batch_norms", "has_batch_norms"]


class Folds(list[str]):
    """Names of the layers that a BatchNorm was folded into, in the order of the network.

    Attributes:
        left: why each BatchNorm that stays does, by its name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left: dict[str, str] = {}


def fold_batch_norms(network: nn.Module, inputs: Inputs | None = None) -> Folds:
    """Fold each BatchNorm of `network`, in eval mode, into the layer that feeds it alone; in place.

    W ← W·γ/√(σ² + ε) and b ← (b − μ)·γ/√(σ² + ε) + β, row by row; an identity takes the BatchNorm's place, so
    the network computes what it did before. A BatchNorm stays as it is, which changes nothing in eval mode,
    where its layer runs twice or is also used elsewhere, where torch.fx cannot trace the code, and where the
    network would put out something else, as behind a Linear that puts out features of tokens while the
    BatchNorm takes the tokens for channels.

    Parameters:
        network: in eval mode.
        inputs: samples on which every fold is tried; None to trust the code alone.

    Raises:
        InputError: the network does not run on the inputs.
    """
    folds = Folds()
    if not has_batch_norms(network):
        return folds
    pairs, folds.left = pairs_of(network)
    if inputs is None:
        for pair in pairs:
            _fold(network, pair)
            folds.append(pair.layer)
    elif pairs:
        _try(network, pairs, inputs, folds)
    folds.left = {name: reason for name, reason in folds.left.items() if reason}
    return folds


def has_batch_norms(network: nn.Module) -> bool:
    """Whether there is one, so that there may be something to fold."""
    return any(isinstance(module, _BatchNorm) for module in network.modules())


def _try(network: nn.Module, pairs: list[Pair], inputs: Inputs, folds: Folds) -> None:
    """Fold all pairs; where the network then puts out something else, one by one, without those to blame."""
    before, reasons = _looked_at(network, pairs, inputs)
    folds.left |= reasons
    fit = [pair for pair in pairs if not reasons[pair.norm]]
    undo = [_fold(network, pair) for pair in fit]
    if same(before, outputs(network, inputs)):
        folds.extend(pair.layer for pair in fit)
        return
    for back in reversed(undo):
        back()
    for pair in fit:
        back = _fold(network, pair)
        if same(before, outputs(network, inputs)):
            folds.append(pair.layer)
        else:
            back()
            folds.left[pair.norm] = f"the network puts out something else once it is in {pair.layer}"


def _looked_at(network: nn.Module, pairs: list[Pair], inputs: Inputs) -> tuple[list[Tensor], dict[str, str]]:
    """What a network puts out, and why a BatchNorm is no scale and shift of each output of its layer."""
    agreed: dict[str, bool] = {}

    def note(pair: Pair) -> Callable[..., None]:
        layer, norm = network.get_submodule(pair.layer), network.get_submodule(pair.norm)

        def look(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], output: Tensor) -> None:
            came = next(iter((*arguments, *named.values())))
            close = difference(_scaled(came, layer, norm), output) <= tolerance(output.dtype)
            agreed[pair.norm] = agreed.get(pair.norm, True) and close

        return look

    with ExitStack() as stack:
        for pair in pairs:
            norm = network.get_submodule(pair.norm)
            stack.callback(norm.register_forward_hook(note(pair), with_kwargs=True).remove)
        put = outputs(network, inputs)
    return put, {pair.norm: _reason(pair, agreed.get(pair.norm)) for pair in pairs}


def _reason(pair: Pair, agrees: bool | None) -> str:
    if agrees is None:
        return "it does not run on the calibration data"
    return "" if agrees else f"it normalises another axis than that of the outputs of {pair.layer}"


def _scaled(came: Tensor, layer: nn.Module, norm: nn.Module) -> Tensor:
    """A layer's outputs with each of them scaled and shifted as a BatchNorm says."""
    gain, mean, shift = _statistics(norm)
    behind = [1] * (layer.get_parameter("weight").dim() - 2)  # places of a convolution
    each = [one.reshape(-1, *behind) for one in (mean, gain, shift)]
    return ((came.double() - each[0]) * each[1] + each[2]).to(came.dtype)


def _fold(network: nn.Module, pair: Pair) -> Callable[[], None]:
    """Fold a BatchNorm into its layer, in place; what takes it back."""
    layer, norm = network.get_submodule(pair.layer), network.get_submodule(pair.norm)
    was = {name: layer._parameters[name] for name in ("weight", "bias")}
    asks = layer.get_parameter("weight").requires_grad
    for name, value in _folded(layer, norm).items():
        layer.register_parameter(name, nn.Parameter(value, requires_grad=asks))
    network.set_submodule(pair.norm, nn.Identity().eval())

    def back() -> None:
        for name, parameter in was.items():
            layer.register_parameter(name, parameter)
        network.set_submodule(pair.norm, norm)

    return back


def _folded(layer: nn.Module, norm: nn.Module) -> dict[str, Tensor]:
    """Weight and bias of a layer that does what the BatchNorm after it does too."""
    assert isinstance(layer, LAYERS)
    gain, mean, shift = _statistics(norm)
    weight, behind = layer.weight, [1] * (layer.weight.dim() - 2)
    before = 0.0 if layer.bias is None else layer.bias.double()
    # Outputs stand in the second place of a transposed convolution, those of one group after another.
    swapped, groups = isinstance(layer, _ConvTransposeNd), getattr(layer, "groups", 1)
    rows = gain.reshape(groups, 1, -1, *behind) if swapped else gain.reshape(-1, 1, *behind)
    apart = weight.reshape(groups, -1, *weight.shape[1:]) if swapped else weight
    made = {"weight": (apart.double() * rows).reshape(weight.shape), "bias": (before - mean) * gain + shift}
    return {name: value.detach().to(weight.dtype) for name, value in made.items()}


def _statistics(norm: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    """What a BatchNorm multiplies with, subtracts before and adds after, (channels,) float64 each."""
    assert isinstance(norm, _BatchNorm)
    mean, variance = norm.get_buffer("running_mean").double(), norm.get_buffer("running_var").double()
    gain = torch.rsqrt(variance + norm.eps) * (1.0 if norm.weight is None else norm.weight.double())
    shift = torch.zeros_like(mean) if norm.bias is None else norm.bias.double()
    return gain, mean, shift
