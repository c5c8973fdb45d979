"""What of a network can be pruned, and what each channel costs.

The channels that go together are found in `coupling`; here they are tried: a network can be pruned if it puts
out the same whether channels are zeroed or cut out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from ..arrays import Floats
from ..errors import InputError
from ..layers.costs import products_of
from ..layers.inputs import BATCH, Call
from ..layers.samples import Inputs
from ..tasks.rules import Rules
from ..tasks.task import Task
from .attention import heads
from .coupling import (
    LAYERS,
    STAYING,
    Group,
    Groups,
    Ints,
    Part,
    depthwise,
    find,
    inputs_of,
    outputs_of,
    unreached,
)
from .passes import runs
from .trial import TRIED, few, refusal, sifted

__all__ = ["UNITS", "Group", "Groups", "Part", "prunable", "shares"]

UNITS = ("filters", "parameters", "products")
"""In which a channel's cost is counted; products are multiply–accumulates of one sample."""


def prunable(task: Task) -> Groups:
    """Every group of channels that can be pruned, and why others are left.

    Left, because they must stay: the network's inputs and outputs and what is added to them, single
    channels and what they are multiplied with, what is split, what runs through layers that mix channels
    (grouped convolutions, LayerNorm, GroupNorm), layers that do not run exactly once, share weights or hold
    none, channels that do not reach the next layers as zeros once they are zeroed, as behind a sigmoid, and
    what the task's rules name.

    Raises:
        InputError: the network does not run on the calibration data or cannot be traced, or there is no
            group.
    """
    network = task.copy()
    sample = _telling(network, task.inputs)
    made = runs(network, sample, samples=len(sample))
    groups = _allowed(find(network, made, sample, heads=heads(network, made)), task.rules)
    if groups.groups:
        groups = _reworded(sifted(task, groups, samples=max(TRIED, len(sample))), network, made)
    if not groups.groups:
        odd = [why for why in groups.left.values() if why not in STAYING.values()]
        raise InputError(odd[0] if odd else _none(groups))
    return groups


def _none(groups: Groups) -> str:
    """What to say of a network without a group, and why its layers stay."""
    alike: dict[str, list[str]] = {}
    for name, why in groups.left.items():
        alike.setdefault(why, []).append(name)
    reasons = [
        f"of {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}, {why}"
        for why, names in alike.items()
    ]
    none = "the network must have a layer before its last one with two channels or more that can be pruned; "
    return none + "; ".join(["it has none", *reasons])


def _telling(network: nn.Module, inputs: Inputs) -> Inputs:
    """The first sample, or as many as one call takes where these reach layers that it does not: experts."""
    one = inputs[:1]
    idle = len(unreached(network, runs(network, one)))
    for samples in (TRIED, BATCH) if idle else ():
        more = few(inputs, samples)
        now = len(unreached(network, runs(network, more, samples=len(more))))
        one, idle = (more, now) if now < idle else (one, idle)
    return one


def _reworded(groups: Groups, network: nn.Module, made: list[Call]) -> Groups:
    """The groups, with what is usually wrong with those that a Linear over sequences makes."""
    plain = [call for call in made if isinstance(call.output, Tensor) and not call.output.is_nested]
    shapes = {call.name: tuple(call.output.shape) for call in plain}
    left = dict(groups.left)
    for name, why in left.items():
        linear = name in shapes and isinstance(network.get_submodule(name), nn.Linear)
        if linear and len(shapes[name]) > 2 and why == refusal(name):
            left[name] = (
                f"layer {name} must put out (samples, units) to be pruned, got shape {shapes[name]}, "
                "and what reads it takes no fewer"
            )
    return replace(groups, left=left)


def _allowed(groups: Groups, rules: Rules) -> Groups:
    """The groups that no rule names; what is to stay as it is may not lose an input either."""
    named = {group.name: _named(group, rules) for group in groups.groups}
    kept = tuple(group for group in groups.groups if not named[group.name])
    return Groups(kept, {**groups.left, **{name: why for name, why in named.items() if why}})


def _named(group: Group, rules: Rules) -> str:
    makers = [rules.leaves(chain[0]) for chain in group.chains]
    others = [replace(rules, only=()).leaves(part.name) for part in (*group.holders, *group.takers)]
    return next(
        (f"layer {group.name} must be allowed to change, got {why}" for why in makers + others if why), ""
    )


def shares(task: Task, groups: Groups, unit: str) -> Floats:
    """Cost (n,) of each channel in a unit of `UNITS`; their sum is what goes when all channels go.

    A weight, and a product with it, that belongs to a channel on either side counts half to each. Parameters
    are those of the convolutions and Linears, biases included, and the scales and shifts of the norms;
    products are those of one sample.

    Raises:
        InputError: an unknown unit.
    """
    if unit not in UNITS:
        raise InputError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
    if unit == "filters":
        return np.ones(groups.total)
    products = _products(task) if unit == "products" else {}
    cost = np.zeros(groups.total + 1)  # the last is of channels that are no variables, whose index is −1
    for name in {**groups.outputs, **groups.inputs}:
        module = task.network.get_submodule(name)
        if isinstance(module, LAYERS):
            amount = products.get(name, module.weight.numel())
            _spread(cost, module, amount, groups.outputs.get(name), groups.inputs.get(name))
        if unit == "parameters" and name in groups.outputs:
            vectors = [p for p in module.parameters(recurse=False) if p.dim() == 1]
            np.add.at(cost, groups.outputs[name], len(vectors))
    return cost[:-1]


def _spread(cost: Floats, layer: nn.Module, amount: int, makes: Ints | None, reads: Ints | None) -> None:
    """Add a layer's amount, of which each weight has an equal share, to the channels that it lies between."""
    made = np.full(outputs_of(layer), -1) if makes is None else makes
    read = np.full(1 if depthwise(layer) else inputs_of(layer), -1) if reads is None else reads
    each = amount / (len(made) * len(read))
    np.add.at(cost, made, each * (np.sum(read < 0) + 0.5 * np.sum(read >= 0)))
    np.add.at(cost, read, each * (np.sum(made < 0) + 0.5 * np.sum(made >= 0)))


def _products(task: Task) -> dict[str, int]:
    """Multiply–accumulates of each layer for one sample."""
    made = {call.name: call for call in runs(task.copy(), task.inputs)}
    layers = {name: task.network.get_submodule(name) for name in made}
    return {
        name: products_of(layers[name], call.argument, call.output)
        for name, call in made.items()
        if isinstance(layers[name], LAYERS)
    }
