"""The matrices of a task's network with their inputs, one after another."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from ..arrays import Floats
from ..cache import cached
from ..errors import InputError
from ..layers.batch_norms import fold_batch_norms, has_batch_norms
from ..layers.borrowing import borrowed, own, own_all
from ..layers.grams import sums_of, windows
from ..layers.samples import Inputs
from ..layers.sums import WAITING, Room, let_go
from ..layers.uses import Use, Uses, parameter_of, uses_of
from ..memory import give_back
from ..tasks.task import Task
from .eight_bit import QuantizedInput

__all__ = ["UnreachedError", "WeightLayer", "WeightLayers", "Weighted", "matrix_of"]

NAMED = 3
"""Most parameters of which a refusal says why they are no part of a product."""

Weighted: TypeAlias = nn.Linear | nn.Conv2d


class UnreachedError(InputError):
    """No row of the calibration data reaches a layer."""


@dataclass(frozen=True)
class WeightLayers:
    """The matrices of a copy of a task's network, BatchNorms folded, to be decided one by one.

    One run over the data measures all of them, or as many as the disk bears; each Gram matrix is let go once
    its layer is decided.

    Attributes:
        task: the network, and the samples that calibrate it.
        sequential: whether a layer sees the activations of the layers already decided, not the trained ones.
        rounded: whether Gram matrices are of inputs rounded to eight bits over their span.
        modules: whether only the whole weights of Linear and Conv2d modules count.
    """

    task: Task
    sequential: bool = False
    rounded: bool = False
    modules: bool = False
    _measured: dict[tuple[str, str], dict[str, Floats]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @cached_property
    def room(self) -> Room:
        """Where Gram matrices lie until their layers are decided."""
        return Room(self.task.memory)

    @cached_property
    def network(self) -> nn.Module:
        """The copy, whose layers are decided in place; each parameter takes up memory once it is written."""
        network = folded(self.task)
        # Who decides whole modules writes into them, past `own`.
        return own_all(network, self.task.network) if self.modules else network

    def own(self, name: str) -> None:
        """Let a parameter of the copy be written: no longer in the memory of the task's."""
        own(parameter_of(self.network, name), self.task.network)

    def finished(self) -> nn.Module:
        """The copy, no parameter in the memory of the task's any more."""
        return own_all(self.network, self.task.network)

    @cached_property
    def source(self) -> nn.Module:
        """The network whose activations calibrate; a copy is for what is folded, or for a stranger's code.

        A stranger's modules may keep what they like, but they do not change their weights, which take space.
        """
        if self.sequential:
            return self.network
        if has_batch_norms(self.task.network):
            return folded(self.task)
        weights = {id(one): one for one in self.task.network.parameters()}
        return self.task.network if self.task.kept else copy.deepcopy(self.task.network, weights).eval()

    @cached_property
    def uses(self) -> Uses:
        """All that the network multiplies by, and why other parameters are no part of it."""
        return uses_of(self.source, self.task.inputs)

    @cached_property
    def chosen(self) -> list[Use]:
        """The matrices to decide, in running order, without those that the task's rules leave.

        Raises:
            InputError: there is none, or a rule names none.
        """
        uses = [use for use in self.uses.matrices if use.kind != "embedding"]
        uses = [use for use in uses if not self.modules or _whole_module(self.network, use)]
        if not uses:
            others = [f"of {name} {why}" for name, why in self.uses.reasons.items()]
            named = "; ".join(["it has none", *others[:NAMED]]) + (" …" if len(others) > NAMED else "")
            raise InputError(f"the network must have a Linear or Conv2d layer to round; {named}")
        self.task.rules.check(use.name for use in self.uses.matrices)
        return [use for use in uses if not self.task.rules.leaves(use.name)]

    @property
    def names(self) -> list[str]:
        """Of the layers, in running order."""
        return [use.name for use in self.chosen]

    def __iter__(self) -> Iterator[WeightLayer]:
        """The layers in running order, each checked when its turn comes."""
        return (self.layer(name) for name in self.names)

    def layer(self, name: str) -> WeightLayer:
        """A layer by its name, its weights checked."""
        use = next(one for one in self.chosen if one.name == name)
        _check(self.network, use)
        return WeightLayer(self, use)

    def inputs_of(self, use: Use, *, held: bool = False) -> dict[str, Floats]:
        """Gram matrices (groups, f + 1, f + 1) of a matrix's inputs and their span, cached where they may be.

        Parameters:
            use: the matrix.
            held: whether they are of the samples held out.

        Raises:
            UnreachedError: nothing reaches it.
            InputError: something not finite does.
        """

        def build() -> dict[str, Floats]:
            return self._now(use, held=held)

        rounded = "8-bit " if self.rounded else ""
        piece = f"{'held ' if held else ''}{rounded}inputs of {use.name}"
        return build() if self.sequential else cached(self.task, piece, build)

    def _now(self, use: Use, *, held: bool) -> dict[str, Floats]:
        """Where layers are independent, one run measures as many of those to come as there is room for."""
        data = "held" if held else "calibration"
        if (data, use.name) not in self._measured:
            rest = self.chosen[self.chosen.index(use) :]
            among = [use] if self.sequential else next(windows(rest, self.source, most=self.room.most))
            samples = self.task.held_inputs if held else self.task.inputs
            for name, found in self._measure(samples, among).items():
                self._measured[data, name] = found
        found = self._measured.pop((data, use.name))
        if not found:
            raise UnreachedError(
                f"something must reach layer {use.name}, got no row; use other calibration data"
            )
        if not np.isfinite(found["gram"]).all():
            raise InputError(
                f"inputs of layer {use.name} must be finite; check the network's weights for NaN"
            )
        let_go(found["gram"])
        return found

    def _measure(self, inputs: Inputs, uses: list[Use]) -> dict[str, dict[str, Floats]]:
        """Gram matrices and spans by name, nothing where nothing came.

        Where `rounded`, the Gram matrices are of inputs rounded to eight bits over that span.
        """
        sum_up = partial(sums_of, self.source, inputs, uses, room=self.room)
        sums = sum_up()
        spans = {name: np.array([one.low, one.high]) for name, one in sums.items() if one.rows}
        if self.rounded:
            sums = sum_up(through={name: QuantizedInput(*span) for name, span in spans.items()})
        made: dict[str, dict[str, Floats]] = {}
        many = sum(one.size for one in {*sums.values()}) > min(WAITING, self.room.memory)
        for name, one in sums.items():
            made[name] = (
                {"gram": one.laid_by() if many else one.mean(), "span": spans[name]} if one.rows else {}
            )
        size = sum(one.size for one in {*sums.values()})
        del sums
        give_back(size)
        return made


