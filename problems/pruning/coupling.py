"""Coupled channels: which of a network's channels go together, and where they lie.

Layers whose outputs are added, and a depthwise convolution and what feeds it, have their channels in common:
channel i stays in all of them or in none. Torch-Pruning's dependency graph finds these groups by tracing;
what it cannot judge is left whole here.

Reference: Fang et al. 2023, DepGraph, arXiv:2301.12900.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

from ..arrays import frozen
from ..errors import InputError, one_line
from ..layers.inputs import Call

__all__ = [
    "LAYERS",
    "Group",
    "Groups",
    "Ints",
    "Part",
    "depthwise",
    "find",
    "inputs_of",
    "outputs_of",
    "silence",
]

Ints: TypeAlias = npt.NDArray[np.int64]

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Hardswish)
"""Each maps 0 to 0, so that a channel without weights puts out zeros."""

NORMS = (_BatchNorm, _InstanceNorm)

LAYERS = (nn.Linear, _ConvNd)

HANDLED = (*LAYERS, *NORMS, nn.PReLU)
"""What can lose a channel and keep the others as they are. LayerNorm and GroupNorm mix them."""


@dataclass(frozen=True, eq=False)
class Part:
    """Where a group's channels lie in a layer.

    Attributes:
        name: of the layer.
        places: (width, p), the p channels or features of the layer that belong to channel i. They are its
            inputs in `Group.takers`, its outputs in `Group.holders`; p > 1 after a flatten, and they are
            offset after a concatenation.
        channels: how many inputs or outputs the layer has in all.
    """

    name: str
    places: Ints
    channels: int


@dataclass(frozen=True, eq=False)
class Group:
    """Channels that are kept or removed in several layers at once, one variable each.

    Attributes:
        name: of the first layer that makes them.
        width: number of variables.
        chains: for each layer that makes them (a depthwise convolution is one) its name, then those of the
            BatchNorms that follow it alone and of the activation after them. Channel i is the i-th output.
        takers: layers that read them.
        holders: layers and norms that put them out, with weights for each; those of the chains, and norms
            and depthwise convolutions that come after an addition or a concatenation.
    """

    name: str
    width: int
    chains: tuple[tuple[str, ...], ...]
    takers: tuple[Part, ...]
    holders: tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Groups:
    """The prunable channels of a network, group after group in running order; x (n,) = 1 keeps."""

    groups: tuple[Group, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """Variables of each group."""
        return tuple(group.width for group in self.groups)

    @property
    def total(self) -> int:
        """Number of variables n."""
        return sum(self.widths)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each group."""
        return tuple(group.name for group in self.groups)

    def spans(self) -> list[slice]:
        """Variables of each group."""
        ends = np.cumsum(self.widths)
        return [slice(int(end - width), int(end)) for end, width in zip(ends, self.widths, strict=True)]

    @cached_property
    def outputs(self) -> Mapping[str, Ints]:
        """For each layer and norm that puts channels out: the variable (channels,) of each, −1 for none."""
        return self._variables([group.holders for group in self.groups])

    @cached_property
    def inputs(self) -> Mapping[str, Ints]:
        """For each layer that reads channels: the variable (channels,) of each of its inputs, −1 for none."""
        return self._variables([group.takers for group in self.groups])

    def _variables(self, parts: list[tuple[Part, ...]]) -> Mapping[str, Ints]:
        found: dict[str, Ints] = {}
        for span, of_group in zip(self.spans(), parts, strict=True):
            for part in of_group:
                whole = found.setdefault(part.name, np.full(part.channels, -1))
                whole[part.places] = np.arange(span.start, span.stop)[:, None]
        return {name: frozen(whole) for name, whole in found.items()}


def find(network: nn.Module, made: list[Call], sample: Tensor) -> Groups:
    """Groups of channels that may go, in the order in which their first layers run.

    Parameters:
        network: in eval mode; its parameters ask for gradients afterwards, so pass a copy.
        made: its calls on the sample.
        sample: (1, ...).

    Raises:
        InputError: a layer does not run exactly once, is parametrized or shares weights, a hidden Linear puts
            out sequences, or Torch-Pruning cannot trace the network.
    """
    for name, module in network.named_modules():
        if isinstance(module, HANDLED):
            _check_layer(name, module, sum(call.name == name for call in made))
    _check_own(network)
    return Groups(_Finder(network, made, _trace(network, sample)).groups())


