"""What is raised where a store is not what it must be."""

from __future__ import annotations

from textwrap import shorten

__all__ = ["StoreError"]

LONGEST = 600
"""Characters of a message; SQLite quotes whole statements."""


class StoreError(ValueError):
    """The store cannot be read or written as asked. The message is one line and names the cure."""

    def __init__(self, message: str) -> None:
        super().__init__(shorten(message, LONGEST, placeholder=" …"))
