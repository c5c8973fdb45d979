"""Which BatchNorm follows which layer, as torch.fx reads it from the code."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from ..errors import one_line

__all__ = ["LAYERS", "Pair", "pairs_of"]

LAYERS = (nn.Linear, _ConvNd)
"""Kinds of layer that a BatchNorm can go into."""


@dataclass(frozen=True)
class Pair:
    """Names of a layer, and of the BatchNorm that alone reads what it puts out."""

    layer: str
    norm: str


def pairs_of(network: nn.Module) -> tuple[list[Pair], dict[str, str]]:
    """Layers with the BatchNorms that follow them, in the order of the code; why the other BatchNorms do not.

    Where torch.fx cannot trace the whole network, its largest parts that it can trace are read.
    """
    found: list[Pair] = []
    left: dict[str, str] = {}
    for prefix, graph in _graphs(network, left):
        made = [node for node in graph.nodes if node.op == "call_module"]
        names = {node: f"{prefix}{node.target}" for node in made}
        runs = Counter(network.get_submodule(name) for name in names.values())
        for node in made:
            norm = network.get_submodule(names[node])
            if not isinstance(norm, _BatchNorm):
                continue
            before = next(iter((*node.args, *node.kwargs.values())), None)
            name, read = (names.get(before), len(before.users)) if isinstance(before, fx.Node) else (None, 0)
            layer = None if name is None else network.get_submodule(name)
            alone = layer is not None and runs[layer] == runs[norm] == read == 1
            left[names[node]] = _unfit(layer, norm) or (
                "" if alone else f"layer {name} is also used elsewhere"
            )
            if name is not None and not left[names[node]]:
                found.append(Pair(name, names[node]))
    return found, left | _unread(network, left)


def _unread(network: nn.Module, left: dict[str, str]) -> dict[str, str]:
    norms = [name for name, module in network.named_modules() if isinstance(module, _BatchNorm)]
    return {name: "no code calls it" for name in norms if name not in left}


def _graphs(network: nn.Module, left: dict[str, str]) -> Iterator[tuple[str, fx.Graph]]:
    """Graphs of the largest parts that torch.fx can trace, each with the prefix of its names."""
    waiting = [
        ("", copy.deepcopy(network))
    ]  # a copy, because a foreign forward may keep what runs through it
    while waiting:
        prefix, part = waiting.pop(0)
        try:
            graph = _Tracer().trace(part)
        except Exception as error:  # a foreign forward may raise anything
            reason = f"torch.fx cannot trace {prefix.rstrip('.') or 'the network'}: {one_line(error)[:200]}"
            children = [(f"{prefix}{key}", child) for key, child in part.named_children()]
            left |= {name: reason for name, child in children if isinstance(child, _BatchNorm)}
            waiting += [(f"{name}.", child) for name, child in children if _has_norm(child)]
        else:
            yield prefix, graph


def _has_norm(part: nn.Module) -> bool:
    """Whether a part holds a BatchNorm among others; one alone follows nothing."""
    return any(isinstance(module, _BatchNorm) and module is not part for module in part.modules())


class _Tracer(fx.Tracer):
    """Takes layers and BatchNorms for leaves wherever their class is defined."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (*LAYERS, _BatchNorm)) or super().is_leaf_module(m, module_qualified_name)


def _unfit(layer: nn.Module | None, norm: _BatchNorm) -> str:
    """Why a BatchNorm cannot go into the layer before it, "" where it can as far as their kinds tell."""
    if norm.running_mean is None or norm.running_var is None:
        return "it has no fixed statistics"
    if type(norm).forward not in (_BatchNorm.forward, nn.SyncBatchNorm.forward):
        return f"{type(norm).__name__} does more than normalise"
    if not isinstance(layer, LAYERS):
        return "it follows no Linear or convolution"
    if any(module._forward_hooks or module._forward_pre_hooks for module in (layer, norm)):
        return "a hook sees what passes between it and its layer"
    if "weight" not in layer._parameters or len(norm.running_mean) != _width(layer):
        return f"{type(layer).__name__} puts out other features than it normalises"
    return ""


def _width(layer: nn.Module) -> int:
    """Features that a Linear, or channels that a convolution, puts out."""
    weight = layer.get_parameter("weight")
    return weight.shape[1] * layer.groups if isinstance(layer, _ConvTransposeNd) else weight.shape[0]
