"""Linear programs one after another, each warm from the one before, by the simplex method of HiGHS.

It is the HiGHS inside scipy, which lives beside OR-Tools in one process, as highspy's does not. scipy keeps
it to itself, so a release may move it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...problems.arrays import Floats

__all__ = ["MODULE", "Program", "Vertex"]

MODULE = "scipy.optimize._highspy._core"

OPTIONS = {
    "output_flag": False,
    "threads": 1,
    "parallel": "off",
    "solver": "simplex",
    "presolve": "off",
    "primal_feasibility_tolerance": 1e-9,
    "dual_feasibility_tolerance": 1e-9,
}


class Vertex(NamedTuple):
    """Columns (m,) of an optimal vertex, and the duals (rows,) of its rows, none of them above 0."""

    x: Floats
    duals: Floats


class Program:
    """min costs·x over columns x in their bounds and rows Σ ±x ≤ high, which come and go."""

    def __init__(self, costs: Floats) -> None:
        from scipy.optimize._highspy import _core as library

        self.library, self.highs, lp = library, library._Highs(), library.HighsLp()
        for name, value in OPTIONS.items():
            self.highs.setOptionValue(name, value)
        lp.num_col_, lp.col_cost_ = len(costs), np.array(costs, dtype=np.float64)
        lp.col_lower_, lp.col_upper_ = np.zeros(len(costs)), np.ones(len(costs))
        self.highs.passModel(lp)

    def bound(self, where: Any, least: Floats, most: Floats) -> None:
        """Bounds of the columns at `where` (k,)."""
        if len(where):
            self.highs.changeColsBounds(len(where), where.astype(np.int32), least, most)

    def drop(self, rows: Any) -> None:
        """Rows of these numbers (k,), rising, go; those after them move up."""
        if len(rows):
            self.highs.deleteRows(len(rows), rows.astype(np.int32))

    def add(self, rows: Any, high: Floats) -> None:
        """Rows of a CSR array (k, m), at most `high` (k,)."""
        if len(high):
            low = np.full(len(high), -self.library.kHighsInf)
            starts, places = rows.indptr[:-1].astype(np.int32), rows.indices.astype(np.int32)
            self.highs.addRows(len(high), low, high, rows.nnz, starts, places, rows.data)

    def solve(self, seconds: float) -> Vertex | None:
        """An optimal vertex; None where the method failed or ran out of time, and begins anew next."""
        # HiGHS counts the time of all programs before this one as well.
        limit = min(self.highs.getRunTime() + seconds, self.library.kHighsInf)
        self.highs.setOptionValue("time_limit", limit)
        self.highs.run()
        if self.highs.getModelStatus() == self.library.HighsModelStatus.kOptimal:
            found = self.highs.getSolution()
            return Vertex(np.array(found.col_value), np.array(found.row_dual))
        self.highs.clearSolver()
        return None
