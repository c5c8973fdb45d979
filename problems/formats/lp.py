r"""CPLEX LP text: a quadratic objective over binary variables, with no constraint or one capacity row.

Read is what tells our instances as dimod, HiGHS, Gurobi, CPLEX, docplex, SCIP, COPT, Xpress, ZIMPL, Pyomo
and OR-Tools write it: `[ ... ] / 2` for the quadratic terms, one row with a number on one side, bounds that
say no more than Binaries does, and every variable under Binaries, or under General with the bounds 0 and 1,
in whose order the instance has them. A constant stands alone or with a variable that is fixed,
`Constant = 1`, by Pyomo in a row of its own too. We write `Constant = 1`, which all readers of quadratic
objectives among them take as the same one. Comments begin with a backslash. Not read by dimod.lp, which
skips what it does not know and names no line.

References:
    IBM, ILOG CPLEX file formats, LP file format: algebraic representation.
"""

from __future__ import annotations

import re
from functools import partial
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
    "integers": "general generals gen int integer integers",
    "others": "semi semis semi-continuous sos sos1 sos2",
    "end": "end",
}
"""Words that head a section, blanks as underlines."""

SECTION = {word: section for section, words in HEADINGS.items() for word in words.split()}

CONSTANT = "Constant"
"""Name of the variable, always 1, that our constants stand with."""

# No pattern may begin with blanks: a long run of them would be tried at each of its places.
NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
NAME = r"[A-Za-z_!\"#$%&(),;?@'`{}~][\w.!\"#$%&(),;?@'`{}~]*(?:\[[\w.,'\"]+\])*"

LABEL = re.compile(rf"\s*{NAME}\s*:", re.ASCII)
LINEAR = re.compile(rf"(?:([+-])\s*)?(?:({NUMBER})\s*({NAME})?|({NAME}))|(\S)", re.ASCII)
QUADRATIC = re.compile(
    rf"(?:([+-])\s*)?(?:({NUMBER})\s*)?({NAME})\s*(?:\^\s*2(?![\d.])|\*\s*({NAME}))|(\S)", re.ASCII
)
BRACKET = re.compile(r"(?:([+-])\s*)?(?<![^\s+:-])\[(?P<inner>.*?)\]\s*/\s*2(?![\d.])", re.DOTALL)
BOUND = re.compile(rf"([<>]=?|=[<>]?)\s*([+-]?\s*{NUMBER})\s*", re.ASCII)
SENSE = re.compile(r"[<>=]+")
SIDE = re.compile(rf"\s*([+-]?\s*{NUMBER})\s*([<>]=?|=[<>]?)", re.ASCII)
FIXED = re.compile(rf"\s*({NAME})\s*=\s*([+-]?\s*{NUMBER})\s*", re.ASCII)
OWN_ROW = re.compile(rf"(?m)^{NAME}\s*:\s*\+?\s*1\s+({NAME})\s*=\s*([+-]?\s*{NUMBER})\s*$", re.ASCII)
LIMIT = re.compile(
    rf"(?:(?P<low>[+-]?\s*{NUMBER})\s*<=?\s*)?(?P<name>{NAME})(?:\s*(?P<sense>[<>]=?)\s*(?P<end>[+-]?\s*{NUMBER}))?",
    re.ASCII,
)
MIRROR = str.maketrans("<>", "><")


