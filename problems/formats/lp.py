r"""CPLEX LP text: a quadratic objective over binary variables, with no constraint or one capacity row.

Read is the part of the format that tells our instances: headings on lines of their own, `[ ... ] / 2` for the
quadratic terms, one row whose right-hand side is a number, no bounds, and every variable under Binaries,
whose order is that of the instance. Comments begin with a backslash. Not read by dimod.lp, which skips what
it does not know and names no line.

References:
    IBM, ILOG CPLEX file formats, LP file format: algebraic representation.
"""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import numpy as np

from ..arrays import Floats
from ..errors import InputError
from ..instances.capacity import Capacity
from ..instances.npz import FileError
from ..instances.qubo import Qubo
from .terms import Indices, Row, Terms, sums
from .text import Lines, write_lines

__all__ = ["read", "write"]

HEADINGS = {
    "objective": "minimize minimise minimum min maximize maximise maximum max",
    "rows": "st s.t. st. subject_to such_that",
    "bounds": "bounds bound",
    "binaries": "binary binaries bin",
    "end": "end",
}
"""Words that head a section, blanks as underlines."""

SECTION = {word: section for section, words in HEADINGS.items() for word in words.split()}
OTHERS = re.compile(r"gen|generals?|int|integers?|semi-continuous|semis?|sos[12]?")

# No pattern may begin with blanks: a long run of them would be tried at each of its places.
NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
NAME = r"[A-Za-z_!\"#$%&(),;?@'`{}~][\w.!\"#$%&(),;?@'`{}~]*(?:\[\d+(?:,\d+)*\])?"

LABEL = re.compile(rf"\s*{NAME}\s*:", re.ASCII)
LINEAR = re.compile(rf"(?:([+-])\s*)?(?:({NUMBER})\s*({NAME})?|({NAME}))|(\S)", re.ASCII)
QUADRATIC = re.compile(
    rf"(?:([+-])\s*)?(?:({NUMBER})\s*)?({NAME})\s*(?:\^\s*2(?![\d.])|\*\s*({NAME}))|(\S)", re.ASCII
)
BRACKET = re.compile(r"(?:([+-])\s*)?(?<![^\s+:-])\[(?P<inner>.*?)\]\s*/\s*2(?![\d.])", re.DOTALL)
BOUND = re.compile(rf"([<>]=?|=[<>]?)\s*([+-]?\s*{NUMBER})\s*", re.ASCII)
SENSE = re.compile(r"[<>=]+")


