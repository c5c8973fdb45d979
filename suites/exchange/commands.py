"""The commands that let others in: instances, judge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...problems.instances import file_formats
from .. import index
from ..terminal.console import FOUND_WRONG, Format, Plugins, check_format, load_plugins, tell

__all__ = ["instances", "judge"]


def instances(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="A built-in suite, or a TOML file.")],
    out: Annotated[Path, typer.Option(help="Folder for the files and their manifest.")],
    formats: Annotated[
        list[str],
        typer.Option("--format", help="npz, qplib, mqlib, coo, lp, cqm or bqm; may repeat."),
    ] = ["npz"],  # noqa: B006 - typer copies it
    problem: Annotated[str | None, typer.Option(help="Glob of the problems to write.")] = None,
    neurons: Annotated[int, typer.Option(min=1, help="Of a layer too large to be one file.")] = 2,
    stages: Annotated[int, typer.Option(min=1, help="Of a formulation of several.")] = 4,
    whole: Annotated[
        int, typer.Option(min=0, max=40, help="Round to whole coefficients of that many bits; 0 leaves them.")
    ] = 0,
    known: Annotated[Path | None, typer.Option(help="Folder of best known solutions, NAME.txt.")] = None,
    plugins: Plugins = "",
) -> None:
    """Write a suite's instances as files for other people's tools, with a manifest and checksums."""
    index.refuse_misspelt(suite, problem=[problem] if problem else None, plugins=plugins)
    for name in formats:
        file_formats.check_format(name, file_formats.WRITTEN, what="--format")
    from ..suite import load
    from .slices import Limits
    from .writing import write_instances

    load_plugins(plugins)
    chosen = load(suite).narrowed(problem=problem)
    limits = Limits(neurons=neurons, stages=stages, whole=whole)

    def left(what: str) -> None:
        tell(f"qubopress: left out {what}")

    written = write_instances(chosen, out, formats=formats, limits=limits, known=known, told=left)
    print(f"{len(written)} instances in {out}, told of in manifest.json and manifest.csv")


def judge(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="NAME.txt of one entrant, or a folder for each of several.")
    ],
    instances: Annotated[
        Path | None, typer.Option(help="Folder that `qubopress instances` wrote; DIR itself by default.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Keep the judged cells in this store, beside others.")
    ] = None,
    format: Format = "table",  # noqa: A002
) -> None:
    """Recompute solutions written as text, a 0 or 1 a line, and rank who wrote them; exit 1 names faults."""
    check_format(format)
    from .entrants import solutions
    from .manifest import read

    read(instances or folder)  # said before what judges is imported
    solutions(folder, instances or folder)
    import tempfile

    from ... import results
    from ..terminal.boards import show_board
    from .judging import judge_solutions

    faults = 0
    with tempfile.TemporaryDirectory(prefix="qubopress-") as scratch:
        place = store or Path(scratch, "judged.db")
        for one in judge_solutions(folder, instances or folder, place):
            if one.fault:
                faults += 1
                tell(f"false: {one.entrant} on {one.instance}: {one.fault}")
        board = results.leaderboard(place, suite="judged")
        show_board(board, format, name="judged solutions")
    if faults:
        raise typer.Exit(FOUND_WRONG)
