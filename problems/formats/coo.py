"""COO text: a line `i j value` a term, variables counted from 0, as dimod writes and reads it.

What the lines cannot say stands in comments: `# vartype=BINARY`, `# variables=n`, `# offset=value` and
`# entries=m`, by which a file that was cut is known. dimod reads the first of them, wherever it stands in its
comment, and skips the others, so the offset is lost on it. Without a vartype the variables are binary; lines
that repeat a pair add up; `i i value` is the linear term of variable i.

dimod writes six decimals, so that a bias below 5e-7 is `0.000000`: where that was not 0, we warn.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np

from ..instances.npz import FileError
from ..instances.qubo import Qubo
from .terms import Terms, sums
from .text import Lines, write_lines

__all__ = ["read", "write"]

LOST = re.compile(r"(\d+) (?:\1 -?|\d+ -)0\.000000", re.ASCII)
"""A bias that was another before dimod wrote it: linear ones of 0 are left out, and 0 has no minus."""


def read(path: str | Path) -> Qubo:
    """Read a QUBO, or an Ising model (`# vartype=SPIN`), which is told in binary variables."""
    lines = Lines(path)
    vartype = (lines.remark("vartype") or "BINARY").upper().rpartition(".")[2]
    if vartype not in ("BINARY", "SPIN"):
        raise FileError(f"{path}: the comment vartype=... must be BINARY or SPIN, got {vartype!r}")
    offset = lines.remarked_number("offset", 0.0)
    n = _announced(lines, "variables")
    _check_whole(lines, n)
    _warn_of_lost(lines)
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
    entries = terms.n + len(terms.value)
    lines = [
        "# vartype=BINARY",
        f"# variables={terms.n}",
        f"# offset={terms.offset!r}",
        f"# entries={entries}",
    ]
    # Zeros too: dimod knows variables by their lines alone, and orders them as they come.
    lines += [f"{i} {i} {_plain(v)}" for i, v in enumerate(terms.linear.tolist())]
    triples = zip(terms.i.tolist(), terms.j.tolist(), terms.value.tolist(), strict=True)
    lines += [f"{i} {j} {_plain(v)}" for i, j, v in triples]
    write_lines(path, lines)


def _announced(lines: Lines, name: str) -> int | None:
    """A number of things, if a comment tells it."""
    text = lines.remark(name)
    if text is None:
        return None
    n = lines.remarked_number(name, 0.0)
    if not 0 <= n <= lines.most or n != int(n):
        raise FileError(f"{lines.path}: the comment {name}=... must be in [0, {lines.most}], got {text!r}")
    return int(n)


def _check_whole(lines: Lines, n: int | None) -> None:
    """Refuse a file that was cut, as far as it tells, and one that says nothing."""
    entries = _announced(lines, "entries")
    if entries is None and not lines.left:
        found = "none" if n is None else f"none for {n} variables"
        raise FileError(f"{lines.path} must hold lines i j value, got {found}; is it whole?")
    if entries is not None and (lines.left != entries or not lines.ended):
        told = f"{entries} lines i j value as its comment says, the last one ended"
        raise FileError(f"{lines.path} must hold {told}, got {lines.left}; is it whole?")


def _warn_of_lost(lines: Lines) -> None:
    """Tell of biases of which six decimals left nothing."""
    lost = sum(LOST.fullmatch(line) is not None for line in lines.rest)
    if lost:
        warnings.warn(
            f"{lines.path}: {lost} of {lines.left} biases are 0.000000, as dimod's coo.dump writes one below"
            " 5e-7; save the model by its to_file as .bqm to keep all digits",
            stacklevel=4,
        )


def _plain(value: float) -> str:
    """All digits of a number, without an exponent."""
    text = repr(value)
    return np.format_float_positional(value, trim="0") if "e" in text else text
