"""Products with a sparse matrix of couplings: what nodes feel of a batch of states, and gradients of it.

A coupling meets a whole row of the batch at once, so that a product costs as much as there are couplings, not
as there are pairs of nodes. Four couplings a pass halve the traffic of the row that they add to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Places", "Side", "places"]

Indices: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Side:
    """A sparse matrix row by row.

    Attributes:
        first: (n + 1,) where each row begins.
        of: (entries,) column of each entry.
        coupling: (entries,) coupling that each entry is of.
    """

    first: Indices
    of: npt.NDArray[np.int32]
    coupling: Indices

    def entries(self, couplings: Tensor) -> Any:
        """Entries in order, an array, of couplings (E,)."""
        return couplings.detach().numpy()[self.coupling]

    def product(self, entries: Any, x: Tensor) -> Tensor:
        """The matrix of these entries times x (n, batch)."""
        found = torch.empty_like(x)
        _product(self.first, self.of, entries, x.numpy(), found.numpy())
        return found

    def add_slopes(self, total: Any, push: Tensor, x: Tensor) -> None:
        """Add to `total`, one an entry, the gradient of ⟨push, matrix · x⟩, both (n, batch)."""
        _add_slopes(self.first, self.of, push.numpy(), x.numpy(), total)

    def slopes(self, total: Any, couplings: int) -> Tensor:
        """Gradient (E,) by the couplings of what `add_slopes` has added up."""
        found = np.zeros(couplings, dtype=total.dtype)
        np.add.at(found, self.coupling, total)
        return torch.from_numpy(found)


@dataclass(frozen=True, eq=False)
class Places:
    """Where couplings lie: by the node that feels, and by the node that is felt."""

    felt: Side
    given: Side


def places(edges: Indices, nodes: int, *, directed: bool) -> Places:
    """Of couplings (E, 2), the node that feels and the node that it feels; both ways where not directed."""
    rows, columns = edges.T
    coupling = np.arange(len(edges))
    if not directed:
        rows, columns = np.concatenate([rows, columns]), np.concatenate([columns, rows])
        coupling = np.concatenate([coupling, coupling])
    return Places(_side(rows, columns, coupling, nodes), _side(columns, rows, coupling, nodes))


def _side(rows: Indices, columns: Indices, coupling: Indices, nodes: int) -> Side:
    order = np.lexsort((columns, rows))
    first = np.searchsorted(rows[order], np.arange(nodes + 1))
    return Side(first, columns[order].astype(np.int32), coupling[order])


@numba.njit(cache=True, nogil=True, fastmath={"contract", "arcp", "nsz", "reassoc"})
def _product(first: Any, of: Any, entries: Any, x: Any, found: Any) -> None:
    n, batch = x.shape
    for i in range(n):
        row, p, end = found[i], first[i], first[i + 1]
        for b in range(batch):
            row[b] = 0
        while p + 4 <= end:
            one, two, three, four = entries[p], entries[p + 1], entries[p + 2], entries[p + 3]
            x1, x2, x3, x4 = x[of[p]], x[of[p + 1]], x[of[p + 2]], x[of[p + 3]]
            for b in range(batch):
                row[b] += one * x1[b] + two * x2[b] + three * x3[b] + four * x4[b]
            p += 4
        while p < end:
            one, x1 = entries[p], x[of[p]]
            for b in range(batch):
                row[b] += one * x1[b]
            p += 1


@numba.njit(cache=True, nogil=True, fastmath={"contract", "arcp", "nsz", "reassoc"})
def _add_slopes(first: Any, of: Any, push: Any, x: Any, total: Any) -> None:
    n, batch = x.shape
    zero = x.dtype.type(0)
    for i in range(n):
        row, p, end = push[i], first[i], first[i + 1]
        while p + 4 <= end:
            x1, x2, x3, x4 = x[of[p]], x[of[p + 1]], x[of[p + 2]], x[of[p + 3]]
            one, two, three, four = zero, zero, zero, zero
            for b in range(batch):
                one += row[b] * x1[b]
                two += row[b] * x2[b]
                three += row[b] * x3[b]
                four += row[b] * x4[b]
            total[p] += one
            total[p + 1] += two
            total[p + 2] += three
            total[p + 3] += four
            p += 4
        while p < end:
            x1, one = x[of[p]], zero
            for b in range(batch):
                one += row[b] * x1[b]
            total[p] += one
            p += 1
