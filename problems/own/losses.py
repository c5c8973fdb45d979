"""Which loss a caller's targets ask for, by the forms of outputs and targets; none where two would do.

| outputs | targets | loss of one sample |
|---|---|---|
| (N, C) | classes (N,) | cross-entropy |
| (N, C) | one-hot (N, C) | cross-entropy |
| any | 0 and 1, as many | binary cross-entropy of logits, mean |
| (N, C, ...) or (N, ..., C) | classes (N, ...) | cross-entropy, mean over places |
| any | real, as many | squared error, mean |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError, one_line
from ..layers.samples import Samples
from ..tasks.training_losses import IGNORED, Criterion, criterion_of, summed_squared_error

__all__ = ["Refused", "drawn_by", "fitting", "of_batches", "over_batches", "required"]

Draw: TypeAlias = Callable[[Tensor, Any, torch.Generator], Any]
"""From outputs, the targets given and a generator to targets that the outputs make likely."""


@dataclass(frozen=True, eq=False)
class Loss:
    """A loss, summed over samples, and how its targets are drawn."""

    summed: Criterion
    draw: Draw

    def __call__(self, outputs: Tensor, targets: Any) -> Tensor:
        """The loss of a batch."""
        return self.summed(outputs, targets)


@dataclass(frozen=True, eq=False)
class Refused:
    """The criterion of a task that has none: its one refusal, whoever asks."""

    reason: str

    def __call__(self, outputs: Tensor, targets: Any) -> Tensor:
        """Raise InputError with the reason."""
        raise InputError(self.reason)


NO_TARGETS = Refused(
    "data must hold targets where a loss is asked for, got inputs alone; pass (x, y) or criterion=, or "
    'choose adaround, l1, or reconstruction with weight="relative", which ask for none'
)


def required(criterion: Criterion) -> None:
    """InputError where a criterion refuses, before anything is computed for it."""
    if isinstance(criterion, Refused):
        raise InputError(criterion.reason)


def drawn_by(criterion: Criterion) -> Draw | None:
    """How targets of a criterion are drawn; None where it does not say."""
    return getattr(criterion, "draw", None)


def fitting(outputs: Tensor | None, targets: Tensor) -> Criterion:
    """The loss that targets ask for; one that refuses, naming `criterion=`, where several would do.

    Parameters:
        outputs: of a few samples; None where the network does not run, so that the type of the targets tells.
        targets: as many, or more.
    """
    if outputs is None or not len(targets):
        return criterion_of(targets)
    shape, wanted = (len(targets), *outputs.shape[1:]), tuple(targets.shape)
    if targets.is_floating_point() and not _is_binary(targets):
        alike = shape == wanted or not _numbers(shape, wanted)
        return summed_squared_error if alike else Loss(_squared_error, _noise)
    if _numbers(shape, wanted) and (targets.is_floating_point() or _bits(targets)):
        return _of_bits(outputs, targets)
    if targets.is_floating_point():
        return summed_squared_error
    if _numbers(shape, wanted):
        return _refused("counts or orders", outputs, targets)
    return _of_places(outputs, targets) if targets.dim() > 1 else criterion_of(targets)


def _refused(what: str, outputs: Tensor, targets: Tensor) -> Refused:
    got = f"targets {tuple(targets.shape)} of {targets.dtype} and outputs {tuple(outputs.shape)}"
    return Refused(f"targets must ask for one loss, got {got}, {what}; pass criterion=")


def _numbers(outputs: tuple[int, ...], targets: tuple[int, ...]) -> bool:
    """Whether there is one output a target: shapes are the same but for axes of one."""
    return [size for size in outputs[1:] if size != 1] == [size for size in targets[1:] if size != 1]


def _bits(targets: Tensor) -> bool:
    return bool(((targets == 0) | (targets == 1)).all())


def _is_binary(targets: Tensor) -> bool:
    """Whether real targets are 0 and 1, of which there must be both."""
    return _bits(targets) and bool((targets == 0).any()) and bool((targets == 1).any())


# ---- 0 and 1


def _of_bits(outputs: Tensor, targets: Tensor) -> Criterion:
    if bool(((outputs >= 0) & (outputs <= 1)).all()):
        return _refused("where outputs lie in [0, 1] and are no logits", outputs, targets)
    # A network of two outputs or more whose targets hold a single 1 each tells classes apart.
    if targets.dim() == 2 and targets.shape[1] > 1 and bool((targets.sum(dim=1) == 1).all()):
        return Loss(_one_hot, _draw_one_hot)
    return Loss(_binary, _draw_bits)


def _one_hot(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(outputs, targets.to(outputs.dtype), reduction="sum")


def _draw_one_hot(outputs: Tensor, _: Any, generator: torch.Generator) -> Tensor:
    return functional.one_hot(_classes(outputs, generator), outputs.shape[1])


def _binary(outputs: Tensor, targets: Tensor) -> Tensor:
    wanted = targets.to(outputs.dtype).reshape(outputs.shape)
    each = functional.binary_cross_entropy_with_logits(outputs, wanted, reduction="none")
    return each.reshape(len(outputs), -1).mean(dim=1).sum()


def _draw_bits(outputs: Tensor, _: Any, generator: torch.Generator) -> Tensor:
    return torch.bernoulli(outputs.sigmoid(), generator=generator)


# ---- real numbers


def _squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return summed_squared_error(outputs, targets.reshape(outputs.shape))


def _noise(outputs: Tensor, _: Any, generator: torch.Generator) -> Tensor:
    noise = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype)
    return outputs + math.sqrt(outputs[0].numel() / 2) * noise


# ---- a class at every place


def _of_places(outputs: Tensor, targets: Tensor) -> Criterion:
    """Classes of places, the outputs' axis of classes being where the targets have none."""
    axes = [
        axis
        for axis in dict.fromkeys((1, outputs.dim() - 1))
        if outputs.dim() == targets.dim() + 1
        and (*outputs.shape[1:axis], *outputs.shape[axis + 1 :]) == targets.shape[1:]
    ]
    if len(axes) != 1:
        return _refused("in which no axis, or two, hold the classes", outputs, targets)
    (axis,), most = axes, int(targets.max())
    if most >= outputs.shape[axis] or (int(targets.min()) < 0 and int(targets[targets < 0].max()) != IGNORED):
        return _refused(f"of which some are no class of {outputs.shape[axis]}", outputs, targets)
    return Loss(
        lambda given, wanted: _places(given.movedim(axis, 1), wanted),
        lambda given, wanted, generator: torch.where(
            wanted == IGNORED, IGNORED, _classes(given.movedim(axis, 1), generator)
        ),
    )


