"""Errors that the caller can mend: the message says what must hold, what was got and the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["InputError", "MissingDataError", "one_line", "unknown_name"]


class InputError(ValueError):
    """The caller's input breaks a rule. The message is one line and names the cure."""


class MissingDataError(InputError):
    """A data set or a file is not on this machine. The message says how to get it."""


def unknown_name(kind: str, name: str, known: Iterable[str], *, cure: str = "") -> InputError:
    """The error for a name that no registry holds; it offers the closest that one does, else the `cure`."""
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    without = cure or f"choose from {', '.join(names)}"
    return InputError(f"no {kind} named {name!r}; {f'did you mean {close[0]!r}?' if close else without}")


def one_line(error: BaseException, *, named: bool | None = None, most: int | None = 500) -> str:
    """What went wrong, in one line of at most so many characters; None for as many as it takes.

    The error's type comes first where `named`: unless told, for all but an InputError, whose message says
    enough. An error without a message is its type.
    """
    kind, message = type(error).__name__, " ".join(str(error).split())
    shown = not isinstance(error, InputError) if named is None else named
    return (f"{kind}: {message}" if shown and message else message or kind)[:most]
