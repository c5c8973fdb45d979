"""Solutions as text: a value a line, or all bits in a row, in the order of the instance's variables.

`#` begins a comment. A comment `# loss=value` is what whoever wrote it says that the bits cost; it is
compared with what they do cost. Blanks and line ends may stand anywhere between values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..arrays import Bits
from ..errors import InputError, MissingDataError
from ..instances.instance import Instance

__all__ = ["Claimed", "most_bytes", "parse_bits", "read_bits", "write_bits"]

CLAIM = re.compile(r"\bloss\s*[=:]\s*([-+.\w]+)")

MOST_DIGITS = 9


@dataclass(frozen=True)
class Claimed:
    """A point of an instance, and its loss in the words of whoever wrote it, None where none are there."""

    x: Bits
    loss: float | None


def most_bytes(instance: Instance) -> int:
    """What a solution of it may have at most, comments included."""
    return (1 << 16) + 16 * int(np.prod(instance.shape))


def read_bits(path: str | Path, instance: Instance) -> Claimed:
    """The solution in a file.

    Raises:
        MissingDataError: there is no such file.
        InputError: it is too large, no text, or holds no solution of the instance.
    """
    most = most_bytes(instance)
    try:
        with Path(path).open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise MissingDataError(f"cannot read solution {path}: {error.strerror}") from None
    if len(data) > most:
        raise InputError(f"a solution of {instance.n} variables must have at most {most} bytes, got more")
    return parse_bits(data, instance)


def parse_bits(data: bytes, instance: Instance) -> Claimed:
    """The solution in a text.

    Raises:
        InputError: it is no text, or holds no solution of the instance.
    """
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError("a solution must be a text of 0 and 1, got bytes that are none") from None
    parts = [line.partition("#") for line in lines]
    words = [word for said, _, _ in parts for word in said.split()]
    values = np.array(_values(words, int(np.prod(instance.shape))), dtype=np.int64)
    return Claimed(instance.bits(values.reshape(instance.shape)), _claim([comment for *_, comment in parts]))


def _values(words: list[str], n: int) -> list[int]:
    """As many values, a word each or a digit each."""
    for word in words:
        if not (word.isascii() and word.isdigit()):
            raise InputError(f"a solution must be a text of 0 and 1, got {word[:40]!r}")
    if len(words) == n and max(map(len, words), default=0) <= MOST_DIGITS:
        return [int(word) for word in words]
    digits = "".join(words)
    if len(digits) != n:
        raise InputError(f"a solution must have {n} values, got {len(digits)}")
    return [int(digit) for digit in digits]


def _claim(comments: list[str]) -> float | None:
    """The last claim in the comments."""
    found = [match[1] for match in map(CLAIM.search, comments) if match]
    if not found:
        return None
    try:
        return float(found[-1])
    except ValueError:
        raise InputError(f"a claim # loss=... must be a number, got {found[-1][:40]!r}") from None


def write_bits(path: str | Path, x: Bits, *, loss: float | None = None) -> None:
    """Write a point, a value a line, and its loss as a claim where it is given."""
    head = [] if loss is None else [f"# loss={loss!r}"]
    lines = [*head, *map(str, np.asarray(x).ravel().tolist())]
    Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
