"""Errors that the caller can mend: the message says what must hold, what was got and the cure."""

from __future__ import annotations

__all__ = ["InputError", "MissingDataError"]


class InputError(ValueError):
    """The caller's input breaks a rule. The message is one line and names the cure."""


class MissingDataError(InputError):
    """A data set or a file is not on this machine. The message says how to get it."""
