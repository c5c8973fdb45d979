"""What the caller wishes of single layers: which to leave alone, and which to treat otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ..errors import InputError, unknown_name

__all__ = ["Rules"]


@dataclass(frozen=True)
class Rules:
    """Globs of names of layers, such as "encoder.*.head" or "*.query".

    Attributes:
        skip: leave these as they are.
        only: leave all others as they are; all may change where there is none.
        layers: parameters of the formulation that are others for some layers, such as {"fc": {"bits": 8}}; of
            several globs that match the last one counts.
        heard: which wishes a formulation has asked for, so that none is lost on one that never asks.
    """

    skip: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    layers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set, compare=False, repr=False)

    def unheard(self) -> list[str]:
        """Names of the wishes that there are and that nobody has asked for."""
        return [name for name in ("skip", "only", "layers") if getattr(self, name) and name not in self.heard]

    def check(self, names: Iterable[str]) -> None:
        """InputError unless every glob matches a layer: a wish that nothing hears would be lost."""
        known = list(names)
        for pattern in (*self.skip, *self.only, *self.layers):
            if not any(fnmatchcase(name, pattern) for name in known):
                raise unknown_name("layer", pattern, known)

    def leaves(self, name: str) -> str:
        """Why a layer is left as it is, "" where it may change."""
        self.heard.update(("skip", "only"))
        if any(fnmatchcase(name, pattern) for pattern in self.skip):
            return "skip names it"
        if self.only and not any(fnmatchcase(name, pattern) for pattern in self.only):
            return "only does not name it"
        return ""

    def settings(self, name: str, usual: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of one layer, the usual ones but for what its globs say.

        Raises:
            InputError: a parameter that the formulation does not let a layer have of its own.
        """
        self.heard.add("layers")
        chosen = dict(usual)
        for pattern, own in self.layers.items():
            if not fnmatchcase(name, pattern):
                continue
            odd = sorted(own.keys() - usual.keys())
            if odd:
                raise InputError(
                    f"layers may set {', '.join(sorted(usual))} of a layer, got {odd[0]!r} for {pattern!r}"
                )
            chosen |= own
        return chosen
