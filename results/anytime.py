"""Anytime curves: what a solver had reached by each moment, read from the traces."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .scores import IMPUTED_EXCESS, normalised_excess, reference

Traces = Mapping[str, NDArray[np.float64]]
"""The (k, 2) seconds and losses of a cell, by its key."""

EARLIEST_SECONDS = 1e-4
"""Where a logarithmic time axis starts at the earliest."""


def best_at(trace: NDArray[np.float64], times: ArrayLike) -> NDArray[np.float64]:
    """Give the lowest loss that a (k, 2) trace had reached by each time; NaN before its first point."""
    trace = trace[np.argsort(trace[:, 0], kind="stable")]
    lowest = np.concatenate([[np.nan], np.fmin.accumulate(trace[:, 1])])
    return np.asarray(lowest[np.searchsorted(trace[:, 0], times, side="right")], dtype=np.float64)


def excess_curves(frame: pd.DataFrame, traces: Traces, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalised excess of every cell (rows of a scored table) at every time: (cells, times).

    Before its first solution, and for a cell that is not ranked always, a user has the baseline.
    A ranked cell ends at its recorded loss.
    """
    references = reference(frame) if "reference" not in frame else frame["reference"]
    rows = zip(frame["cell"], frame["ranked"], frame["seconds"], frame["loss"], strict=True)
    losses = np.full((len(frame), len(times)), np.nan)
    for row, (cell, is_ranked, seconds, loss) in enumerate(rows):
        if is_ranked:
            end = np.array([[seconds if np.isfinite(seconds) else 0.0, loss]])
            losses[row] = best_at(np.vstack([traces.get(cell, _NO_TRACE), end]), times)
    excess = normalised_excess(
        losses, references.to_numpy()[:, None], frame["baseline_loss"].to_numpy()[:, None]
    )
    return np.where(np.isnan(losses), IMPUTED_EXCESS, excess)


def time_grid(frame: pd.DataFrame, traces: Traces, *, points: int = 140) -> NDArray[np.float64]:
    """Times, evenly spaced in their logarithm, from the first solution of any cell to the last end."""
    firsts = [traces[cell][:, 0].min() for cell in frame["cell"] if len(traces.get(cell, _NO_TRACE))]
    ends = frame["seconds"][np.isfinite(frame["seconds"])]
    first = max(min([*firsts, *ends], default=EARLIEST_SECONDS), EARLIEST_SECONDS)
    last = max(ends.max() if len(ends) else first, first * 10)
    return np.geomspace(first, last, points)


_NO_TRACE = np.empty((0, 2))