class Section:
    """The lines of one section as a text that remembers their numbers."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.lines: list[str] = []
        self.numbers: list[int] = []

    def add(self, line: str, number: int) -> None:
        """One more line."""
        self.lines.append(line)
        self.numbers.append(number)

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
    index = _variables(sections)
    constants = _constants(sections, index)
    terms = _objective(sections["objective"], index, constants).scaled(sign)
    row = _row(sections["rows"], index, constants)
    return terms.qubo() if row is None else terms.under(row)


def _sections(path: str | Path) -> tuple[dict[str, Section], float]:
    """The sections by name, and −1 for a maximum."""
    lines = Lines(path, marks=r"\\")
    sense, _, rest = lines.word("minimize or maximize").partition(" ")
    if SECTION.get(sense.lower()) != "objective":
        raise lines.error(f"the file must begin with minimize or maximize, got {sense[:40]!r}", back=1)
    sections = {name: Section(path) for name in HEADINGS}
    sections["objective"].add(rest, lines.line)
    current = "objective"
    while lines.left and current != "end":
        line = lines.word("a line")
        heading = SECTION.get("_".join(line.lower().split()), "")
        if heading == "objective" or (current == "others" and not heading):
            raise lines.error(f"the file must have one objective and binary variables, got {line!r}", back=1)
        if heading:
            current = heading
        else:
            sections[current].add(line, lines.line)
    if current != "end":
        raise lines.error("the file must end with End; is it whole?")
    lines.end()
    return sections, 1.0 if sense.lower().startswith("min") else -1.0


def _variables(sections: dict[str, Section]) -> dict[str, int]:
    """The position of every variable."""
    parts = [sections[name] for name in ("binaries", "integers")]
    parts.sort(key=lambda section: section.numbers[:1])
    names = [name for section in parts for name in section.text.split()]
    index = {name: at for at, name in enumerate(names)}
    if not names or len(index) < len(names):
        raise sections["binaries"].error("", 0, "every variable must be listed once under Binaries")
    return index


def _constants(sections: dict[str, Section], index: dict[str, int]) -> dict[str, float]:
    """Values of the variables that are fixed and no bits; their lines are taken out.

    COPT has them where its rows stand, with no heading at all where there are none.
    """
    found: dict[str, float] = {}
    for name in ("objective", "rows", "bounds"):
        section = sections[name]
        for at, line in enumerate(section.lines):
            variable, value = _fixed(line)
            if variable and variable not in index:
                found[variable] = value
                section.lines[at] = ""
    sections["rows"].lines = OWN_ROW.sub(partial(_without, found), sections["rows"].text).split("\n")
    _check_integers(sections["integers"], _check_bounds(sections["bounds"], index))
    return found


def _fixed(line: str) -> tuple[str, float]:
    """Name and value if a line is like `Constant = 1` or `1 <= Constant <= 1`; else no name."""
    if match := FIXED.fullmatch(line):
        return match[1], _value(match[2])
    match = LIMIT.fullmatch(line)
    if match and match["low"] and (match["sense"] or "").startswith("<"):
        low, end = _value(match["low"]), _value(match["end"])
        return (match["name"], low) if low == end else ("", 0.0)
    return "", 0.0


def _without(constants: dict[str, float], row: re.Match[str]) -> str:
    """Nothing in place of a row that says again what a constant is."""
    again = constants.get(row[1]) == _value(row[2])
    return _blank(row[0]) if again else row[0]


def _value(text: str) -> float:
    """A number between whose sign and digits there may be blanks."""
    return float("".join(text.split()))


def _check_bounds(section: Section, index: dict[str, int]) -> set[str]:
    """Refuse bounds that say more than that a variable is 0 or 1; those that are said to be at most 1."""
    bounded = set()
    for at, line in enumerate(section.lines):
        match = LIMIT.fullmatch(line.strip())
        if line.strip() and not (match and match["name"] in index and _redundant(match)):
            place = sum(len(one) + 1 for one in section.lines[:at])
            rule = "binary variables must have no bounds of their own, and others be fixed"
            raise section.error(section.text, place, rule)
        if match and match["sense"] and match["sense"].startswith("<"):
            bounded.add(match["name"])
    return bounded


def _check_integers(section: Section, bounded: set[str]) -> None:
    """Refuse an integer variable that may be more than 1."""
    for word in re.finditer(r"\S+", section.text):
        if word[0] not in bounded:
            rule = "an integer variable must have the bounds 0 and 1, or stand under Binaries"
            raise section.error(section.text, word.start(), rule)


def _redundant(match: re.Match[str]) -> bool:
    """Whether a line says of 0 ≤ x ≤ 1 a half or both, and nothing else."""
    low, end = (_value(match[name]) if match[name] else None for name in ("low", "end"))
    if end is None or not match["sense"].startswith(">"):
        return (low, end) in ((0, None), (None, 1), (0, 1))
    return (low, end) == (None, 0)


def _objective(section: Section, index: dict[str, int], constants: dict[str, float]) -> Terms:
    text = _unlabelled(section.text)
    i, j, value = list[Indices](), list[Indices](), list[Floats]()
    while bracket := BRACKET.search(text):
        if not bracket[1] and text[: bracket.start()].strip():
            raise section.error(text, bracket.start(), "a bracket must have a sign before it and no factor")
        inner = _blank(text[: bracket.start("inner")]) + bracket["inner"]
        first, second, products = _quadratic(section, inner, index)
        i, j = [*i, first], [*j, second]
        value.append((-1.0 if bracket[1] == "-" else 1.0) * products / 2)
        text = text[: bracket.start()] + _blank(bracket[0]) + " " + text[bracket.end() :]
    linear, offset = _linear(section, text, index, constants)
    none = np.zeros(0, dtype=np.int64)
    return Terms(
        linear,
        np.concatenate([none, *i]),
        np.concatenate([none, *j]),
        np.concatenate([np.zeros(0), *value]),
        offset,
    )


def _row(section: Section, index: dict[str, int], constants: dict[str, float]) -> Row | None:
    text = _unlabelled(section.text)
    if not text.strip():
        return None
    senses = list(SENSE.finditer(text))
    if len(senses) > 1:
        rule = "there must be at most one constraint, the capacity, with one sign"
        raise section.error(text, senses[1].start(), rule)
    at = senses[0].start() if senses else len(text)
    side, bound = SIDE.match(text), BOUND.fullmatch(text, at)
    if side is not None:
        lost = side.end()
        costs, constant = _linear(section, _blank(text[:lost]) + text[lost:], index, constants)
        number, sense = side[1], side[2].translate(MIRROR)
    elif bound is not None:
        costs, constant = _linear(section, text[:at], index, constants)
        number, sense = bound[2], bound[1]
    else:
        raise section.error(text, at, "the constraint must have <=, = or >= and a number on one side")
    K = _value(number) - constant
    return Row(costs, -np.inf if "<" in sense else K, np.inf if ">" in sense else K)


def _linear(
    section: Section, text: str, index: dict[str, int], constants: dict[str, float]
) -> tuple[Floats, float]:
    """Coefficients (n,) and the constant of a sum."""
    parts = _parts(LINEAR, section, text)
    names = [with_number or alone for _, _, with_number, alone, _ in parts]
    values = np.array([float(f"{sign}{number or 1}") for sign, number, _, _, _ in parts])
    # What stands with a fixed variable is a constant of so many of it.
    values *= np.array([constants.get(name, 1.0) for name in names])
    free = ["" if name in constants else name for name in names]
    at = _positions(section, text, free, index)
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
    """Write variables x0 … x(n−1), and where there is a constant one more that is fixed to 1.

    Raises:
        InputError: the instance has no variables.
    """
    terms = Terms.of(instance)
    if not terms.n:
        raise InputError("an .lp file must have at least one variable, got none; save it as .npz")
    names = [f"x{i}" for i in range(terms.n)]
    # All are named, in order: other readers take the order from the objective.
    objective = [f"{value:+} {name}" for name, value in zip(names, terms.linear.tolist(), strict=True)]
    triples = zip(terms.i.tolist(), terms.j.tolist(), (2 * terms.value).tolist(), strict=True)
    pairs = [f"{value:+} x{i} * x{j}" for i, j, value in triples]
    quadratic = ["+ [", *pairs, "] / 2"] if pairs else []
    constant = [f"{terms.offset:+} {CONSTANT}"] if terms.offset else []
    fixed = ["Bounds", f"{CONSTANT} = 1"] if terms.offset else []
    rows = _rows(instance)
    parts = [["Minimize", "objective:"], objective, constant, quadratic, ["Subject To"], rows, fixed]
    write_lines(path, chain(*parts, ["Binaries"], names, ["End"]))


def _rows(capacity: Qubo | Capacity) -> list[str]:
    if capacity.K is None:
        return []
    costs = [f"{cost:+} x{i}" for i, cost in enumerate(capacity.costs.tolist())]
    return ["capacity:", *costs, f"{'=' if capacity.exact else '<='} {capacity.K!r}"]
