"""field-search: bisect a uniform field −μ·c·x until the minimiser meets the capacity, finish it greedily.

Our reading of the "dynamic capacity-driven search" of Orabi et al. 2026 (arXiv:2604.05856). A minimiser of
E − μ c·x lies on the lower convex hull of the curve of energy against capacity (Everett 1963), so no field
may lead to a capacity in a dent of that curve; greedy drops and adds close the gap. The solver searches each
shifted Qubo by our own tabu; the adapter `field_search` does the same for any solver of Qubos.
"""

from __future__ import annotations

from typing import Annotated

from ...problems import Capacity, Qubo
from ..qubo.tabu import search
from ..registry import Range, solver
from ..run import Run
from .bisection import FIELDS, bisection, top_field

__all__ = ["field_search_solver"]


NEAR = 1 / 32
"""Half of the range of fields that a later restart bisects, around where the last one ended."""


@solver("field-search", accepts=Capacity, reference="Everett 1963; Orabi et al. 2026", counts="flips")
def field_search_solver(
    capacity: Capacity,
    run: Run,
    *,
    fields: Annotated[int, Range(1, 64)] = FIELDS,
    flips: Annotated[int, Range(100, 10_000_000, log=True)] = 2_000,
) -> None:
    """Bisect a field with a tabu search at each, then drop and add greedily. A flip of the search costs O(n).

    Counts, beside the flips: "answers" of the fields, and "gap before finish", the sum of |Σc·x − K| over
    them in whole units of the cost.

    Parameters:
        fields: steps of the bisection; the first restart begins at 0, the later ones where the last ended.
        flips: length of each tabu search.
    """

    def minimise(qubo: Qubo, child: Run) -> None:
        child.restarts = 1
        search(qubo, child, flips=flips)

    run.offer(capacity.baseline())
    top = top_field(capacity)
    low, high = -top, top
    while run.open():
        for _, field in bisection(capacity, run, minimise, fields, low, high, index=run.opened * fields):
            low, high = field - NEAR * top, field + NEAR * top
