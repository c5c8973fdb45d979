"""Average ranks and their critical difference: which solvers a family's instances tell apart.

References:
    Friedman 1937; Nemenyi 1963; Demšar 2006, "Statistical comparisons of classifiers over multiple data
    sets" (the diagram).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .scores import ALPHA

__all__ = ["CriticalDifference", "critical_difference"]

FEWEST_SOLVERS = 3
FEWEST_MATCHES = 3
_AT_INFINITY = 1e6  # degrees of freedom; scipy's quantile at infinity itself is slow and no different


@dataclass(frozen=True)
class CriticalDifference:
    """Average ranks of the solvers that entered every match (an instance with a budget); 1 is best.

    Attributes:
        ranks: by label, ascending; ties share the mean of their places.
        difference: two solvers whose average ranks differ by less are not told apart (Nemenyi's test at
            ALPHA).
        p: of Friedman's test that all solvers are alike.
        matches: how many were ranked.
        left_out: solvers that did not enter every match.
    """

    ranks: dict[str, float]
    difference: float
    p: float
    matches: int
    left_out: tuple[str, ...]

    def cliques(self) -> list[tuple[str, ...]]:
        """The largest groups of neighbours that are not told apart, best first."""
        names, values = list(self.ranks), np.array(list(self.ranks.values()))
        ends = [int(np.searchsorted(values, value + self.difference, side="right")) for value in values]
        groups = [(start, end) for start, end in enumerate(ends) if end - start > 1]
        largest = [(start, end) for start, end in groups if all(end > e for s, e in groups if s < start)]
        return [tuple(names[start:end]) for start, end in largest]


def critical_difference(frame: pd.DataFrame) -> CriticalDifference | None:
    """Rank the solvers of a scored table by their median excess over seeds, match by match.

    None where fewer than three solvers entered all of at least three matches: no test can tell them apart.
    """
    groups = frame.groupby(["instance_key", "budget", "setting"])["excess"]
    table = groups.median().unstack("setting")
    entered = table.columns[table.notna().all()]
    whole = table[entered]
    if len(whole) < FEWEST_MATCHES or len(entered) < FEWEST_SOLVERS:
        return None
    means = whole.round(12).rank(axis=1).mean().sort_values(kind="stable")
    count = len(entered)
    # scikit-posthocs gives Nemenyi's p of each pair, bit for bit by the same distribution, but no difference.
    from scipy import stats  # takes most of a second

    quantile = stats.studentized_range.ppf(1 - ALPHA, count, _AT_INFINITY) / np.sqrt(2)
    return CriticalDifference(
        {str(label): float(rank) for label, rank in means.items()},
        float(quantile * np.sqrt(count * (count + 1) / (6 * len(whole)))),
        _friedman(whole),
        len(whole),
        tuple(sorted(set(map(str, table.columns)) - set(map(str, entered)))),
    )


def _friedman(whole: pd.DataFrame) -> float:
    """Friedman's p; 1 where all solvers tie in every match, of which the statistic is undefined."""
    if (whole.nunique(axis=1) == 1).all():
        return 1.0
    from scipy import stats  # takes most of a second

    return float(stats.friedmanchisquare(*whole.to_numpy().T).pvalue)
