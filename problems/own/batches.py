"""A caller's batch as the arguments of one call of a network, and the targets beside them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError, unknown_name
from ..layers.samples import Batch, entries, is_leaf, leaves
from .data import is_array, unfit

__all__ = ["TARGETS", "Form", "Reading", "form_of"]

TARGETS = ("labels", "label", "label_ids", "targets", "target", "y")
"""Names under which a batch by name holds its targets, the first that is there."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A batch taken apart, its arrays still the caller's.

    Attributes:
        args, kwargs: arguments of the network.
        targets: what it should put out, None where the batch does not say.
        raw: the batch.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    targets: Any
    raw: Any

    @property
    def size(self) -> int:
        """Number of samples, that of the first array.

        Raises:
            InputError: there is no array.
        """
        inputs = [*self.args, *self.kwargs.values()] or [self.raw]
        found = next((one for part in inputs for one in leaves(part) if is_array(one)), None)
        if found is None:
            raise unfit(self.raw)
        return len(found)


@dataclass(frozen=True)
class Form:
    """What a network's forward takes.

    Attributes:
        names: arguments that may be given by place, in order.
        required: how many of them have no default.
        keywords: arguments that may be given by name.
        any_place, any_name: whether others are taken too.
        free: whether a function of the caller's calls the network, whatever the batch.
    """

    names: tuple[str, ...] = ("x",)
    required: int = 1
    keywords: frozenset[str] = frozenset()
    any_place: bool = False
    any_name: bool = False
    free: bool = False

    def read(self, batch: Any) -> Reading:
        """Take a batch apart.

        By name: what is called as `TARGETS` say are targets, and is passed too if it is called `labels` and
        forward names it. By place: of as many arrays as forward requires all are arguments; of two, or of one
        more than it requires, the last are targets.

        Raises:
            InputError: a batch of another form, or one that can be read in two ways.
        """
        if isinstance(batch, Batch):
            return Reading(batch.args, batch.kwargs, None, batch.raw)
        if isinstance(batch, tuple) and len(batch) == 2 and isinstance(batch[0], Batch):
            return replace(self.read(batch[0]), targets=batch[1])
        if self.free:
            return Reading((), {}, _targets(batch), batch)
        if isinstance(batch, Mapping) or is_dataclass(batch):
            return self._named(batch)
        if is_array(batch) and not isinstance(batch, list | tuple):
            return self._listed((batch,), batch)
        if isinstance(batch, list | tuple) and len(batch):
            return self._listed(tuple(batch), batch)
        raise unfit(batch)

    def _named(self, batch: Any) -> Reading:
        named = entries(batch)
        ours = next((name for name in TARGETS if name in named and self._is_target(name)), None)
        inputs = {name: one for name, one in named.items() if name != ours or name in self.keywords}
        strange = [name for name in inputs if name not in self.keywords and not self.any_name]
        if len(inputs) == 1 and strange:
            return Reading(self._fitting(tuple(inputs.values())), {}, named.get(ours or ""), batch)
        if strange:
            raise InputError(
                f"{unknown_name('argument of forward', strange[0], self.keywords)}; leave it out, or pass "
                "forward="
            )
        for name, one in inputs.items():
            if isinstance(one, str) or (isinstance(one, list) and one and isinstance(one[0], str)):
                raise InputError(f"data must be numbers in arrays, got words for {name!r}; leave them out")
        return Reading((), inputs, named.get(ours or ""), batch)

    def _is_target(self, name: str) -> bool:
        return name not in self.keywords or name == "labels"

    def _listed(self, parts: tuple[Any, ...], batch: Any) -> Reading:
        if not all(is_array(one) or not is_leaf(one) for one in parts):
            raise unfit(batch)
        first, *others = parts
        if not is_leaf(first) and len(parts) <= 2:
            inner = self._inputs(first)
            return Reading(inner.args, inner.kwargs, others[0] if others else inner.targets, batch)
        if not others or len(parts) == self.required:
            return Reading(self._fitting(parts), {}, None, batch)
        if len(parts) in (2, self.required + 1):
            self._check_mask(parts)
            return Reading(self._fitting(parts[:-1]), {}, parts[-1], batch)
        raise InputError(
            f"a batch must hold the inputs of forward, or these and targets, got {len(parts)} arrays for "
            f"({', '.join(self.names)}); pass ((inputs, ...), targets), a mapping, or forward="
        )

    def _inputs(self, first: Any) -> Reading:
        """Inputs that stand apart from their targets: arguments by place or name, or one that is a tuple."""
        if not isinstance(first, list | tuple):
            return self._named(first)
        several = self.any_place or len(self.names) >= len(first)
        return Reading(self._fitting(tuple(first) if several else (first,)), {}, None, first)

    def _fitting(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(args) < self.required:
            raise InputError(
                f"a batch must hold all inputs of forward, ({', '.join(self.names[: self.required])}), got "
                f"{len(args)}; pass them as a tuple or mapping"
            )
        return args

    def _check_mask(self, parts: tuple[Any, ...]) -> None:
        """InputError where a mask is passed as if it were targets."""
        *_, x, y = (one if isinstance(one, Tensor) else torch.empty(0) for one in parts)
        name = (*self.names, "", "")[len(parts) - 1]
        alike = x.shape == y.shape and len(x) and not x.is_floating_point()
        if "mask" in name and alike and bool(((y == 0) | (y == 1)).all()):
            raise InputError(
                f"a batch must tell {name} from targets, got two tensors of {tuple(x.shape)}; pass a mapping "
                f'{{"{self.names[0]}": ..., "{name}": ...}}'
            )


def _targets(batch: Any) -> Any:
    """Targets of a batch that a function of the caller's takes: by name, or the second of a pair."""
    if isinstance(batch, Mapping) or is_dataclass(batch):
        named = entries(batch)
        return next((named[name] for name in TARGETS if name in named), None)
    pair = isinstance(batch, list | tuple) and len(batch) == 2 and not is_leaf(batch)
    return batch[1] if pair and is_array(batch[1]) else None


def form_of(network: nn.Module, call: Callable[..., Any] | None = None) -> Form:
    """What a network takes; anything where a function of the caller's calls it."""
    if call is not None:
        return Form(free=True)
    try:
        found = inspect.signature(network.forward).parameters.values()
    except (TypeError, ValueError):  # of compiled code
        return Form()
    placed = [one for one in found if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    named = [one for one in found if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)]
    return Form(
        names=tuple(one.name for one in placed),
        required=sum(one.default is one.empty for one in placed),
        keywords=frozenset(one.name for one in named),
        any_place=any(one.kind is one.VAR_POSITIONAL for one in found),
        any_name=any(one.kind is one.VAR_KEYWORD for one in found),
    )
