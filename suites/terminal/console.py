"""What the commands share: their common options, exit codes, and how they speak to a terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

__all__ = [
    "BAD_INPUT",
    "DEFAULT_STORE",
    "FORMATS",
    "FOUND_WRONG",
    "INTERRUPTED",
    "NOTHING",
    "REPEATABLE",
    "CallError",
    "Columns",
    "Family",
    "Format",
    "Plugins",
    "StorePath",
    "SuiteName",
    "check_format",
    "exclude",
    "load_plugins",
    "nothing_in",
    "tell",
]

FOUND_WRONG, BAD_INPUT, NOTHING, INTERRUPTED = 1, 2, 3, 130

FORMATS = ("table", "csv", "json", "markdown")

DEFAULT_STORE = Path("results.db")

StorePath = Annotated[Path, typer.Option("--store", help="Database of records.")]
Format = Annotated[str, typer.Option("--format", help=f"One of {', '.join(FORMATS)}.")]
Plugins = Annotated[str, typer.Option("--plugins", help="Folder of Python files with solvers and problems.")]
REPEATABLE = "repeatable, or with commas"

SuiteName = Annotated[
    list[str] | None, typer.Option("--suite", help=f"Only this suite's cells; {REPEATABLE}.")
]
Family = Annotated[
    list[str] | None,
    typer.Option("--family", help=f"Only this family: rounding, pruning, …; {REPEATABLE}."),
]

Columns = Annotated[
    list[str] | None,
    typer.Option("--columns", help=f"Only these columns, in this order; {REPEATABLE}."),
]


class CallError(ValueError):
    """The call is wrong. The message is one line: what must hold, what was got, the cure."""


def check_format(format: str) -> None:  # noqa: A002
    """CallError when there is no such format."""
    if format not in FORMATS:
        raise CallError(f"--format must be one of {', '.join(FORMATS)}, got {format!r}")


def tell(text: str) -> None:
    """A note for a person, beside whatever a program reads."""
    print(text, file=sys.stderr)


def nothing_in(store: Path) -> NoReturn:
    """Leave with the exit code for a store in which nothing matches."""
    see = f"see `qubopress leaderboard --store {store}` for what is there"
    tell(f"qubopress: no cell in {store} matches; {see}")
    raise typer.Exit(NOTHING)


def load_plugins(folder: str) -> None:
    """Register what entry points and a folder bring."""
    from .. import plugins

    plugins.load_entry_points()
    plugins.load_folder(folder)


def exclude(given: dict[str, bool]) -> None:
    """CallError when more than one of these options was given."""
    both = [name for name, present in given.items() if present]
    if len(both) > 1:
        raise CallError(f"{' and '.join(both)} exclude each other, got both; leave one out")
