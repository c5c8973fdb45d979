"""What a solver had reached by how much of its own work: flips, sweeps, nodes, as it counts them itself.

Units differ from solver to solver, so nothing here ranks: a curve tells of one solver, and of those that
share its unit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..storage.traces import Counts, Points, Traces, over_work

__all__ = ["OwnWork", "own_work"]


@dataclass(frozen=True)
class OwnWork:
    """The courses of cells over the work of their solvers.

    Attributes:
        traces: (k, 2) work and losses by cell key, of the cells that have counts beside their trace.
        units: what each of these cells counts in.
    """

    traces: Traces = field(default_factory=Traces)
    units: Mapping[str, str] = field(default_factory=dict)

    def drawn(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The cells of a scored table that can be drawn, `seconds` being the work that each did in all.

        A cell without a result counts as the baseline, beside those of its solver that have counts.
        """
        counted = frame["cell"].isin(self.units.keys())
        labels = frame["label"]
        shown = frame[counted | (~frame["ranked"] & labels.isin(labels[counted]))]
        totals = [
            self._total(cell, counts) for cell, counts in zip(shown["cell"], shown["counts"], strict=True)
        ]
        return shown.assign(seconds=np.array(totals, dtype=np.float64))

    def unit(self, frame: pd.DataFrame) -> dict[str, str]:
        """What each label counts in; several units where its instances have several."""
        named = frame.assign(unit=frame["cell"].map(self.units)).dropna(subset="unit")
        return {str(label): ", ".join(sorted(set(part))) for label, part in named.groupby("label")["unit"]}

    def left_out(self, frame: pd.DataFrame) -> list[str]:
        """Whose ranked cells have no counts beside their trace, and how many of how many; sorted."""
        ranked = frame[frame["ranked"]]
        missing = ~ranked["cell"].isin(self.units.keys())
        parts = missing.groupby(ranked["label"]).agg(["sum", "size"])
        return [
            str(label) if lacking == cells else f"{label} ({lacking} of {cells} cells)"
            for label, lacking, cells in parts.itertuples()
            if lacking
        ]

    def _total(self, cell: str, counts: str) -> float:
        if cell not in self.units:
            return np.nan
        total: float = json.loads(counts).get(self.units[cell], 0)
        return max(1.0, total, float(self.traces[cell][-1, 0]))


def own_work(traces: Mapping[str, Points], work: Mapping[str, tuple[str, Counts]]) -> OwnWork:
    """What `Store.traces` and `Store.work` make together; a count of 0 becomes 1, for a logarithmic axis.

    Raises:
        StoreError: they do not belong together.
    """
    joined = over_work(traces, {cell: counts for cell, (_, counts) in work.items()})
    joined.points[:, 0] = np.maximum(joined.points[:, 0], 1.0)
    return OwnWork(joined, {cell: unit for cell, (unit, _) in work.items()})
