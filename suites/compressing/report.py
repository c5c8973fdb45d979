"""The report of a compression: what became of each parameter, at what loss, and how long it took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...problems import InputError
from ...problems.tasks.ledger import Fate, Ledger, Outcome
from ...problems.tasks.rules import Rules
from .stages import Stage

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Report", "attach", "report_of", "reported"]

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
        now = sum(_after(fate) for fate in self.fates)
        smaller = f", {now:,} of them left" if now != whole else ""
        return f"{whole:,} parameters{smaller}: {told}; {self.bits:.3g} bits each, {self.seconds:.1f} s"

    def _numbers(self, outcome: str | None = None) -> int:
        return sum(fate.numbers for fate in self.fates if outcome in (None, fate.outcome))


def _after(fate: Fate) -> int:
    return fate.numbers if fate.numbers_after is None else fate.numbers_after


def _row(fate: Fate) -> dict[str, Any]:
    return {
        "parameter": fate.parameter,
        "became": fate.outcome,
        "bits": fate.bits,
        "numbers": fate.numbers,
        "now": _after(fate),
        "loss": fate.loss,
        "nearest": fate.nearest_loss,
        "of nearest": _ratio(fate.loss, fate.nearest_loss),
        "held-out of nearest": _ratio(fate.held_loss, fate.held_nearest_loss),
        "seconds": fate.seconds,
        "why": fate.why,
    }


def _ratio(loss: float | None, nearest: float | None) -> float | None:
    return None if loss is None or not nearest else loss / nearest


# ---- from two networks, a ledger and stages


def reported(
    before: nn.Module,
    after: nn.Module,
    *,
    ledger: Ledger,
    stages: Iterable[Stage],
    settings: Mapping[str, Any],
    rules: Rules,
    seconds: float,
) -> Report:
    """What became of each parameter of a network; what the ledger says of one stands.

    Parameters:
        before: the network that was given.
        after: what came of it.
        ledger: of the formulation.
        stages: all that were solved.
        settings: parameters of the formulation.
        rules: what the caller wished of single layers.
        seconds: all that it took.
    """
    solved = tuple(stages)
    look = _Look(any(stage.shape == "Rounding" for stage in solved), settings, rules)
    there = dict(after.named_parameters(remove_duplicate=False))
    fates, widths = list[Fate](), list[int]()
    # What folding has given a layer, such as a bias, was there in no parameter of its own before.
    given = dict(before.named_parameters())
    for name in [*given, *_new(given, before, after)]:
        found = _counterpart(name, there)
        fate = ledger.fates.get(name) or look.fate(name, given.get(name), found)
        fate = replace(fate, numbers=given[name].numel() if name in given else 0)
        fate = _measured(fate, found, solved)
        fates.append(fate)
        width = (given[name] if found is None else found).element_size()
        widths.append(_after(fate) * (fate.bits or 8 * width))
    bits = sum(widths) / max(1, sum(map(_after, fates)))
    return Report(tuple(fates), solved, seconds, bits)


def _new(given: Mapping[str, Tensor], before: nn.Module, after: nn.Module) -> list[str]:
    """Parameters that only the compressed network has, by the names that its layers had before."""
    known = dict(before.named_parameters(remove_duplicate=False))
    moved = {f"{name.rpartition('.')[0]}.1.{name.rpartition('.')[2]}" for name in known}
    return [name for name, _ in after.named_parameters() if name not in known and name not in moved]


def _counterpart(name: str, there: Mapping[str, Tensor]) -> Tensor | None:
    """The parameter of that name now; a layer that rounds its inputs is the second of a pair."""
    layer, _, leaf = name.rpartition(".")
    return there.get(name, there.get(f"{layer}.1.{leaf}"))


@dataclass(frozen=True)
class _Look:
    """What became of parameters that the ledger says nothing of, by looking at them."""

    rounds: bool
    settings: Mapping[str, Any]
    rules: Rules

    def fate(self, name: str, before: Tensor | None, now: Tensor | None) -> Fate:
        """Of one parameter, before and now."""
        if now is None:
            gone: Outcome = "rounded" if self.rounds else "pruned"
            return Fate(name, gone, 0, "folded into another" if self.rounds else "its layer is gone")
        if before is None:
            return self._changed(name, now, "others are folded into it")
        if now.shape != before.shape:
            return Fate(name, "pruned", 0)
        if torch.equal(now.detach().cpu(), before.detach().cpu()):
            return Fate(name, "float", 0, self.rules.leaves(name.rpartition(".")[0]) or "nothing changed it")
        return self._changed(name, now, "" if self.rounds else "fitted anew")

    def _changed(self, name: str, now: Tensor, why: str) -> Fate:
        if not self.rounds:
            return Fate(name, "float", 0, why)
        own = self.rules.settings(name.rpartition(".")[0], self.settings)
        return Fate(name, "rounded", 0, why, bits=own.get("bits") if now.dim() > 1 else None)


def _measured(fate: Fate, now: Tensor | None, stages: tuple[Stage, ...]) -> Fate:
    """The fate with what it holds now, and with loss and time of its stages where it has none of its own."""
    if fate.numbers_after is None:
        fate = replace(fate, numbers_after=0 if now is None else now.numel())
    own = [stage for stage in stages if _decides(stage, fate.parameter)]
    if not own or fate.outcome == "float":
        return fate
    if fate.seconds is None:
        fate = replace(fate, seconds=sum(stage.seconds for stage in own))
    if fate.loss is None and all(stage.shape == "Rounding" for stage in own):
        nearest = sum(stage.baseline for stage in own)
        fate = replace(fate, loss=sum(stage.loss for stage in own), nearest_loss=nearest)
    return fate


def _decides(stage: Stage, parameter: str) -> bool:
    """Whether a stage is about a parameter: by name, or by the name of its layer."""
    if stage.parameters:
        return parameter in stage.parameters
    return bool(stage.label) and parameter.rpartition(".")[0] == stage.label


# ---- on a module


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
