"""Tables in Markdown, of cells that are Markdown already."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["markdown_row", "markdown_table"]


def markdown_table(lines: Iterable[Iterable[str]]) -> str:
    """A table of its head, its rule ("---" or "---:" a column) and its rows."""
    return "\n".join(map(markdown_row, lines))


def markdown_row(cells: Iterable[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"
