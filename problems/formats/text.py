"""Text formats: lines with their numbers, tables of numbers read at once, and errors that name the line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..arrays import Floats
from ..instances.npz import FileError, content, replacing
from .terms import Indices

__all__ = ["MOST_VARIABLES", "Lines", "write_lines"]

MOST_VARIABLES = 1_000_000
"""More than this, or than bytes in the file, no file may announce: a few bytes could ask for all memory."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Lines:
    """The lines of a text file that say something, taken one after the other.

    Parameters:
        path: the file.
        marks: characters that each begin a comment, which ends with its line.
        bare: pattern of how a line begins that is a comment as a whole, "" for none.

    Attributes:
        comments: what follows the marks.
        ended: whether the last line has its end.

    Raises:
        MissingDataError: there is no such file.
        FileError: it cannot be read, or is no text.
    """

    def __init__(self, path: str | Path, *, marks: str = "#", bare: str = "") -> None:
        self.path = path
        data = content(path)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise FileError(f"{path} must be a text file, got bytes that are none") from None
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        self.ended = text.endswith("\n")
        if bare:
            text = re.sub(rf"(?m){bare}[^\n]*", "", text)
        self.comments = re.findall(rf"[{marks}]([^\n]*)", text)
        parts = [line.strip() for line in re.sub(rf"[{marks}][^\n]*", "", text).split("\n")]
        self._numbers = [number for number, line in enumerate(parts, 1) if line]
        self._lines = [line for line in parts if line]
        self.most = max(MOST_VARIABLES, len(data))
        self._at = 0

    @property
    def left(self) -> int:
        """How many lines are not taken yet."""
        return len(self._lines) - self._at

    @property
    def rest(self) -> list[str]:
        """The lines that are not taken yet."""
        return self._lines[self._at :]

    @property
    def line(self) -> int:
        """The number of the line that was taken last."""
        return self._numbers[self._at - 1]

    def error(self, message: str, *, back: int = 0) -> FileError:
        """What is wrong with the line that is next, or with one `back` lines before it."""
        at = self._at - back
        where = f"line {self._numbers[at]}" if at < len(self._numbers) else "end of file"
        return FileError(f"{self.path}, {where}: {message}")

    def word(self, name: str) -> str:
        """The next line as a text."""
        if not self.left:
            raise self.error(f"{name} must follow, got nothing")
        self._at += 1
        return self._lines[self._at - 1]

    def width(self) -> int:
        """How many words the next line has."""
        return len(self._lines[self._at].split()) if self.left else 0

    def number(self, name: str) -> float:
        """The next line as a finite number."""
        text = self.word(name)
        value = float(text) if NUMBER.fullmatch(text) else np.nan
        if not np.isfinite(value):
            raise self.error(f"{name} must be a finite number, got {_short(text)}", back=1)
        return value

    def count(self, name: str) -> int:
        """The next line as a number of things; at most `MOST_VARIABLES`, or as many as the file has bytes."""
        return self.counts(name)[0]

    def counts(self, *names: str) -> list[int]:
        """The next line as several such numbers."""
        text = self.word(" and ".join(names))
        parts = text.split()
        if len(parts) != len(names) or not all(re.fullmatch(r"\d{1,18}", part, re.ASCII) for part in parts):
            raise self.error(f"{' and '.join(names)} must be whole, got {_short(text)}", back=1)
        values = [int(part) for part in parts]
        if max(values) > self.most:
            raise self.error(f"{' and '.join(names)} must be at most {self.most}, got {max(values)}", back=1)
        return values

    def table(self, rows: int, form: str) -> Floats:
        """The next lines as finite numbers (rows, columns); `form` says what stands in them: "i j value"."""
        columns = len(form.split())
        if rows > self.left:
            raise self.error(f"{rows} lines with {form} must follow, got {self.left}")
        if not rows:
            return np.zeros((0, columns))
        lines = self._lines[self._at : self._at + rows]
        try:
            table = np.loadtxt(lines, ndmin=2, comments=None)
        except ValueError:
            raise self._odd(lines, form) from None
        if table.shape[1] != columns:
            raise self._odd(lines, form)
        self._at += rows
        self._all(np.all(np.isfinite(table), axis=1), f"{form} must be finite numbers", rows=rows)
        return np.asarray(table, dtype=np.float64)

    def indices(self, column: Floats, *, low: int, high: int | None = None) -> Indices:
        """A column of the table that was read last as indices from `low`, counted from 0."""
        top = self.most if high is None else high
        whole = (column == np.floor(column)) & (column >= low) & (column <= top)
        self._all(whole, f"variables must be integers in [{low}, {top}]", rows=len(column))
        return column.astype(np.int64) - low

    def end(self) -> None:
        """Refuse lines that are not taken."""
        if self.left:
            raise self.error(f"the file must end here, got {_short(self._lines[self._at])}")

    def remark(self, name: str) -> str | None:
        """What a comment says behind `name=` or `name:`, wherever that stands in it; the last one counts."""
        said = [re.search(rf"\b{name}\s*[=:]\s*([-+\w.]+)", comment) for comment in self.comments]
        values = [match[1] for match in said if match]
        return values[-1] if values else None

    def remarked_number(self, name: str, default: float) -> float:
        """A comment `name=...` as a finite number."""
        text = self.remark(name)
        if text is None:
            return default
        value = float(text) if NUMBER.fullmatch(text) else np.nan
        if not np.isfinite(value):
            raise FileError(
                f"{self.path}: the comment {name}=... must be a finite number, got {_short(text)}"
            )
        return value

    def _odd(self, lines: list[str], form: str) -> FileError:
        """The first line that has another form; one by one, as this is only for the message."""
        for line in lines:
            parts = line.split()
            if len(parts) != len(form.split()) or not all(map(NUMBER.fullmatch, parts)):
                break
            self._at += 1
        return self.error(f"the line must be {form}, got {_short(line)}")

    def _all(self, good: npt.NDArray[np.bool_], rule: str, *, rows: int) -> None:
        """Refuse the first of the last `rows` lines that is not good."""
        if not good.all():
            back = rows - int(np.argmin(good))
            raise self.error(f"{rule}, got {_short(self._lines[self._at - back])}", back=back)


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Write lines of text; a reader sees the old file or the whole new one. Raises as `replacing` does."""
    with replacing(path) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def _short(text: str) -> str:
    """The beginning of a line, printable."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
