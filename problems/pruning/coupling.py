"""Coupled channels: which of a network's channels go together, and where they lie.

Layers whose outputs are added, and a depthwise convolution and what feeds it, have their channels in common:
channel i stays in all of them or in none. Torch-Pruning's dependency graph finds these groups by tracing;
what it cannot judge is left whole here.

Reference: Fang et al. 2023, DepGraph, arXiv:2301.12900.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

from ..arrays import frozen
from ..errors import one_line
from ..layers.inputs import Call
from ..layers.samples import Inputs
from .parts import TracedPart, traced
from .passes import holds_weights
from .tracing import Entry, Member, coupled, silence

__all__ = [
    "LAYERS",
    "STAYING",
    "Count",
    "Group",
    "Groups",
    "Ints",
    "Part",
    "by_output",
    "depthwise",
    "find",
    "inputs_of",
    "outputs_of",
    "unreached",
]

Ints: TypeAlias = npt.NDArray[np.int64]

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Hardswish)
"""Each maps 0 to 0, so that a channel without weights puts out zeros."""

NORMS = (_BatchNorm, _InstanceNorm)

LAYERS = (nn.Linear, _ConvNd)

STAYING = {
    "single": "it has a single channel",
    "end": "its channels are inputs or outputs of the network, or are added to them",
    "mixed": "its channels run through a layer that mixes them",
    "traced": "its channels leave the part of the network that torch-pruning can trace with it",
    "parts": "its channels have no equal shares of a layer that reads or passes them on",
}
"""Why the channels of a layer stay where nothing is wrong with it."""

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


@dataclass(frozen=True)
class Count:
    """An attribute of a module that falls by an amount for each channel that goes: its number of heads."""

    name: str
    attribute: str
    amount: int


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
        counts: attributes that say how many channels there are.
    """

    name: str
    width: int
    chains: tuple[tuple[str, ...], ...]
    takers: tuple[Part, ...]
    holders: tuple[Part, ...]
    counts: tuple[Count, ...] = ()


@dataclass(frozen=True, eq=False)
class Groups:
    """The prunable channels of a network, group after group in running order; x (n,) = 1 keeps.

    Attributes:
        groups: those that can be pruned.
        left: why the channels of other layers stay, by the name of the layer that makes them.
    """

    groups: tuple[Group, ...]
    left: Mapping[str, str] = field(default_factory=dict)

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


def find(network: nn.Module, made: list[Call], sample: Inputs, *, heads: Collection[Group] = ()) -> Groups:
    """Groups of channels that may go, in the order in which their first layers run.

    Parameters:
        network: in eval mode; its parameters ask for gradients afterwards, so pass a copy.
        made: its calls on the sample.
        sample: (1, ...), or a batch of one.
        heads: groups that are known already; what they hold makes no other group.

    Raises:
        InputError: Torch-Pruning cannot trace the network, nor any part of it.
    """
    odd = _odd(network, made)
    finders = [_Finder(network, made, part, odd) for part in traced(network, sample)]
    claimed = {part.name for group in heads for part in group.holders}
    groups: list[Group] = []
    untraced = [name for name in finders[0].layers() if not any(one.part.holds(name) for one in finders)]
    left = {name: STAYING["traced"] for name in untraced if name not in claimed}
    for finder in finders:
        found, stay = finder.groups(claimed)
        groups, left = groups + found, left | stay
    why = {group.name: finders[0].unfit(group) for group in heads}
    left |= {name: reason for name, reason in why.items() if reason}
    sound = [group for group in heads if not why[group.name]]
    ordered = sorted([*groups, *sound], key=lambda group: finders[0].order.index(group.name))
    return Groups(tuple(ordered), left | {name: why for name, why in odd.items() if name not in left})


def unreached(network: nn.Module, made: list[Call]) -> list[str]:
    """Layers and norms that did not run, such as an expert that no sample asked for."""
    names = {call.name for call in made}
    return [name for name, _ in _handled(network) if name not in names]


