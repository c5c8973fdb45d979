"""Claim: one sentence that holds of every solver or problem, and the function that finds out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["Broken", "Claim", "Undecided", "claims", "must"]

Holds = TypeVar("Holds", bound=Callable[..., None])


class Broken(Exception):  # noqa: N818 - an answer, not an error
    """A claim does not hold; the text is the reason, in one line."""


class Undecided(Exception):  # noqa: N818 - an answer, not an error
    """A claim cannot be decided here; the text is the reason."""


@dataclass(frozen=True)
class Claim:
    """A sentence about every solver or problem.

    Attributes:
        text: the sentence.
        holds: function of (name, case) that raises Broken where the claim does not hold.
        cases: the cases that concern a solver or problem of that name, as texts say them; none where the
            claim says nothing.
    """

    text: str
    holds: Callable[..., None]
    cases: Callable[[str], list[Any]]


def claims(table: list[Claim], cases: Callable[[str], list[Any]]) -> Callable[[Holds], Holds]:
    """Enter a function into a table of claims; its name is the sentence."""

    def enter(holds: Holds) -> Holds:
        table.append(Claim(holds.__name__.replace("_", " "), holds, cases))
        return holds

    return enter


def must(condition: object, reason: str) -> None:
    """Broken with the reason unless the condition is true."""
    if not condition:
        raise Broken(reason)
