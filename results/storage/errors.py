"""What is raised where a store is not what it must be."""

from __future__ import annotations

__all__ = ["StoreError"]


class StoreError(ValueError):
    """The store cannot be read or written as asked. The message is one line and names the cure."""