def _handled(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Layers and norms that run as modules; those inside a packed attention do not."""
    packed = [part for part in network.modules() if isinstance(part, nn.MultiheadAttention)]
    inside = {part for one in packed for part in one.modules()}
    for name, module in network.named_modules():
        if isinstance(module, HANDLED) and module not in inside:
            yield name, module


def _odd(network: nn.Module, made: list[Call]) -> dict[str, str]:
    """Layers that cannot lose a channel, and why: they hold no weights, run not once, or share them."""
    runs = [call.name for call in made]
    found: dict[str, str] = {}
    for name, module in _handled(network):
        if isinstance(module, LAYERS) and not holds_weights(module):
            found[name] = (
                f"layer {name} must hold its weights itself to be pruned, got {type(module).__name__}; "
                "remove its parametrizations"
            )
        elif runs.count(name) != 1:
            found[name] = (
                f"layer {name} must run once in a pass to be pruned, got {runs.count(name)}; give each "
                "run a layer of its own"
            )
    return _shared(network) | found


def _shared(network: nn.Module) -> dict[str, str]:
    """Layers one of whose parameters another layer has too."""
    first: dict[nn.Parameter, str] = {}
    found: dict[str, str] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        before = first.setdefault(parameter, name)
        if before != name:
            why = f"layers must have weights of their own to be pruned, got {before} as {name} too; copy it"
            found |= {one.rpartition(".")[0]: why for one in (before, name)}
    return found


class _Left(Exception):  # noqa: N818  # no error: a verdict that ends the search
    """Channels must stay; the text says why."""


class _Finder:
    """Reads groups out of Torch-Pruning's graph, in which our modules and its own operations are nodes."""

    def __init__(
        self, network: nn.Module, made: list[Call], part: TracedPart, odd: Mapping[str, str]
    ) -> None:
        self.network, self.made, self.part, self.graph, self.odd = network, made, part, part.graph, odd
        self.names = {module: name for name, module in network.named_modules()}
        self.order = [call.name for call in made]

    def layers(self) -> Iterator[str]:
        """Those that run and make channels, in the order in which they first do."""
        for name in dict.fromkeys(self.order):
            if isinstance(self._module(name), LAYERS) and not depthwise(self._module(name)):
                yield name

    def groups(self, claimed: Collection[str]) -> tuple[list[Group], dict[str, str]]:
        """Those that can be pruned, in the order in which their first layers run, and why others are left."""
        found: list[Group] = []
        left: dict[str, str] = {}
        for name in filter(self.part.holds, self.layers()):
            known = name in claimed or any(chain[0] == name for group in found for chain in group.chains)
            if not known:
                try:
                    group = self._group(name)
                except _Left as why:
                    left[name] = str(why)
                else:
                    found.append(group)
        return found, left

    def _group(self, name: str) -> Group:
        """The group of the channels that a layer makes.

        Raises:
            _Left: they must stay.
        """
        if name in self.odd:
            raise _Left(self.odd[name])
        width = outputs_of(self._module(name))
        if width == 1:
            raise _Left(STAYING["single"])
        items = self._coupled(name)
        for item in items:
            self._check(item.module)
        members = [item for item in items if self._has_channels(item.module)]
        parts = [(self._reads(item), self._part(item, width)) for item in members]
        holders = tuple(part for reads, part in parts if part is not None and not reads)
        takers = tuple(part for reads, part in parts if part is not None and reads)
        if any(part is None for _, part in parts) or not all(self._fits(part, width) for part in holders):
            raise _Left(STAYING["parts"])
        makers = {part.name for part in holders if self._makes(part, width)}
        chains = tuple(self._chain(maker) for maker in sorted(makers, key=self.order.index))
        group = Group(chains[0][0], width, chains, takers, holders)
        if why := self.unfit(group):
            raise _Left(why)
        return group

    def unfit(self, group: Group) -> str:
        """Why a group stays that has an odd layer, or may meet one that did not run, "" where it has none."""
        parts = [*group.holders, *group.takers]
        sizes = {part.channels for part in parts}
        for name, why in self.odd.items():
            module = self.network.get_submodule(name)
            unseen = name not in self.order and isinstance(module, HANDLED)
            meets = unseen and bool({outputs_of(module), _inputs_or_outputs(module)} & sizes)
            if meets or any(part.name == name for part in parts):
                return why
        return ""

    def _coupled(self, name: str) -> list[Member]:
        """What Torch-Pruning would cut together with every output of a layer."""
        layer = self._module(name)
        if layer not in self.graph.module2node:
            raise _Left(
                f"gradients must reach layer {name} from the network's outputs for it to be pruned, got "
                "none; detach nothing on the way"
            )
        try:
            with silence():
                return coupled(self.graph, layer, outputs_of(layer))
        except Exception as error:  # it fails in many ways of its own
            raise _Left(
                f"torch-pruning must be able to follow layer {name}, got {one_line(error)}"
            ) from error

    def _check(self, module: Any) -> None:
        """Whether a member keeps its group whole: an end of the network, or a layer that mixes channels.

        Raises:
            _Left: it does.
        """
        from torch_pruning.ops import _OutputOp

        if module in self.names and self.names[module] in self.odd:
            raise _Left(self.odd[self.names[module]])
        mixes = isinstance(module, _ConvNd) and module.groups > 1 and not depthwise(module)
        foreign = isinstance(module, nn.Parameter) or (
            module in self.names and not isinstance(module, HANDLED)
        )
        if mixes or foreign:
            raise _Left(STAYING["mixed"])
        if isinstance(module, (Entry, _OutputOp)):
            raise _Left(STAYING["traced" if self.part.name else "end"])

    def _has_channels(self, module: Any) -> bool:
        """Whether a member is a layer with something of each channel: no operation, no PReLU of one slope."""
        return module in self.names and not (isinstance(module, nn.PReLU) and module.num_parameters == 1)

    def _reads(self, item: Member) -> bool:
        """Whether the channels are a layer's inputs rather than its outputs."""
        module = item.module
        both = not isinstance(module, LAYERS) or depthwise(module)
        return not both and item.cut == self.graph.get_pruner_of_module(module).prune_in_channels

    def _part(self, item: Member, width: int) -> Part | None:
        """Where the channels lie, or None where they have no equal shares of the layer."""
        module = item.module
        if None in item.roots.values():  # of something that is no channel of the layer
            return None
        channels, roots = np.array(list(item.roots)), np.array(list(item.roots.values()))
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
        """Whether a layer makes these channels alone, or passes each on with others beside it."""
        module = self._module(part.name)
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
            if not (
                follows and self._alone(chain[-1].name) and (isinstance(module, NORMS) or _activates(module))
            ):
                break
            chain.append(call)
            if _activates(module):
                break
        return tuple(call.name for call in chain)

    def _alone(self, name: str) -> bool:
        """Whether a single module or operation takes what a layer puts out and, unlike a sum, no more."""
        takers = self.graph.module2node[self._module(name)].outputs
        return len(takers) == 1 and (takers[0].module in self.names or len(takers[0].inputs) == 1)


def _activates(module: nn.Module) -> bool:
    """Whether a module is an activation, one of transformers' own included."""
    foreign = type(module).__module__ == "transformers.activations" and not list(module.parameters())
    return isinstance(module, ACTIVATIONS) or foreign


def _inputs_or_outputs(module: nn.Module) -> int:
    """Channels that a layer reads; a norm's are those that it puts out."""
    return inputs_of(module) if isinstance(module, LAYERS) else outputs_of(module)


def depthwise(module: nn.Module) -> bool:
    """Whether each output of a layer sees the input of the same number alone."""
    return isinstance(module, _ConvNd) and module.groups == module.in_channels == module.out_channels > 1


def by_output(module: nn.Module, weight: Tensor) -> Tensor:
    """A parameter of a layer with what it puts out in front, a view."""
    transposed = isinstance(module, _ConvNd) and module.transposed and module.groups == 1
    swapped = transposed or isinstance(module, nn.Embedding)
    return weight.transpose(0, 1) if swapped and weight.dim() > 1 else weight


def outputs_of(module: nn.Module) -> int:
    """Channels or features that a layer puts out."""
    return _size(module, "out_channels", "out_features", "num_features", "num_parameters")


def inputs_of(module: nn.Module) -> int:
    """Channels or features that a layer reads."""
    return _size(module, "in_channels", "in_features")


def _size(module: nn.Module, *names: str) -> int:
    return next(int(getattr(module, name)) for name in names if hasattr(module, name))
