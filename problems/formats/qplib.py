"""QPLIB text: quadratic objective over binary variables, with no constraint or a capacity.

The objective is ½xᵀHx + bᵀx + q with H symmetric; the file has the lower triangle of H, counted from 1. So
an entry below the diagonal is the coefficient of its product, and one on it is twice that of its square. Read
are the types ?BN and ?BB (no constraint) and ?BL (at most one), ? being Q, C, D or L, which has no H.
Starting points and names are no part of an instance and are skipped.

References:
    Furini et al. 2019, QPLIB: a library of quadratic programming instances.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..arrays import Floats
from ..errors import InputError
from ..instances.capacity import Capacity
from ..instances.qubo import Qubo
from .terms import Row, Terms, sums
from .text import Lines, write_lines

__all__ = ["read", "write"]

INFINITY = 1e300


def read(path: str | Path) -> Qubo | Capacity:
    """Read a Qubo (types ?BN, ?BB) or a Capacity (type ?BL); a maximum becomes a minimum."""
    lines = Lines(path, marks="#%!")
    lines.word("the problem's name")
    constrained, linear = _type(lines)
    sign = _sense(lines)
    n = lines.count("number of variables")
    rows = lines.count("number of constraints") if constrained else 0
    if rows > 1:
        raise lines.error(f"there must be at most one constraint, the capacity, got {rows}", back=1)
    terms = _objective(lines, n, linear=linear).scaled(sign)
    row = _row(lines, n, rows) if constrained else None
    if not constrained:
        lines.number("the value for infinity")
    _tail(lines, n, rows, constrained=constrained)
    return terms.qubo() if row is None else terms.under(row)


def _type(lines: Lines) -> tuple[bool, bool]:
    """Whether the problem type has constraints, and whether its objective is linear."""
    kind = lines.word("the problem's type").upper()
    if len(kind) != 3 or kind[0] not in "QCDL" or kind[1] != "B" or kind[2] not in "NBL":
        message = "the type must be QBN, QBB or QBL (quadratic, binary, at most linear constraints)"
        raise lines.error(f"{message}, got {kind[:20]!r}", back=1)
    return kind[2] == "L", kind[0] == "L"


def _sense(lines: Lines) -> float:
    sense = lines.word("minimize or maximize").lower()
    if sense not in ("minimize", "maximize"):
        raise lines.error(f"the sense must be minimize or maximize, got {sense[:20]!r}", back=1)
    return 1.0 if sense == "minimize" else -1.0


def _objective(lines: Lines, n: int, *, linear: bool) -> Terms:
    """The terms; a linear objective has no quadratic ones, nor their number."""
    entries = 0 if linear else lines.count("number of quadratic terms")
    table = lines.table(entries, "i j value")
    i, j = (lines.indices(table[:, column], low=1, high=n) for column in (0, 1))
    value = np.where(i == j, table[:, 2] / 2, table[:, 2])
    bias = _defaulted(lines, n, "linear term")
    return Terms(bias, i, j, value, lines.number("the objective's constant"))


def _defaulted(lines: Lines, n: int, name: str) -> Floats:
    """A vector (n,) told as a default and the entries that differ from it."""
    values = np.full(n, lines.number(f"the default {name}"))
    table = lines.table(lines.count(f"number of {name}s that are no default"), "i value")
    values[lines.indices(table[:, 0], low=1, high=n)] = table[:, 1]
    return values


def _row(lines: Lines, n: int, rows: int) -> Row | None:
    """The constraint, if there is one."""
    table = lines.table(lines.count("number of linear terms in constraints"), "row i value")
    lines.indices(table[:, 0], low=1, high=rows)
    costs = sums(lines.indices(table[:, 1], low=1, high=n), table[:, 2], n)
    infinity = lines.number("the value for infinity")
    low, high = _defaulted(lines, rows, "left-hand side"), _defaulted(lines, rows, "right-hand side")
    if not rows:
        return None
    bounds = [
        float(np.copysign(np.inf, end[0]) if abs(end[0]) >= infinity else end[0]) for end in (low, high)
    ]
    return Row(costs, *bounds)


def _tail(lines: Lines, n: int, rows: int, *, constrained: bool) -> None:
    """Starting point, multipliers and names, which change nothing."""
    _defaulted(lines, n, "starting value")
    if constrained:
        _defaulted(lines, rows, "starting multiplier")
    _defaulted(lines, n, "starting bound multiplier")
    for kind in ("variable", "constraint"):
        for _ in range(lines.count(f"number of {kind} names")):
            lines.word(f"a {kind}'s index and name")
    lines.end()


def write(path: str | Path, instance: Qubo | Capacity) -> None:
    """Write type QBN for a Qubo and QBL for a Capacity."""
    terms = Terms.of(instance)
    constrained = instance.K is not None
    lines = ["qubopress", "QBL" if constrained else "QBN", "minimize", f"{terms.n} # variables"]
    if constrained:
        lines.append("1 # constraint")
    lines.append(f"{len(terms.value)} # quadratic terms")
    # Below the diagonal: the larger index comes first.
    triples = zip(terms.j.tolist(), terms.i.tolist(), terms.value.tolist(), strict=True)
    lines += [f"{j + 1} {i + 1} {value!r}" for j, i, value in triples]
    lines += ["0.0 # default linear term", *_entries(terms.linear), f"{terms.offset!r} # constant"]
    lines += _capacity_lines(instance, instance.K) if instance.K is not None else [f"{INFINITY!r} # infinity"]
    starts = ["starting value", "starting multiplier", "starting bound multiplier"]
    for name in starts if constrained else starts[::2]:
        lines += [f"0.0 # default {name}", "0 # others"]
    write_lines(path, [*lines, "0 # variable names", "0 # constraint names"])


def _entries(values: Floats) -> list[str]:
    """The number of entries other than 0, then a line each."""
    own = np.flatnonzero(values)
    pairs = zip(own.tolist(), values[own].tolist(), strict=True)
    return [f"{len(own)} # others", *(f"{i + 1} {value!r}" for i, value in pairs)]


def _capacity_lines(capacity: Qubo | Capacity, K: float) -> list[str]:
    if K >= INFINITY:
        raise InputError(f"K must be below {INFINITY:g} in a .qplib file, got {K:g}; save it as .npz")
    lines = [f"{capacity.n} # linear terms in constraints"]
    lines += [f"1 {i} {cost!r}" for i, cost in enumerate(capacity.costs.tolist(), 1)]
    low = K if capacity.exact else -INFINITY
    lines += [f"{INFINITY!r} # infinity", f"{low!r} # left-hand side", "0 # others"]
    return [*lines, f"{K!r} # right-hand side", "0 # others"]