def _check_layer(name: str, layer: nn.Module, runs: int) -> None:
    if list(layer.children()):
        raise InputError(
            f"layer {name} must hold its weights itself to be pruned, got {type(layer).__name__}; "
            "remove its parametrizations"
        )
    if runs != 1:
        raise InputError(
            f"layer {name} must run once in a pass to be pruned, got {runs}; give each run a layer of its own"
        )


def _check_own(network: nn.Module) -> None:
    first: dict[nn.Parameter, str] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        if first.setdefault(parameter, name) != name:
            raise InputError(
                f"layers must have weights of their own to be pruned, got {first[parameter]} as {name} too; "
                "copy it"
            )


class _Entry(nn.BatchNorm1d):
    """Stands for the network's inputs, so that what is added to or concatenated with them is seen."""

    def forward(self, x: Tensor) -> Tensor:
        """The same values, now with a place in autograd's graph."""
        return x * self.weight.mean()


class _Traced(nn.Module):
    """The network between its inputs and outputs, each of which is an operation of its own."""

    def __init__(self, network: nn.Module, sample: Tensor) -> None:
        super().__init__()
        seen = sample.is_floating_point() and sample.dim() > 1
        self.entry = _Entry(sample.shape[1]) if seen else nn.Identity()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """What the network puts out."""
        outputs = self.network(self.entry(x))
        if not isinstance(outputs, Tensor):
            raise TypeError(f"the network must put out one tensor, got {type(outputs).__name__}")
        return outputs * 1


def _trace(network: nn.Module, sample: Tensor) -> Any:
    """Torch-Pruning's dependency graph of a network that we own. It reads autograd's, so needs gradients."""
    try:
        with silence(), torch.enable_grad():
            from torch_pruning import DependencyGraph  # takes a second, and most runs prune nothing

            for parameter in network.parameters():
                parameter.requires_grad_(parameter.is_floating_point())
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


