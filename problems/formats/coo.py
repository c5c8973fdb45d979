"""COO text: a line `i j value` a term, variables counted from 0, as dimod writes and reads it.

What the lines cannot say stands in comments: `# vartype=BINARY`, `# variables=n` and `# offset=value`. dimod
reads the first of them and skips the others, so the offset is lost on it. Without a vartype the variables are
binary; lines that repeat a pair add up; `i i value` is the linear term of variable i.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..instances.npz import FileError
from ..instances.qubo import Qubo
from .terms import Terms, sums
from .text import Lines, write_lines

__all__ = ["read", "write"]


def read(path: str | Path) -> Qubo:
    """Read a QUBO, or an Ising model (`# vartype=SPIN`), which is told in binary variables."""
    lines = Lines(path)
    vartype = (lines.remark("vartype") or "BINARY").upper()
    if vartype not in ("BINARY", "SPIN"):
        raise FileError(f"{path}: the comment vartype=... must be BINARY or SPIN, got {vartype!r}")
    offset = lines.remarked_number("offset", 0.0)
    n = _announced(lines)
    table = lines.table(lines.left, "i j value")
    top = None if n is None else n - 1
    i, j = (lines.indices(table[:, column], low=0, high=top) for column in (0, 1))
    if n is None:
        n = 1 + int(max(i.max(initial=-1), j.max(initial=-1)))
    own = i == j
    linear = sums(i[own], table[own, 2], n)
    parts = linear, i[~own], j[~own], table[~own, 2]
    terms = Terms(*parts, offset) if vartype == "BINARY" else Terms.of_spins(*parts, offset=offset)
    return terms.qubo()


def write(path: str | Path, qubo: Qubo) -> None:
    """Write a QUBO. Numbers have no exponents, which dimod's reader would skip with their lines."""
    terms = Terms.of(qubo)
    own = np.flatnonzero(terms.linear)
    lines = ["# vartype=BINARY", f"# variables={terms.n}", f"# offset={terms.offset!r}"]
    lines += [f"{i} {i} {_plain(v)}" for i, v in zip(own.tolist(), terms.linear[own].tolist(), strict=True)]
    triples = zip(terms.i.tolist(), terms.j.tolist(), terms.value.tolist(), strict=True)
    lines += [f"{i} {j} {_plain(v)}" for i, j, v in triples]
    write_lines(path, lines)


def _announced(lines: Lines) -> int | None:
    """The number of variables, if a comment tells it."""
    text = lines.remark("variables")
    if text is None:
        return None
    n = lines.remarked_number("variables", 0.0)
    if not 0 <= n <= lines.most or n != int(n):
        raise FileError(f"{lines.path}: the comment variables=... must be in [0, {lines.most}], got {text!r}")
    return int(n)


def _plain(value: float) -> str:
    """All digits of a number, without an exponent."""
    text = repr(value)
    return np.format_float_positional(value, trim="0") if "e" in text else text
