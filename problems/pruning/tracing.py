"""Torch-Pruning's graph of a network, between its inputs and all that it puts out."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError, one_line
from ..layers.samples import Batch, Inputs, Samples

__all__ = ["Entry", "silence", "trace"]


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

            for parameter in network.parameters():
                parameter.requires_grad_(parameter.is_floating_point())
            for module in network.modules():  # a cache of keys is a concatenation that nothing reads
                config: Any = getattr(module, "config", None)
                if getattr(config, "use_cache", False):
                    config.use_cache = False
            traced = _Traced(network, sample)
            return DependencyGraph().build_dependency(traced, sample, forward_fn=lambda f, x: f(x))
    except Exception as error:  # it runs a foreign forward, and fails in many ways of its own
        reason = one_line(error)
        raise InputError(
            f"torch-pruning must be able to trace the network, got {reason}; build it of modules whose "
            "gradients autograd can follow"
        ) from error


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Torch-Pruning prints and warns of what it does not know; what matters is checked here."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
