"""The docstrings of `results` underline their headings; griffe is given them in the other style."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import griffe

__all__ = ["OneStyle", "rewritten"]

ITEM = re.compile(r"^(\w+(?:, \w+)*)(?: : (.*))?$")


class OneStyle(griffe.Extension):
    """Rewrite each docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object, if it has one."""
        if obj.docstring:
            obj.docstring.value = rewritten(obj.docstring.value)


def rewritten(text: str) -> str:
    """The docstring with parameters as `name: meaning` below `Parameters:`, and what it returns as prose."""
    text = re.sub(r"^Returns\n-------$", "**Returns:**\n", text, flags=re.MULTILINE)
    before, underlined, after = text.partition("Parameters\n----------\n")
    return "\n".join([before, "Parameters:", *_items(after.split("\n"))]) if underlined else text


def _items(lines: list[str]) -> Iterator[str]:
    """Parameters, indented, and after the last of them the rest of the docstring as it is."""
    for at, line in enumerate(lines):
        item = ITEM.match(line)
        if item:
            yield f"    {item[1]}: {item[2] or ''}".rstrip()
        elif not line or line.startswith(" "):
            yield f"    {line}".rstrip()
        else:
            yield from lines[at:]
            return
