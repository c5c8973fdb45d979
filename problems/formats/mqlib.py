"""MQLib's QUBO text: `n m`, then m lines `i j q`, counted from 1; it maximises xᵀQx with Q symmetric.

A line with i ≠ j stands for both q_ij and q_ji, so it counts twice in the objective; lines that repeat a pair
add up. Our loss is the offset minus that objective. The offset stands in a comment `# offset=value`, which
MQLib skips.

References:
    Dunning, Gupta & Silberholz 2018, What works best when? (MQLib).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError
from ..instances.npz import FileError
from ..instances.qubo import Qubo
from .terms import Terms, sums
from .text import Lines, write_lines

__all__ = ["read", "refuse_graph", "write"]


def refuse_graph(path: str | Path, qubo: Qubo) -> None:
    """FileError where a file's ending alone said what it is, and it may be a graph for Max-Cut as well."""
    whole = bool(np.isin(qubo.Q.data if qubo.sparse else qubo.Q, (0.0, 1.0, -1.0)).all())
    if whole and Lines(path).remark("offset") is None and not qubo.Q.diagonal().any():
        raise FileError(
            f"{path} must hold a QUBO and may be a graph for Max-Cut: all its weights are 1 or -1, none "
            "on the diagonal; pass format= (--input-format), gset or mqlib"
        )


def read(path: str | Path) -> Qubo:
    """Read a QUBO; the maximum becomes a minimum."""
    lines = Lines(path)
    offset = lines.remarked_number("offset", 0.0)
    n, entries = lines.counts("number of variables", "number of entries")
    table = lines.table(entries, "i j value")
    i, j = (lines.indices(table[:, column], low=1, high=n) for column in (0, 1))
    lines.end()
    if lines.remark("offset") is not None and not lines.ended:
        raise FileError(f"{path} must end with the end of a line, as we write it; is it whole?")
    own, value = i == j, -table[:, 2] + 0.0
    if len(np.unique(i[own])) < np.count_nonzero(own):
        raise FileError(f"{path} must name each diagonal entry once: MQLib would keep the last of several")
    linear = sums(i[own], value[own], n)
    return Terms(linear, i[~own], j[~own], 2 * value[~own], offset).qubo()


def write(path: str | Path, qubo: Qubo) -> None:
    """Write a QUBO, all signs turned. Raises InputError for one without variables, which MQLib refuses."""
    if not qubo.n:
        raise InputError("a .mqlib file must have at least one variable, got none; save it as .npz")
    terms = Terms.of(qubo).scaled(-1)
    own = np.flatnonzero(terms.linear)
    lines = [f"# offset={qubo.offset!r}", f"{terms.n} {len(own) + len(terms.value)}"]
    pairs = zip(own.tolist(), terms.linear[own].tolist(), strict=True)
    lines += [f"{i + 1} {i + 1} {value!r}" for i, value in pairs]
    triples = zip(terms.i.tolist(), terms.j.tolist(), (terms.value / 2).tolist(), strict=True)
    lines += [f"{i + 1} {j + 1} {value!r}" for i, j, value in triples]
    write_lines(path, lines)
