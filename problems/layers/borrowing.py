"""Copies of a network whose weights lie where the network's do, until one is written."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from .agreement import repeatable
from .samples import Inputs, forward

__all__ = ["Guard", "borrowed", "lent", "own", "own_all", "writes_weights"]


def borrowed(network: nn.Module) -> nn.Module:
    """A deep copy in eval mode, whose parameters are others in the same memory as far as they are `lent`."""
    return copy.deepcopy(network, dict(lent(network))).eval()


def lent(network: nn.Module) -> dict[int, Any]:
    """Parameters in the memory of a network's by the identity of those, a memo of `copy.deepcopy`.

    Those that fill a memory of the processor alone: others, as of weights tied by their data, a copy sets
    apart.
    """
    parameters = list(network.parameters())
    sharing = Counter(_memory(one) for one in parameters)
    return {
        id(one): nn.Parameter(one.data, one.requires_grad)
        for one in parameters
        if type(one) is nn.Parameter and _fills(one) and sharing[_memory(one)] == 1
    }


def _fills(one: Tensor) -> bool:
    """Whether a tensor is all that lies in its memory."""
    plain = one.device.type == "cpu" and one.layout == torch.strided and one.numel() > 0
    return plain and one.untyped_storage().nbytes() == one.numel() * one.element_size()


def _memory(one: Tensor) -> int:
    """Where a tensor's memory begins; 0 of none."""
    try:
        return int(one.untyped_storage().data_ptr())
    except (RuntimeError, NotImplementedError):
        return 0


def own(parameter: Tensor, lender: nn.Module) -> None:
    """Give a parameter memory of its own if its numbers lie in that of a lender's."""
    if _memory(parameter) in {_memory(one) for one in lender.parameters()}:
        parameter.data = parameter.data.clone()


def own_all(network: nn.Module, lender: nn.Module) -> nn.Module:
    """The network itself, with no parameter left in the memory of a lender's."""
    taken = {_memory(one) for one in lender.parameters()}
    for parameter in network.parameters():
        if _memory(parameter) in taken:
            parameter.data = parameter.data.clone()
    return network


class _WritesError(Exception):
    """Something is about to write into memory that is guarded."""


class Guard(TorchDispatchMode):  # type: ignore[no-untyped-call]  # of torch's own __init_subclass__
    """Raises before torch writes into the memory of a network's parameters.

    Attributes:
        tripped: whether something was stopped, as foreign code may catch what is raised.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self.memory = {_memory(one) for one in network.parameters()} - {0}
        self.tripped = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch asks; True would load its compiler."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if torch.is_inference_mode_enabled():  # there composite functions arrive whole
            with self:
                parts = func.decompose(*args, **named)
            if parts is not NotImplemented:
                return parts
        for place, argument in enumerate(func._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                given = args[place] if place < len(args) else named.get(argument.name)
                for one in given if isinstance(given, list | tuple) else [given]:
                    if isinstance(one, Tensor) and _memory(one) in self.memory:
                        self.tripped = True
                        raise _WritesError
        return func(*args, **named)


def writes_weights(network: nn.Module, inputs: Inputs) -> bool:
    """Whether a network in eval mode writes into its parameters' memory as it runs on the first sample.

    Layers that keep their weights within a norm do. It is stopped before it does, and counts as one that
    writes where it fails.
    """
    try:
        with repeatable(), torch.no_grad(), Guard(network):
            forward(network, inputs[:1])
    except Exception:  # ours, or whatever a foreign forward raises
        return True
    return False
