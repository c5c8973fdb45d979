"""Parts of a network that Torch-Pruning can trace, where it cannot trace the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import nn
from torch.nn.modules.conv import _ConvNd

from ..errors import InputError
from ..layers.inputs import run
from ..layers.samples import Batch, Inputs, Samples
from .tracing import trace

__all__ = ["TracedPart", "traced"]

FEWEST = 2
"""Layers of a part: one makes channels, another reads them."""

Arguments: TypeAlias = Mapping[nn.Module, Batch]


@dataclass(frozen=True, eq=False)
class TracedPart:
    """A module with Torch-Pruning's graph of it.

    Attributes:
        name: of the module in the network, "" for all of it.
        graph: between what the module takes and what it puts out.
    """

    name: str
    graph: Any

    def holds(self, name: str) -> bool:
        """Whether a module of the network lies in this one."""
        return not self.name or name.startswith(f"{self.name}.")


def traced(network: nn.Module, sample: Inputs) -> list[TracedPart]:
    """The whole network if it can be traced, else the largest modules in it that can.

    Raises:
        InputError: the network cannot be traced, nor any part with two layers or more.
    """
    try:
        return [TracedPart("", trace(network, sample))]
    except InputError:
        found = list(_parts("", network, _arguments(network, sample)))
        if not found:
            raise
        return found


def _parts(name: str, module: nn.Module, arguments: Arguments) -> Iterator[TracedPart]:
    """The largest children that can be traced; in place of one that cannot, or does not run, its own."""
    for own, child in module.named_children():
        full = f"{name}.{own}" if name else own
        if sum(isinstance(one, nn.Linear | _ConvNd) for one in child.modules()) < FEWEST:
            continue
        graph = None
        if child in arguments:
            with suppress(InputError):
                graph = trace(child, Samples([arguments[child]]))
        if graph is None:
            yield from _parts(full, child, arguments)
        else:
            yield TracedPart(full, graph)


def _arguments(network: nn.Module, sample: Inputs) -> Arguments:
    """What each module takes on the sample when it first runs."""
    found: dict[nn.Module, Batch] = {}

    def note(module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        found.setdefault(module, Batch(args, named, 1))

    with ExitStack() as stack:
        for module in network.modules():
            stack.callback(module.register_forward_pre_hook(note, with_kwargs=True).remove)
        run(network, sample)
    return found
