"""The commands for one's own solvers and formulations: begin one, check it, tune it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import FOUND_WRONG, CallError, Format, Plugins, check_format, load_plugins, tell

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Give the commands of this file to the command line."""
    for command in (new, check):
        app.command()(command)


# ---- new


def new(
    kind: Annotated[str, typer.Argument(metavar="solver|problem", help="What to begin.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name: lower-case words joined by -.")],
    folder: Annotated[Path, typer.Option(help="Plug-in folder for the files.")] = Path("plugins"),
) -> None:
    """Write a working solver or formulation with its test, to begin one's own with."""
    from . import scaffold

    load_plugins(str(folder) if folder.is_dir() else "")
    written = scaffold.write(kind, name, folder)
    for path in written.files:
        print(f"wrote {path}")
    tell("now try")
    for command in written.commands:
        print(command)


# ---- check


def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A solver or a problem, a plug-in's too.")],
    plugins: Plugins = "",
    deadline: Annotated[float, typer.Option(help="Seconds that a claim may take on one case.")] = 30.0,
    format: Format = "table",  # noqa: A002
) -> None:
    """Check what every solver or problem must keep to; exit 1 and name each claim that does not hold."""
    check_format(format)
    if not deadline > 0:
        raise CallError(f"--deadline must be positive, got {deadline:g}")
    import pandas as pd

    from . import conformance
    from .tables import show

    verdicts = conformance.check(name, plugins=plugins, deadline=deadline)
    rows = [(one.claim, one.word, one.cases, one.reason) for one in verdicts]
    show(pd.DataFrame(rows, columns=["claim", "verdict", "cases", "reason"]), format, title=name)
    if any(one.holds is False for one in verdicts):
        raise typer.Exit(FOUND_WRONG)
