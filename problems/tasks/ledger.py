"""What became of each parameter of a network: rounded, pruned or left as it was, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Literal, TypeAlias

__all__ = ["Fate", "Ledger", "Outcome", "Place", "spans"]

Outcome: TypeAlias = Literal["rounded", "pruned", "float"]


@dataclass(frozen=True)
class Fate:
    """What became of one parameter.

    Attributes:
        parameter: its name in the network's `named_parameters`.
        outcome: "rounded", "pruned", or "float" for one that was left.
        numbers: how many it held before.
        why: why it was left, "" where it was not.
        bits: of each number now, None for float.
        loss, nearest_loss: of the answer, and of what a practitioner does (round to nearest), on calibration
            data; None where nobody measured them.
        held_loss, held_nearest_loss: the same on samples held out.
        numbers_after: how many it holds now; who compresses counts them where None.
        seconds: what its stages took to solve; who compresses takes them where None.
    """

    parameter: str
    outcome: Outcome
    numbers: int
    why: str = ""
    bits: int | None = None
    loss: float | None = None
    nearest_loss: float | None = None
    held_loss: float | None = None
    held_nearest_loss: float | None = None
    numbers_after: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Place:
    """What the instance that comes next is about.

    Attributes:
        label: for people, such as the name of a layer.
        parameters: whose numbers it decides; those of the layer of that name where there are none.
        span: share of the whole work that is done before it and after it, in [0, 1]; None where nobody knows.
    """

    label: str
    parameters: tuple[str, ...] = ()
    span: tuple[float, float] | None = None


@dataclass
class Ledger:
    """The fates that a formulation notes while it compresses, the last of a parameter standing."""

    fates: dict[str, Fate] = field(default_factory=dict)
    place: Place | None = None

    def note(self, fate: Fate) -> None:
        """Write down what became of a parameter."""
        self.fates[fate.parameter] = fate

    def enter(
        self, label: str, *, parameters: tuple[str, ...] = (), span: tuple[float, float] | None = None
    ) -> None:
        """Say what the instance that is yielded next is about, before each."""
        self.place = Place(label, parameters, span)

    def leave(self) -> Place | None:
        """What was entered last, once."""
        place, self.place = self.place, None
        return place


def spans(work: Sequence[float]) -> list[tuple[float, float]]:
    """Where in the whole work each of its parts begins and ends, from what each costs."""
    whole = float(sum(work)) or 1.0
    return list(pairwise([0.0, *(done / whole for done in accumulate(work))]))
