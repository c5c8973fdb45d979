"""What became of each parameter of a network: rounded, pruned or left as it was, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = ["Fate", "Ledger", "Outcome"]

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


@dataclass
class Ledger:
    """The fates that a formulation notes while it compresses, the last of a parameter standing."""

    fates: dict[str, Fate] = field(default_factory=dict)

    def note(self, fate: Fate) -> None:
        """Write down what became of a parameter."""
        self.fates[fate.parameter] = fate