class Section:
    """The lines of one section as a text that remembers their numbers."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.lines: list[str] = []
        self.numbers: list[int] = []

    @property
    def text(self) -> str:
        """The lines in one."""
        return "\n".join(self.lines)

    def error(self, text: str, at: int, rule: str) -> FileError:
        """What is wrong at a place of the text."""
        line = text.count("\n", 0, at)
        where = f"line {self.numbers[line]}" if self.numbers else "end of file"
        return FileError(f"{self.path}, {where}: {rule}, got {self.lines[line][:60] if self.lines else ''!r}")


def read(path: str | Path) -> Qubo | Capacity:
    """Read a Qubo, or a Capacity where there is a row; a maximum becomes a minimum."""
    sections, sign = _sections(path)
    index = _variables(sections["binaries"])
    terms = _objective(sections["objective"], index).scaled(sign)
    row = _row(sections["rows"], index)
    return terms.qubo() if row is None else terms.under(row)


def _sections(path: str | Path) -> tuple[dict[str, Section], float]:
    """The sections by name, and −1 for a maximum."""
    lines = Lines(path, marks=r"\\")
    sense = lines.word("minimize or maximize").lower()
    if SECTION.get(sense) != "objective":
        raise lines.error(f"the file must begin with minimize or maximize, got {sense[:40]!r}", back=1)
    sections = {name: Section(path) for name in HEADINGS}
    current = "objective"
    while lines.left and current != "end":
        line = lines.word("a line")
        heading = "_".join(line.lower().split())
        if OTHERS.fullmatch(heading) or SECTION.get(heading) == "objective":
            raise lines.error(f"the file must have one objective and binary variables, got {line!r}", back=1)
        if heading in SECTION:
            current = SECTION[heading]
        elif current == "bounds":
            raise lines.error(f"binary variables must have no bounds of their own, got {line[:40]!r}", back=1)
        else:
            sections[current].lines.append(line)
            sections[current].numbers.append(lines.line)
    if current != "end":
        raise lines.error("the file must end with End; is it whole?")
    lines.end()
    return sections, 1.0 if sense.startswith("min") else -1.0


def _variables(section: Section) -> dict[str, int]:
    """The position of every variable."""
    text = section.text
    names = text.split()
    index = {name: at for at, name in enumerate(names)}
    if not names or len(index) < len(names):
        raise section.error(text, 0, "every variable must be listed once under Binaries")
    return index


def _objective(section: Section, index: dict[str, int]) -> Terms:
    text = _unlabelled(section.text)
    inner, sign = "", 1.0
    if bracket := BRACKET.search(text):
        sign = -1.0 if bracket[1] == "-" else 1.0
        inner = _blank(text[: bracket.start("inner")]) + bracket["inner"]
        text = text[: bracket.start()] + _blank(bracket[0]) + text[bracket.end() :]
    linear, offset = _linear(section, text, index)
    i, j, value = _quadratic(section, inner, index)
    return Terms(linear, i, j, sign * value / 2, offset)


def _row(section: Section, index: dict[str, int]) -> Row | None:
    text = _unlabelled(section.text)
    if not text.strip():
        return None
    senses = list(SENSE.finditer(text))
    if len(senses) > 1:
        rule = "there must be at most one constraint, the capacity, with one sign"
        raise section.error(text, senses[1].start(), rule)
    at = senses[0].start() if senses else len(text)
    bound = BOUND.fullmatch(text, at)
    if bound is None:
        raise section.error(text, at, "the constraint must end in <=, = or >= and a number")
    costs, constant = _linear(section, text[:at], index)
    K = float("".join(bound[2].split())) - constant
    return Row(costs, -np.inf if "<" in bound[1] else K, np.inf if ">" in bound[1] else K)


def _linear(section: Section, text: str, index: dict[str, int]) -> tuple[Floats, float]:
    """Coefficients (n,) and the constant of a sum."""
    parts = _parts(LINEAR, section, text)
    names = [with_number or alone for _, _, with_number, alone, _ in parts]
    values = np.array([float(f"{sign}{number or 1}") for sign, number, _, _, _ in parts])
    at = _positions(section, text, names, index)
    named = at >= 0
    return sums(at[named], values[named], len(index)), float(values[~named].sum())


def _quadratic(section: Section, text: str, index: dict[str, int]) -> tuple[Indices, Indices, Floats]:
    """Variables and coefficients of products and squares."""
    parts = _parts(QUADRATIC, section, text)
    i = _positions(section, text, [first for _, _, first, _, _ in parts], index)
    j = _positions(section, text, [second or first for _, _, first, second, _ in parts], index)
    return i, j, np.array([float(f"{sign}{number or 1}") for sign, number, _, _, _ in parts])


def _parts(pattern: re.Pattern[str], section: Section, text: str) -> list[tuple[str, ...]]:
    """The terms of a sum, all but the first with a sign; the last group of a match is what is none."""
    parts: list[tuple[str, ...]] = pattern.findall(text)
    if any(part[-1] for part in parts) or not all(part[0] for part in parts[1:]):
        wrong = (m for at, m in enumerate(pattern.finditer(text)) if m[m.re.groups] or (at and not m[1]))
        raise section.error(
            text, next(wrong).start(), "terms must be like + 2.5 x1, in brackets + 2.5 x1 * x2"
        )
    return parts


def _positions(section: Section, text: str, names: list[str], index: dict[str, int]) -> Indices:
    """Where the variables stand; −1 for no name."""
    try:
        return np.array([index[name] if name else -1 for name in names], dtype=np.int64)
    except KeyError as error:
        name = str(error.args[0])
        at = max(text.find(name), 0)
        raise section.error(text, at, f"variable {name[:40]!r} must be listed under Binaries") from None


def _unlabelled(text: str) -> str:
    """A text whose label, if it begins with one, is blank."""
    label = LABEL.match(text)
    return _blank(label[0]) + text[label.end() :] if label else text


def _blank(text: str) -> str:
    """As many lines without a text, so that what follows keeps its line."""
    return "\n" * text.count("\n")


def write(path: str | Path, instance: Qubo | Capacity) -> None:
    """Write variables x0 … x(n−1). Raises InputError for an instance without variables."""
    terms = Terms.of(instance)
    if not terms.n:
        raise InputError("an .lp file must have at least one variable, got none; save it as .npz")
    names = [f"x{i}" for i in range(terms.n)]
    # All are named, in order: other readers take the order from the objective.
    objective = [f"{value:+} {name}" for name, value in zip(names, terms.linear.tolist(), strict=True)]
    triples = zip(terms.i.tolist(), terms.j.tolist(), (2 * terms.value).tolist(), strict=True)
    pairs = [f"{value:+} x{i} * x{j}" for i, j, value in triples]
    quadratic = ["+ [", *pairs, "] / 2"] if pairs else []
    constant = [f"{terms.offset:+}"] if terms.offset else []
    rows = _rows(instance)
    parts = [["Minimize", "objective:"], objective, quadratic, constant, ["Subject To"], rows]
    write_lines(path, chain(*parts, ["Binaries"], names, ["End"]))


def _rows(capacity: Qubo | Capacity) -> list[str]:
    if capacity.K is None:
        return []
    costs = [f"{cost:+} x{i}" for i, cost in enumerate(capacity.costs.tolist())]
    return ["capacity:", *costs, f"{'=' if capacity.exact else '<='} {capacity.K!r}"]
