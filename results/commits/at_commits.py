"""The cells of a store commit by commit, those among them that a run found finished there."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..storage.store import Store

__all__ = ["at_commits"]


def at_commits(path: str | Path) -> pd.DataFrame:
    """The table of a store (`results.load`) with a row for each commit at which a cell stands.

    A run that resumes a cell finds its key unchanged: what computes there is the code that measured it.
    The index is the cell's place in the store, so rows of one measurement share it.
    """
    with Store(path) as store:
        frame, resumed = store.frame(), store.resumed()
    parts = [frame[frame["cell"].isin(cells)].assign(commit=commit) for commit, cells in resumed.items()]
    return pd.concat([frame, *parts])
