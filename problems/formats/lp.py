r"""CPLEX LP text: quadratic objective, one capacity row, binary variables; read by dimod's parser.

Variables come in the order in which the file first names them, so we name all in order, those without a
linear term at 0. dimod tells no line of what it cannot parse, and skips what it does not know; hence the
sections are checked first. Comments begin with a backslash.

References:
    dimod.lp; CPLEX, LP file format: the quadratic part of an objective stands in [ ... ] / 2.
"""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import dimod

from ..capacity import Capacity
from ..errors import InputError
from ..files import FileError
from ..qubo import Qubo
from . import cqm
from .terms import Terms
from .text import Lines, write_lines

__all__ = ["read", "write"]

SENSES = ("minimize", "minimise", "minimum", "min", "maximize", "maximise", "maximum", "max")

SECTIONS = re.compile(
    r"(?P<known>subject to|such that|st|s\.t\.|st\.|bounds?|binary|binaries|bin|end)"
    r"|generals?|gen|integers?|int|semi-continuous|semis?|sos\d*|lazy constraints|user cuts|pwlobj",
    re.IGNORECASE,
)


def read(path: str | Path) -> Qubo | Capacity:
    """Read a Qubo, or a Capacity where there is a row; a maximum becomes a minimum."""
    _check_sections(Lines(path, marks=r"\\"))
    try:
        model = dimod.lp.load(str(path))
    except (ValueError, RuntimeError):
        raise FileError(f"{path} must be a CPLEX LP file, got text that dimod.lp cannot read") from None
    if not model.num_variables():
        raise FileError(f"{path} must have variables, got none")
    with model.to_file() as file:  # its arrays are read at once, its terms only one by one
        return cqm.parse(file.read(), path)


def _check_sections(lines: Lines) -> None:
    """Refuse what dimod would skip: text before the objective, bounds, a file that ends too early."""
    first = lines.word("minimize or maximize").split()[0].lower().rstrip(":")
    if first not in SENSES:
        raise lines.error(f"the file must begin with minimize or maximize, got {first[:20]!r}", back=1)
    section = first
    while lines.left:
        line = lines.word("a line")
        if section == "end":
            raise lines.error("nothing may follow End", back=1)
        if (heading := SECTIONS.fullmatch(line)) is None:
            if section.startswith("bound"):
                raise lines.error("binary variables must have no bounds of their own", back=1)
        elif heading["known"]:
            section = line.lower()
        else:
            raise lines.error(f"all variables must be listed under Binaries, got section {line}", back=1)
    if section != "end":
        raise lines.error("the file must end with End; is it whole?")


def write(path: str | Path, instance: Qubo | Capacity) -> None:
    """Write variables x0 … x(n−1). Raises InputError for an instance without variables."""
    terms = Terms.of(instance)
    if not terms.n:
        raise InputError("an .lp file must have at least one variable, got none; save it as .npz")
    names = [f"x{i}" for i in range(terms.n)]
    objective = [f"{value:+} {name}" for name, value in zip(names, terms.linear.tolist(), strict=True)]
    triples = zip(terms.i.tolist(), terms.j.tolist(), (2 * terms.value).tolist(), strict=True)
    # A bracket without terms is an error to some readers.
    pairs = [f"{value:+} x{i} * x{j}" for i, j, value in triples]
    quadratic = ["+ [", *pairs, "] / 2"] if pairs else []
    constant = [f"{terms.offset:+}"] if terms.offset else []
    rows = _rows(instance) if isinstance(instance, Capacity) else []
    parts = [["Minimize", "objective:"], objective, quadratic, constant, ["Subject To"], rows]
    write_lines(path, chain(*parts, ["Binaries"], names, ["End"]))


def _rows(capacity: Capacity) -> list[str]:
    costs = [f"{cost:+} x{i}" for i, cost in enumerate(capacity.costs.tolist())]
    return ["capacity:", *costs, f"{'=' if capacity.exact else '<='} {capacity.K!r}"]
