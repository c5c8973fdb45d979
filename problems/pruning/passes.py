"""Which layers of a network run, in what order: leaf modules, and layers that have modules of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from torch import nn
from torch.nn.modules.conv import _ConvNd

from ..layers.inputs import Call, calling, calls, hooked
from ..layers.samples import Inputs

__all__ = ["holds_weights", "runs", "until"]


def runs(network: nn.Module, inputs: Inputs, *, samples: int = 1) -> list[Call]:
    """Every run, on the first of the inputs, of a leaf module or of a Linear or convolution with children.

    A convolution that pads its inputs itself may keep a module for that. Raises as `calls` does.
    """
    noted = {
        module: name
        for name, module in network.named_modules()
        if not list(module.children()) or (isinstance(module, nn.Linear | _ConvNd) and holds_weights(module))
    }
    with calling(noted) as made:
        calls(network, inputs, samples=samples)
    return made


def holds_weights(layer: nn.Module) -> bool:
    """Whether a layer's weight is a parameter of its own, not made of others at each run."""
    return layer._parameters.get("weight") is not None


class _Reached(BaseException):
    """The layer has run and the rest of the network need not; no forward catches it as an `Exception`."""


@contextmanager
def until(network: nn.Module, name: str | None) -> Iterator[None]:
    """A pass inside, whoever calls the network, ends once a layer has run; where that is None, at its end."""

    def stop(*_: object) -> None:
        raise _Reached

    with hooked({network.get_submodule(name): stop} if name is not None else {}), suppress(_Reached):
        yield
