"""Trial: which groups of channels mean nothing to later layers once they are zero.

Zeroing channels and cutting them out must be the same to the network. Both are tried, and what differs is
narrowed down to single groups, which are then left whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from ..arrays import Bits
from ..errors import InputError, one_line
from ..layers.agreement import repeatable
from ..layers.samples import Inputs, Samples, forward
from ..tasks.task import Task
from .coupling import Groups
from .surgery import mask, shrink

__all__ = ["TRIED", "few", "refusal", "sifted"]

TRIED = 8
"""Samples on which cut networks are compared with masked ones."""

NUMBERS = 2**19
"""Most numbers in those samples: large images are compared on fewer."""


def sifted(task: Task, groups: Groups, *, samples: int = TRIED) -> Groups:
    """The groups that put out the same masked and cut; the others are left, each with the reason.

    Every channel is removed once, in two halves of all groups, and tried on so many samples at most.

    Raises:
        InputError: the network does not run on a few samples at once, or puts out NaN.
    """
    inputs = few(task.inputs, samples)
    whole = _run(task.network, inputs)
    if not torch.isfinite(whole).all():
        raise InputError(
            "the network must put out finite numbers on the calibration data; check its weights for NaN"
        )
    trial = _Trial(task, groups, inputs, whole)
    sound = trial.sound(range(len(groups.groups)))
    if len(sound) == len(groups.groups):
        return groups
    kept = tuple(group for i, group in enumerate(groups.groups) if i in sound)
    lost = {group.name: refusal(group.name) for i, group in enumerate(groups.groups) if i not in sound}
    return replace(groups, groups=kept, left={**groups.left, **lost})


def few(inputs: Inputs, samples: int = TRIED) -> Inputs:
    """The first samples that one call takes, at most so many."""
    if isinstance(inputs, Samples):
        return Samples(inputs.batches[:1], inputs.call)[:samples]
    return inputs[: max(1, min(samples, NUMBERS // max(1, inputs[:1].numel())))]


def refusal(name: str) -> str:
    """Why a layer is left whose channels do not go alike masked and cut."""
    return (
        f"channels of layer {name} must mean nothing to later layers once they are zero, got other "
        "outputs than without them; let no sigmoid, added constant or fixed shape follow"
    )


class _Trial:
    """A network, what it puts out, and its groups by number."""

    def __init__(self, task: Task, groups: Groups, inputs: Inputs, whole: Tensor) -> None:
        self.task, self.groups, self.inputs, self.whole = task, groups, inputs, whole
        self.spans = groups.spans()
        self.halves = [_half(groups, parity) for parity in (0, 1)]

    def sound(self, numbers: Sequence[int]) -> set[int]:
        """Groups that can be pruned together, of those with these numbers: halving finds the others."""
        alone = self._alone(numbers)
        if self._agrees(alone):
            return set(alone)
        together: list[int] = []  # each is sound alone, but not with all others
        for number in alone:
            together += [number] if self._agrees([*together, number]) else []
        return set(together)

    def _alone(self, numbers: Sequence[int]) -> list[int]:
        if self._agrees(numbers):
            return list(numbers)
        if len(numbers) == 1:
            return []
        middle = len(numbers) // 2
        return [*self._alone(numbers[:middle]), *self._alone(numbers[middle:])]

    def _agrees(self, numbers: Sequence[int]) -> bool:
        """Whether masked and cut networks put out the same for either half of some groups."""
        for half in self.halves if numbers else []:
            x = np.ones(self.groups.total, dtype=np.int8)
            for number in numbers:
                x[self.spans[number]] = half[self.spans[number]]
            if not self._agree(x):
                return False
        return True

    def _agree(self, x: Bits) -> bool:
        masked = self.task.copy()
        mask(masked, self.groups, x, original=self.task.network)
        expected = _run(masked, self.inputs)
        try:
            got = _run(shrink(self.task.network, self.groups, x).eval(), self.inputs)
        except Exception:  # it counts on a shape
            return False
        room = torch.finfo(expected.dtype).eps ** 0.5
        room *= max(float(self.whole.abs().max()), float(expected.abs().max()))
        return got.shape == expected.shape and bool(((got - expected).abs() <= room).all())


def _half(groups: Groups, parity: int) -> Bits:
    """Every other channel of each group kept, from the first or the second on."""
    return np.concatenate([np.arange(width) % 2 == parity for width in groups.widths]).astype(np.int8)


def _run(network: nn.Module, inputs: Inputs) -> Tensor:
    try:
        with repeatable(), torch.no_grad():
            outputs = forward(network, inputs)
    except Exception as error:  # a foreign forward may raise anything
        reason = one_line(error)
        raise InputError(
            f"the network must run on {len(inputs)} samples of the calibration data at once, got {reason}"
        ) from error
    return outputs