class _Finder:
    """Reads groups out of Torch-Pruning's graph, in which our modules and its own operations are nodes."""

    def __init__(self, network: nn.Module, made: list[Call], graph: Any) -> None:
        self.network, self.made, self.graph = network, made, graph
        self.names = {module: name for name, module in network.named_modules()}
        self.order = [call.name for call in made]

    def groups(self) -> tuple[Group, ...]:
        """Those that can be pruned, in the order in which their first layers run."""
        found: list[Group] = []
        for name in self.order:
            known = any(chain[0] == name for group in found for chain in group.chains)
            if isinstance(self._module(name), LAYERS) and not depthwise(self._module(name)) and not known:
                found += self._group(name)
        return tuple(found)

    def _group(self, name: str) -> list[Group]:
        """The group of the channels that a layer makes; none where they must stay."""
        items = self._coupled(name)
        width = outputs_of(self._module(name))
        if width == 1 or any(self._must_stay(item.dep.target.module) for item in items):
            return []
        members = [item for item in items if self._has_channels(item.dep.target.module)]
        parts = [(self._reads(item), self._part(item, width)) for item in members]
        holders = tuple(part for reads, part in parts if part is not None and not reads)
        takers = tuple(part for reads, part in parts if part is not None and reads)
        if any(part is None for _, part in parts) or not all(self._fits(part, width) for part in holders):
            return []
        makers = {part.name for part in holders if self._makes(part, width)}
        chains = tuple(self._chain(maker) for maker in sorted(makers, key=self.order.index))
        return [Group(chains[0][0], width, chains, takers, holders)]

    def _coupled(self, name: str) -> list[Any]:
        """What Torch-Pruning would cut together with every output of a layer."""
        layer = self._module(name)
        cut = self.graph.get_pruner_of_module(layer).prune_out_channels
        if layer not in self.graph.module2node:
            raise InputError(
                f"gradients must reach layer {name} from the network's outputs for it to be pruned, got "
                "none; detach nothing on the way"
            )
        with silence():
            return list(self.graph.get_pruning_group(layer, cut, list(range(outputs_of(layer)))))

    def _must_stay(self, module: Any) -> bool:
        """Whether a member keeps its group whole: an end of the network, or a layer that mixes channels."""
        from torch_pruning.ops import _OutputOp

        mixes = isinstance(module, _ConvNd) and module.groups > 1 and not depthwise(module)
        foreign = isinstance(module, nn.Parameter) or (
            module in self.names and not isinstance(module, HANDLED)
        )
        return mixes or foreign or isinstance(module, (_Entry, _OutputOp))

    def _has_channels(self, module: Any) -> bool:
        """Whether a member is a layer with something of each channel: no operation, no PReLU of one slope."""
        return module in self.names and not (isinstance(module, nn.PReLU) and module.num_parameters == 1)

    def _reads(self, item: Any) -> bool:
        """Whether the channels are a layer's inputs rather than its outputs."""
        module = item.dep.target.module
        both = not isinstance(module, LAYERS) or depthwise(module)
        return not both and item.dep.handler == self.graph.get_pruner_of_module(module).prune_in_channels

    def _part(self, item: Any, width: int) -> Part | None:
        """Where the channels lie, or None where they have no equal shares of the layer."""
        module = item.dep.target.module
        channels, roots = np.array(item.idxs), np.array(item.root_idxs)
        number = inputs_of(module) if self._reads(item) else outputs_of(module)
        shares = np.bincount(roots, minlength=width)
        if channels.max() >= number or len(shares) > width or len(set(shares)) > 1:
            return None
        places = channels[np.lexsort((channels, roots))].reshape(width, -1)
        return Part(self.names[module], frozen(places), number)

    def _makes(self, part: Part, width: int) -> bool:
        """Whether a layer makes these channels and no others."""
        own = part.channels == width and bool((part.places[:, 0] == np.arange(width)).all())
        return own and isinstance(self._module(part.name), LAYERS)

    def _fits(self, part: Part, width: int) -> bool:
        """Whether a layer makes these channels alone, or passes each on with others beside it.

        Raises:
            InputError: it is a Linear over sequences.
        """
        module = self._module(part.name)
        shape = tuple(self.made[self.order.index(part.name)].output.shape)
        if isinstance(module, nn.Linear) and len(shape) != 2:
            raise InputError(
                f"layer {part.name} must put out (samples, units) to be pruned, got shape {shape}"
            )
        return self._makes(part, width) or not isinstance(module, LAYERS) or depthwise(module)

    def _module(self, name: str) -> nn.Module:
        return self.network.get_submodule(name)

    def _chain(self, name: str) -> tuple[str, ...]:
        """A layer and, as long as each alone takes what the one before puts out, norms and an activation.

        A module that runs again elsewhere, such as a shared ReLU, ends the chain before it.
        """
        start = self.order.index(name)
        chain = [self.made[start]]
        for call in self.made[start + 1 :]:
            module = self._module(call.name)
            follows = call.argument is chain[-1].output and self.order.count(call.name) == 1
            if not (follows and self._alone(chain[-1].name) and isinstance(module, NORMS + ACTIVATIONS)):
                break
            chain.append(call)
            if isinstance(module, ACTIVATIONS):
                break
        return tuple(call.name for call in chain)

    def _alone(self, name: str) -> bool:
        """Whether a single module or operation takes what a layer puts out and, unlike a sum, no more."""
        takers = self.graph.module2node[self._module(name)].outputs
        return len(takers) == 1 and (takers[0].module in self.names or len(takers[0].inputs) == 1)


def depthwise(module: nn.Module) -> bool:
    """Whether each output of a layer sees the input of the same number alone."""
    return isinstance(module, _ConvNd) and module.groups == module.in_channels == module.out_channels > 1


def outputs_of(module: nn.Module) -> int:
    """Channels or features that a layer puts out."""
    return _size(module, "out_channels", "out_features", "num_features", "num_parameters")


def inputs_of(module: nn.Module) -> int:
    """Channels or features that a layer reads."""
    return _size(module, "in_channels", "in_features")


def _size(module: nn.Module, *names: str) -> int:
    return next(int(getattr(module, name)) for name in names if hasattr(module, name))