def _places(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of outputs (N, C, ...) and classes (N, ...): a mean over each sample's places, summed."""
    each = functional.cross_entropy(outputs, targets, reduction="none", ignore_index=IGNORED)
    counted = (targets != IGNORED).flatten(1).sum(dim=1)
    return (each.flatten(1).sum(dim=1) / counted.clamp(min=1)).sum()


def _classes(outputs: Tensor, generator: torch.Generator) -> Tensor:
    """A class of each place of outputs (N, C, ...), as the outputs would have it."""
    likely = outputs.softmax(dim=1).movedim(1, -1)
    drawn = torch.multinomial(likely.reshape(-1, likely.shape[-1]), 1, generator=generator)
    return drawn.reshape(likely.shape[:-1])


# ---- batches


def over_batches(criterion: Criterion) -> Criterion:
    """The same loss of targets that stand in batches, since they have no common shape."""

    def summed(outputs: Tensor, targets: Any) -> Tensor:
        if isinstance(targets, Tensor):
            return criterion(outputs, targets)
        parts = zip(_parts(outputs, targets), targets.batches, strict=True)
        return torch.stack([criterion(part, batch.args[0]) for part, batch in parts]).sum()

    return criterion if isinstance(criterion, Refused) else Loss(summed, _given)


def of_batches(own: Callable[[Tensor, Any], Any], dtype: torch.dtype) -> Criterion:
    """A loss of the caller's, (output, batch) → mean over the batch, as a sum over the samples of batches.

    It is handed outputs in the network's own type, `dtype`.
    """

    def summed(outputs: Tensor, targets: Samples) -> Tensor:
        parts = zip(_parts(outputs, targets), targets.batches, strict=True)
        return torch.stack([_asked(own, part.to(dtype), one.raw) * one.size for part, one in parts]).sum()

    return Loss(summed, _given)


def _given(_: Tensor, targets: Any, __: torch.Generator) -> Any:
    return targets


def _parts(outputs: Tensor, targets: Samples) -> tuple[Tensor, ...]:
    return torch.split(outputs, [batch.size for batch in targets.batches])


def _asked(own: Callable[[Tensor, Any], Any], outputs: Tensor, batch: Any) -> Tensor:
    try:
        loss = own(outputs, batch)
    except Exception as error:  # a foreign function may raise anything
        raise InputError(
            f"criterion must be a function of outputs and a batch, got {one_line(error, named=True)} for "
            f"outputs {tuple(outputs.shape)}"
        ) from error
    return _number(loss)


def _number(loss: Any) -> Tensor:
    if isinstance(loss, Tensor) and loss.numel() == 1 and loss.is_floating_point():
        return loss.reshape(())
    got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
    raise InputError(f"criterion must return the mean loss of a batch, one number, got {got}; take .mean()")
