"""The report of a compression: what became of each parameter, at what loss, and how long it took."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from ...problems import InputError
from ...problems.tasks.ledger import Fate
from .stages import Stage

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Report", "after", "attach", "report_of"]

ATTRIBUTE = "qubopress_report"
"""Of the compressed module; plain data, so that a pickled module needs nothing of ours to be read."""


@dataclass(frozen=True)
class Report:
    """What a compression did.

    Attributes:
        fates: of the parameters, in the order of the network that was given.
        stages: in the order in which they were solved.
        seconds: all that it took, measuring included.
        bits: of a number, on average over the parameters that there are now, those left float included.
    """

    fates: tuple[Fate, ...]
    stages: tuple[Stage, ...]
    seconds: float
    bits: float

    @property
    def left(self) -> float:
        """Share of the numbers that were left as they were, in [0, 1]."""
        return self._numbers("float") / max(1, self._numbers())

    def table(self) -> pd.DataFrame:
        """A row a parameter. Losses are of its whole layer, ratios to round to nearest's."""
        import pandas as pd

        columns = list(_row(Fate("", "float", 0)))
        return pd.DataFrame([_row(fate) for fate in self.fates], columns=columns).astype({"bits": "Int64"})

    def __str__(self) -> str:
        """The totals in a line."""
        whole = self._numbers()
        shares = [
            f"{self._numbers(outcome) / max(1, whole):.1%} {word}"
            for outcome, word in (
                ("rounded", "rounded"),
                ("pruned", "in layers made smaller"),
                ("float", "left float"),
            )
            if self._numbers(outcome)
        ]
        told = ", ".join(shares) or "nothing changed"
        now = sum(after(fate) for fate in self.fates)
        smaller = f", {now:,} of them left" if now != whole else ""
        return f"{whole:,} parameters{smaller}: {told}; {self.bits:.3g} bits each, {self.seconds:.1f} s"

    def _numbers(self, outcome: str | None = None) -> int:
        return sum(fate.numbers for fate in self.fates if outcome in (None, fate.outcome))


def after(fate: Fate) -> int:
    """How many numbers a parameter holds now."""
    return fate.numbers if fate.numbers_after is None else fate.numbers_after


def _row(fate: Fate) -> dict[str, Any]:
    return {
        "parameter": fate.parameter,
        "became": fate.outcome,
        "bits": fate.bits,
        "numbers": fate.numbers,
        "now": after(fate),
        "loss": fate.loss,
        "nearest": fate.nearest_loss,
        "of nearest": _ratio(fate.loss, fate.nearest_loss),
        "held-out of nearest": _ratio(fate.held_loss, fate.held_nearest_loss),
        "seconds": fate.seconds,
        "why": fate.why,
    }


def _ratio(loss: float | None, nearest: float | None) -> float | None:
    return None if loss is None or not nearest else loss / nearest


def attach(network: nn.Module, report: Report) -> None:
    """Leave the report on the compressed module, as plain data beside its parameters."""
    vars(network)[ATTRIBUTE] = asdict(report)


def report_of(network: nn.Module) -> Report:
    """What `compress` did to make this module; a deep copy or a pickle of it keeps the report.

    Raises:
        InputError: it does not come from `compress`.
    """
    plain = vars(network).get(ATTRIBUTE) if isinstance(network, nn.Module) else None
    if plain is None:
        raise InputError(
            f"the network must come out of compress, got a {type(network).__name__} without a report"
        )
    made = {
        "fates": tuple(Fate(**fate) for fate in plain["fates"]),
        "stages": tuple(Stage(**stage) for stage in plain["stages"]),
    }
    return Report(**{**plain, **made})
