"""An executable as a suite names it: its command, what it says of its version, its hash."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from .. import solvers
from ..problems.errors import InputError
from ..results.storage.names import unfit
from ..solvers.qubo.foreign.program import fingerprint, split, words_of

__all__ = ["named", "settings"]

SECONDS = 10.0
"""Most that it may take to say its version."""

MOST = 100
"""Letters of it that are kept."""


def named(name: str, parameters: dict[str, Any]) -> str:
    """What boards call it: the name given, else that of the executable.

    Raises:
        InputError: the command is none, or the name is no name or a solver's.
    """
    called = name or Path(_words(parameters)[0]).stem
    if fault := unfit(called):
        raise InputError(f"the name of a solver {fault}; set name = beside its command")
    if called in solvers.names():
        raise InputError(f"the name {called!r} is another solver's; set name = beside the command")
    return called


def settings(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters of the solver `command`: what is given, its version asked for and its hash.

    Raises:
        InputError: the command is none, there is no such executable, or it does not tell its version.
    """
    found = fingerprint(_words(parameters))
    given = dict(parameters)
    asked = given.pop("version", "")
    if asked != "":
        given["version"] = _version(asked)
    return {**given, "sha256": found}


def _words(parameters: dict[str, Any]) -> list[str]:
    command = parameters["command"]
    if not isinstance(command, str):
        raise InputError(f"command must be a text, got {command!r}")
    return words_of(command)


def _version(command: Any) -> str:
    """The first line that the command prints."""
    if not isinstance(command, str) or not (words := split(command, name="version")):
        raise InputError(f'version must be a command such as "mysolver --version", got {command!r}')
    try:
        done = subprocess.run(  # noqa: S603 - the user's own program, without a shell
            words, capture_output=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InputError(f"version must be a command that prints a line, {command!r} gave {error}") from None
    lines = (done.stdout or done.stderr).decode("utf-8", "replace").splitlines()
    said = next((line.strip() for line in lines if line.strip()), "")
    if not said or done.returncode:
        got = f"exit code {done.returncode}" if done.returncode else "nothing"
        raise InputError(f"version must be a command that prints a line, {command!r} gave {got}")
    return said[:MOST]