@dataclass(frozen=True, eq=False)
class WeightLayer:
    """A matrix whose numbers are decided, in its place among others."""

    layers: WeightLayers
    use: Use

    @property
    def name(self) -> str:
        """Its name."""
        return self.use.name

    @property
    def part(self) -> Weighted:
        """The module whose weight it is."""
        part = self.layers.network.get_submodule(self.use.parameter.rpartition(".")[0])
        assert isinstance(part, Weighted)
        return part

    @cached_property
    def inputs(self) -> dict[str, Floats]:
        """Its Gram matrices, `gram`, and the `span` of its inputs, measured when first asked for."""
        return self.layers.inputs_of(self.use)

    @cached_property
    def held(self) -> Floats | None:
        """Gram matrices of the samples held out; None where none reaches it or the network fails on them."""
        try:
            return self.layers.inputs_of(self.use, held=True)["gram"]
        except InputError:  # what they tell is wanted, not needed
            return None

    @cached_property
    def weights(self) -> Floats:
        """The matrix (n, f) as it was, in float64."""
        return self.use.matrix(self.layers.network)

    @cached_property
    def bias(self) -> Floats | None:
        """The bias (n,) as it was, in float64; None where there is none of its own."""
        place = self.use.bias
        return None if place is None else np.asarray(place.of(self.layers.network).double().numpy())

    def put(self, weights: Floats, bias: Floats | None) -> None:
        """Write the matrix and the bias into the network."""
        self.layers.own(self.use.parameter)
        self.use.put(self.layers.network, weights)
        if bias is not None and self.use.bias is not None:
            self.layers.own(self.use.bias.parameter)
            self.use.bias.of(self.layers.network).copy_(torch.from_numpy(bias))
        give_back(weights.nbytes)

    def groups(self) -> Iterator[tuple[slice, Floats]]:
        """Rows of each group of neurons that see inputs of their own, and the Gram matrix of these."""
        size = len(self.weights) // self.use.groups
        for group, gram in enumerate(self.inputs["gram"]):
            yield slice(group * size, (group + 1) * size), gram


def matrix_of(part: Weighted) -> Floats:
    """Weights as (n, f) float64."""
    return np.asarray(part.weight.detach().double().flatten(1).numpy())


def folded(task: Task) -> nn.Module:
    """A copy of the network without BatchNorms, as far as they can be folded; others of its weights are lent.

    That is, they lie in the memory of the task's network: see `layers.borrowing`.
    """
    network = borrowed(task.network)
    fold_batch_norms(network, task.inputs)
    return network


def _whole_module(network: nn.Module, use: Use) -> bool:
    """Whether a matrix is the weight of a Linear or Conv2d, as its forward takes it."""
    part = network.get_submodule(use.parameter.rpartition(".")[0])
    whole = parameter_of(network, use.parameter).numel() == use.weight.numel
    return isinstance(part, Weighted) and use.parameter.endswith("weight") and whole


def _check(network: nn.Module, use: Use) -> None:
    """Whether weights and bias can be rounded."""
    for place in (use.weight, *([use.bias] if use.bias else [])):
        values = place.of(network)
        if not values.is_floating_point():
            raise InputError(f"weights of layer {use.name} must be real, got {values.dtype}; convert them")
        if not torch.isfinite(values).all():
            raise InputError(
                f"weights of layer {use.name} must be finite, got NaN or infinity; train it again"
            )
