"""Lists of triples of QUBO and Max-Cut libraries: alike to look at, unlike in sign and in what a pair counts.

- beasley: OR-Library's bqp, `1` for one problem, then `n m` and lines `i j q` from 1; maximises xᵀQx.
- biqmac: the Biq Mac Library's .sparse and .bq, the same lines; minimises xᵀQx.
- gset: rudy's graphs, `n m` and edges `i j w` from 1, w = 1 where it is left out; maximises the cut.
- qoblib: QOBLIB's .qs, the lines of biqmac below a comment `# ObjectiveOffset c`; minimises xᵀQx + c.
- qbsolv: .qubo, `p qubo 0 n diagonals couplings` and lines `i j q` from 0; minimises, each line counts once.

In beasley, biqmac and qoblib Q is symmetric: a line with i ≠ j counts twice.

References:
    Beasley 1998, Heuristic algorithms for the unconstrained binary quadratic programming problem.
    Wiegele 2007, Biq Mac Library. Rinaldi 1998, rudy. D-Wave, qbsolv: file format.
    Koch et al. 2025, arXiv:2504.03832 (QOBLIB).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Floats
from ..errors import InputError
from ..instances.npz import FileError
from ..instances.qubo import Qubo
from .terms import Indices, Terms, sums
from .text import Lines

__all__ = ["read_beasley", "read_biqmac", "read_gset", "read_qbsolv", "read_qoblib", "refuse"]


def read_beasley(path: str | Path) -> Qubo:
    """Read the one problem of a bqp file; its maximum becomes a minimum."""
    lines = Lines(path)
    problems = lines.count("number of problems")
    if problems != 1:
        raise FileError(f"{path} must hold one problem, got {problems}; cut one out under a first line 1")
    return _symmetric(lines, -1.0)


def read_biqmac(path: str | Path) -> Qubo:
    """Read a .sparse or .bq file."""
    return _symmetric(Lines(path), 1.0)


def read_qoblib(path: str | Path) -> Qubo:
    """Read a .qs file; one without the comment has no constant."""
    lines = Lines(path)
    said = [one.split() for one in lines.comments if one.split()[:1] == ["ObjectiveOffset"]]
    if len(said) > 1:
        raise FileError(f"{path} must have one comment ObjectiveOffset, got {len(said)}")
    try:
        (offset,) = [float(value) for value in said[0][1:]] if said else [0.0]
    except ValueError:
        offset = np.nan
    if not np.isfinite(offset):
        raise FileError(f"{path} must have a finite number in its comment ObjectiveOffset")
    return _symmetric(lines, 1.0, offset)


def _symmetric(lines: Lines, sign: float, offset: float = 0.0) -> Qubo:
    """`n m` and m entries of a symmetric Q."""
    n, entries = lines.counts("number of variables", "number of entries")
    i, j, value = _triples(lines, entries, n)
    lines.end()
    return replace(_terms(n, i, j, sign * np.where(i == j, value, 2 * value)), offset=offset).qubo()


def read_gset(path: str | Path) -> Qubo:
    """Read a graph: minus its cut, Σ w_ij (2 x_i x_j − x_i − x_j)."""
    lines = Lines(path)
    n, edges = lines.counts("number of vertices", "number of edges")
    if lines.width() == 2:
        table = lines.table(edges, "i j")
        table = np.column_stack([table, np.ones(len(table))])
    else:
        table = lines.table(edges, "i j value")
    i, j = (lines.indices(table[:, column], low=1, high=n) for column in (0, 1))
    lines.end()
    if (i == j).any():
        raise FileError(
            f"{path} must have edges between two vertices, got one from {i[i == j][0] + 1} to itself"
        )
    linear = -sums(i, table[:, 2], n) - sums(j, table[:, 2], n) + 0.0
    return Terms(linear, i, j, 2 * table[:, 2]).qubo()


def read_qbsolv(path: str | Path) -> Qubo:
    """Read a .qubo file; comment lines begin with c."""
    lines = Lines(path, bare=r"^\s*c(?=\s|$)")
    head = lines.word("p qubo 0 n diagonals couplings")
    found = re.fullmatch(
        r"p\s+qubo\s+(?:0|unconstrained)\s+(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})", head, re.I | re.A
    )
    if found is None:
        raise lines.error(f"the first line must be p qubo 0 n diagonals couplings, got {head[:60]!r}", back=1)
    n, diagonals, couplings = map(int, found.groups())
    if n > lines.most:
        raise lines.error(f"the number of variables must be at most {lines.most}, got {n}", back=1)
    i, j, value = _triples(lines, diagonals + couplings, n, low=0)
    lines.end()
    if np.count_nonzero(i == j) != diagonals:
        raise FileError(
            f"{path} must have {diagonals} diagonal entries as it says, got {np.count_nonzero(i == j)}"
        )
    return _terms(n, i, j, value).qubo()


def _triples(lines: Lines, entries: int, n: int, *, low: int = 1) -> tuple[Indices, Indices, Floats]:
    table = lines.table(entries, "i j value")
    i, j = (lines.indices(table[:, column], low=low, high=n - 1 + low) for column in (0, 1))
    return i, j, table[:, 2]


def _terms(n: int, i: Indices, j: Indices, value: Floats) -> Terms:
    """Each value once, those of a variable with itself as its linear term."""
    own = i == j
    return Terms(sums(i[own], value[own], n), i[~own], j[~own], value[~own] + 0.0)


def refuse(path: str | Path, instance: Any) -> None:
    """Nothing is written in these formats; `Format.write` has said so before."""
    raise InputError(f"{path} cannot be written in a format that is only read")
