"""The budgets of a table of cells, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd

from .budget import LIMITS, Budget

__all__ = ["budgets", "differing_limits"]


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
