"""Fold BatchNorms into the layers before them, so that rounding sees the weights that inference uses."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from ..errors import InputError, one_line

__all__ = ["fold_batch_norms"]

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def fold_batch_norms(network: nn.Module) -> list[str]:
    """Fold each BatchNorm of `network`, in eval mode, into the layer that feeds it alone; in place.

    W ← W·γ/√(σ² + ε) and b ← (b − μ)·γ/√(σ² + ε) + β, row by row; an identity takes the BatchNorm's place, so
    the network computes what it did before. Returns the names of the layers changed. One that runs twice, or
    whose output is also used elsewhere, stays as it is, and so does its BatchNorm.

    Raises:
        InputError: the network has BatchNorms and torch.fx cannot trace it.
    """
    if not any(isinstance(module, NORMS) for module in network.modules()):
        return []
    made = [node for node in _traced(network).nodes if node.op == "call_module"]
    runs = [network.get_submodule(str(node.target)) for node in made]
    changed = []
    for node, norm in zip(made, runs, strict=True):
        before = node.args[0] if node.args else None
        if not isinstance(norm, NORMS) or not isinstance(before, fx.Node) or before.op != "call_module":
            continue
        layer = network.get_submodule(str(before.target))
        once = sum(one is layer for one in runs) == sum(one is norm for one in runs) == 1
        if once and len(before.users) == 1 and _fits(layer, norm):
            _fold(layer, norm)
            network.set_submodule(str(node.target), nn.Identity().eval())
            changed.append(str(before.target))
    return changed


def _traced(network: nn.Module) -> fx.Graph:
    try:
        return fx.Tracer().trace(network)
    except Exception as error:  # a foreign forward may raise anything
        reason = one_line(error)[:200]
        raise InputError(
            f"the network must be traceable by torch.fx to fold its BatchNorms, got {reason}; fold them first"
        ) from error


def _fits(layer: nn.Module, norm: nn.Module) -> bool:
    """Whether the statistics are fixed and the layer is of the kind that the BatchNorm follows row by row."""
    kinds = {nn.BatchNorm1d: nn.Linear, nn.BatchNorm2d: nn.Conv2d}
    tracked = isinstance(norm, NORMS) and norm.running_mean is not None
    return tracked and isinstance(layer, kinds[type(norm)])  # type: ignore[index]  # one of NORMS by now


def _fold(layer: nn.Module, norm: nn.Module) -> None:
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    assert isinstance(norm, NORMS)
    mean, variance = _known(norm.running_mean).double(), _known(norm.running_var).double()
    gain = torch.rsqrt(variance + norm.eps) * (1.0 if norm.weight is None else norm.weight.double())
    shift = 0.0 if norm.bias is None else norm.bias.double()
    before = 0.0 if layer.bias is None else layer.bias.double()
    rows = gain.reshape(-1, *[1] * (layer.weight.dim() - 1))
    _set(layer, "weight", layer.weight.double() * rows)
    _set(layer, "bias", (before - mean) * gain + shift)


def _known(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor


def _set(layer: nn.Linear | nn.Conv2d, name: str, value: Tensor) -> None:
    weight = layer.weight
    made = nn.Parameter(value.detach().to(weight.dtype), requires_grad=weight.requires_grad)
    layer.register_parameter(name, made)
