"""What became of each parameter: what the ledger says, else what two networks and the stages tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ...problems.tasks.ledger import Fate, Ledger, Outcome
from ...problems.tasks.rules import Rules
from . import report
from .report import Report
from .stages import Stage

__all__ = ["reported"]


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
    for name, tensor in _given(before, after).items():
        now = _counterpart(name, there)
        fate = ledger.fates.get(name) or look.fate(name, tensor, now)
        fate = replace(fate, numbers=0 if tensor is None else tensor.numel())
        fates.append(_measured(fate, now, solved))
        kind = torch.float32 if tensor is None else tensor.dtype
        width = (kind if now is None else now.dtype).itemsize
        widths.append(report.after(fates[-1]) * (fate.bits or 8 * width))
    bits = sum(widths) / max(1, sum(map(report.after, fates)))
    return Report(tuple(fates), solved, seconds, bits)


def _given(before: nn.Module, after: nn.Module) -> dict[str, Tensor | None]:
    """Every parameter as it was, None where only the compressed network has it, as a bias that folding gave.

    Of a parametrization that was baked in, such as a weight norm, the weight stands for what it is made of.
    """
    there = dict(after.named_parameters(remove_duplicate=False))
    known = dict(before.named_parameters(remove_duplicate=False))
    moved = {"{0}.1.{2}".format(*name.rpartition(".")) for name in known}
    new = [name for name, _ in after.named_parameters() if name not in known and name not in moved]
    was = {name: _attribute(before, name) for name in new}
    baked = defaultdict[str, list[str]](list)
    for name in new:
        if was[name] is not None:
            baked[_layer(name)].append(name)
    rows = dict[str, Tensor | None]()
    for name, tensor in before.named_parameters():
        gone = _counterpart(name, there) is None and _layer(name) in baked
        rows |= {one: was[one] for one in baked[_layer(name)]} if gone else {name: tensor}
    return rows | was


def _layer(name: str) -> str:
    """Of a parameter: the layer that it belongs to, also where it is what its weight is made of."""
    whole, parametrized, _ = name.rpartition(".parametrizations.")
    if not parametrized and name.startswith("parametrizations."):
        return ""
    return whole if parametrized else name.rpartition(".")[0]


def _attribute(network: nn.Module, name: str) -> Tensor | None:
    """The tensor that goes by a name in a network, though it be no parameter."""
    layer, _, leaf = name.rpartition(".")
    try:
        found = getattr(network.get_submodule(layer), leaf, None)
    except AttributeError:
        return None
    return found if isinstance(found, Tensor) else None


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
            return self._changed(name, now, "others are folded into it" if self.rounds else "made anew")
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
