"""Torch-Pruning's graph of a network, between its inputs and all that it puts out, and what it couples."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ..errors import InputError, one_line
from ..layers.samples import Batch, Inputs, Samples

__all__ = ["Entry", "Member", "coupled", "silence", "trace"]

ROUNDS = 256
"""Most sets of channels with which one operation is met; a walk that meets it with more goes in a circle."""


class Entry(nn.BatchNorm1d):
    """Stands for the network's inputs, so that what is added to or concatenated with them is seen."""

    def forward(self, x: Tensor) -> Tensor:
        """The same values, now with a place in autograd's graph."""
        return x * self.weight.mean()


class _Traced(nn.Module):
    """The network between its inputs and outputs, each of which is an operation of its own."""

    def __init__(self, network: nn.Module, sample: Inputs) -> None:
        super().__init__()
        self.network = network
        self.entries = nn.ModuleDict()
        for size in {
            one.shape[1] for one in _tensors_of(sample) if one.is_floating_point() and one.dim() > 1
        }:
            self.entries[str(size)] = Entry(size)

    def forward(self, sample: Inputs) -> list[Tensor]:
        """What the network puts out."""
        if isinstance(sample, Tensor):
            outputs = self.network(self._entered(sample))
        else:
            outputs = [_call(self.network, self._batch(one), sample.call) for one in sample.batches]
        found = [outputs] if isinstance(outputs, Tensor) else list(_tensors_of(outputs))
        seen = [one for one in found if one.requires_grad]
        if not seen and not isinstance(outputs, Tensor):
            raise TypeError(f"the network must put out a tensor to be traced, got {type(outputs).__name__}")
        return [one * 1 for one in seen or found]

    def _entered(self, value: Any) -> Any:
        """A batch of the caller's with an entry before each real tensor."""
        if isinstance(value, Mapping):
            return {name: self._entered(one) for name, one in value.items()}
        if isinstance(value, tuple | list):
            return type(value)(self._entered(one) for one in value)
        real = isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 1
        return self.entries[str(value.shape[1])](value) if real else value

    def _batch(self, batch: Batch) -> Batch:
        return replace(
            batch,
            args=self._entered(batch.args),
            kwargs=self._entered(batch.kwargs),
            raw=self._entered(batch.raw),
        )


def _call(network: nn.Module, batch: Batch, call: Any) -> Any:
    return network(*batch.args, **batch.kwargs) if call is None else call(network, batch.raw)


def _tensors_of(value: Any) -> Iterator[Tensor]:
    """Every tensor in what a network takes or puts out."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Samples):
        for batch in value.batches:
            yield from _tensors_of((batch.args, batch.kwargs, batch.raw))
    elif isinstance(value, Mapping):
        yield from _tensors_of(list(value.values()))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _tensors_of(one)
    elif is_dataclass(value):
        yield from _tensors_of(list(vars(value).values()))


def trace(network: nn.Module, sample: Inputs) -> Any:
    """Torch-Pruning's dependency graph of a network that we own. It reads autograd's, so needs gradients."""
    try:
        with silence(), torch.enable_grad():
            from torch_pruning import DependencyGraph  # takes a second, and most runs prune nothing
            from torch_pruning.dependency.index_mapping import update_index_mapping

            for parameter in network.parameters():
                parameter.requires_grad_(parameter.is_floating_point())
            for module in network.modules():
                config: Any = getattr(module, "config", None)
                if getattr(config, "use_cache", False):  # a concatenation that nothing reads
                    config.use_cache = False
                if isinstance(module, _ConvNd):  # of any other mode the slices look like channels that move
                    module.padding_mode = "zeros"
            traced = _Traced(network, sample)
            graph = DependencyGraph().build_dependency(traced, sample, forward_fn=lambda f, x: f(x))
            update_index_mapping(graph)
            return graph
    except Exception as error:  # it runs a foreign forward, and fails in many ways of its own
        reason = one_line(error)
        raise InputError(
            f"torch-pruning must be able to trace the network, got {reason}; build it of modules whose "
            "gradients autograd can follow"
        ) from error


@dataclass(frozen=True, eq=False)
class Member:
    """An operation that loses channels, and which.

    Attributes:
        module: a module of the network, or what Torch-Pruning has for an operation.
        cut: its function that cuts them out.
        roots: for each channel of the operation the channel of the layer that it goes with.
    """

    module: Any
    cut: Any
    roots: dict[int, int] = field(default_factory=dict)


def coupled(graph: Any, layer: nn.Module, width: int) -> list[Member]:
    """What Torch-Pruning's `get_pruning_group` would cut together with every output of a layer.

    Its own walk looks at all it has met for each step, and goes on for ever where channels move in a circle,
    as they may behind a circular padding; this one refuses.

    Raises:
        RuntimeError: channels move in a circle.
    """
    from torch_pruning._helpers import _HybridIndex

    cut = graph.get_pruner_of_module(layer).prune_out_channels
    every = [_HybridIndex(idx=i, root_idx=i) for i in range(width)]
    found = {(layer, cut): Member(layer, cut, {i: i for i in range(width)})}
    met: dict[tuple[Any, Any], set[tuple[Any, ...]]] = {(layer, cut): {tuple(every)}}
    waiting = [(graph.module2node[layer], cut, every)]
    while waiting:
        node, trigger, indices = waiting.pop()
        for edge in node.dependencies if indices else ():
            key = (edge.target.module, edge.handler)
            moved = _moved(edge, indices) if edge.is_triggered_by(trigger) else []
            seen = met.setdefault(key, set())
            if not moved or tuple(moved) in seen:
                continue
            seen.add(tuple(moved))
            if len(seen) > ROUNDS:
                raise RuntimeError("channels that move in a circle")
            member = found.setdefault(key, Member(*key))
            for index in moved:
                member.roots.setdefault(index.idx, index.root_idx)
            waiting.append((edge.target, edge.handler, moved))
    return list(found.values())


def _moved(edge: Any, indices: list[Any]) -> list[Any]:
    """Channels of one operation as those of the next."""
    for mapping in edge.index_mapping:
        indices = indices if mapping is None else mapping(indices)
    return indices


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Torch-Pruning prints and warns of what it does not know; what matters is checked here."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
