"""Budget: the limits of one cell, the same from a suite's file to its record and to every comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

__all__ = ["LIMITS", "Budget", "budgets", "differing_limits"]

LIMITS = ("budget_seconds", "restarts", "evaluations", "threads")
"""Columns in which a table of cells keeps the four limits."""


@dataclass(frozen=True)
class Budget:
    """What a cell may use. Cells of unlike budgets are never paired, merged or ranked as one.

    Attributes:
        seconds: wall clock of a cell's searches, None without a limit.
        restarts: how often the solver's fixed work is done, None to use the seconds up.
        evaluations: most losses that a black box is asked for, None without a limit.
        threads: that the solver may use.
    """

    seconds: float | None = None
    restarts: int | None = None
    evaluations: int | None = None
    threads: int = 1

    @property
    def bounded(self) -> bool:
        """Whether anything but the number of threads is limited."""
        return (self.seconds, self.restarts, self.evaluations) != (None, None, None)

    def limits(self) -> dict[str, str]:
        """Each limit in words by its column: "0.5 s", "2 restarts", "60 losses", "1 thread"."""
        found = {} if self.seconds is None else {"budget_seconds": f"{self.seconds:.12g} s"}
        units = {"restarts": ("restart", "restarts"), "evaluations": ("loss", "losses")}
        for name, (one, many) in (units | {"threads": ("thread", "threads")}).items():
            number = getattr(self, name)
            if number is not None:
                found[name] = f"{number} {one if number == 1 else many}"
        return found

    def __str__(self) -> str:
        """All of it, such as "0.5 s, 2 restarts"; one thread goes without saying."""
        found = self.limits()
        if self.threads == 1:
            del found["threads"]
        return ", ".join(found.values()) or "no limit"


def budgets(frame: pd.DataFrame) -> pd.Series[str]:
    """By row, the budget of a table of cells in words: one text for equal ones, another for unlike ones."""
    return _told(frame, str)


def differing_limits(frame: pd.DataFrame, limits: Sequence[str] = LIMITS) -> pd.Series[str]:
    """By row, those of the limits that are not the same throughout the table, in words; "" where all are."""
    names = [name for name in limits if frame[name].nunique(dropna=False) > 1]
    return _told(frame, lambda budget: ", ".join(_limit(budget, name) for name in names))


def _limit(budget: Budget, name: str) -> str:
    return budget.limits().get(name, f"any {'time' if name == 'budget_seconds' else name}")


def _told(frame: pd.DataFrame, tell: Callable[[Budget], str]) -> pd.Series[str]:
    """What is told of each row's budget; tables have many rows and few budgets."""
    groups = frame.groupby(list(LIMITS), dropna=False, sort=False)
    texts = [tell(_budget(row)) for row in groups.head(1)[list(LIMITS)].astype(object).to_numpy()]
    return pd.Series(texts, dtype="str").reindex(groups.ngroup()).set_axis(frame.index)


def _budget(row: Iterable[Any]) -> Budget:
    """An absent limit is NaN, NA or None in a table."""
    seconds, restarts, evaluations, threads = (None if pd.isna(value) else value for value in row)
    return Budget(
        None if seconds is None else float(seconds),
        None if restarts is None else int(restarts),
        None if evaluations is None else int(evaluations),
        int(threads or 1),
    )
