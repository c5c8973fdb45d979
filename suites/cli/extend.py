"""The commands for one's own solvers and formulations: begin one, check it, tune it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import index
from ..terminal.console import FOUND_WRONG, CallError, Format, Plugins, check_format, load_plugins, tell
from .checks import at_least, check_network

# torch and pandas take seconds to import: a command imports what it needs when it runs.
if TYPE_CHECKING:
    from ..conformance.checking import Finding
    from ..extending.hardness import Hardness

__all__ = ["check", "new", "tune"]

COLUMNS = {
    "claim": {"value": "cases", "note": "reason"},
    "correlation": {"value": "rho", "note": "over"},
    "solver": {"verdict": "ending", "value": "excess", "note": "message"},
}
TITLES = {
    "claim": "{name}: what must hold",
    "correlation": "{name}: Spearman's ρ (+1: a lower loss is always a better network)",
    "solver": "{name}: solvers by normalised excess (0 best found, 1 baseline), the hardest last",
}

KEEP_TUNED = ("part", "default", "tuned", "difference", "low", "high", "instances", "cells", "names")


# ---- new


def new(
    kind: Annotated[str, typer.Argument(metavar="solver|problem", help="What to begin.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name: lower-case words joined by -.")],
    folder: Annotated[Path, typer.Option(help="Plug-in folder for the files.")] = Path("plugins"),
) -> None:
    """Write a working solver or formulation with its test, to begin one's own with."""
    from ..extending import scaffold

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
    network: Annotated[str, typer.Option(help="Network on which solvers are tried at a problem.")] = "",
    seconds: Annotated[
        float | None, typer.Option(help="Budget of each solver that is tried at a problem; 0.5 unless given.")
    ] = None,
    format: Format = "table",  # noqa: A002
) -> None:
    """Check what every solver or problem must keep to; exit 1 and name each claim that does not hold.

    Of a problem also whether a lower loss is a better network, and which solvers find it hard.
    """
    check_format(format)
    for option, value in (("--deadline", deadline), ("--seconds", seconds)):
        if value is not None and not value > 0:
            raise CallError(f"{option} must be positive, got {value:g}")
    index.refuse_unknown(
        "solver or problem",
        name,
        [*index.solvers(), *index.problems()],
        plugins=plugins,
        cure="name the folder of your own with --plugins",
    )
    if network:
        if name in {one.name for one in index.solvers()}:
            raise CallError(f"--network is for a problem, and {name} is a solver; leave it out")
        check_network(network)
    from .. import conformance
    from ..extending import hardness

    load_plugins(plugins)
    hardness.check_network(name, network)
    if seconds is not None and conformance.is_solver(name):
        raise CallError(f"--seconds is for a problem, and {name} is a solver; leave it out")
    from ..terminal.bars import Bar

    with Bar("claims and cases begun") as bar:

        def told(text: str) -> None:
            bar.work_on(text)
            bar.advance()

        verdicts = conformance.check(name, plugins=plugins, deadline=deadline, told=told)
    measured = None
    if not conformance.is_solver(name):
        measured = hardness.measure(name, network=network, plugins=plugins, seconds=seconds or 0.5)
    _show_check(name, verdicts, measured, format)
    if any(one.holds is False for one in verdicts):
        raise typer.Exit(FOUND_WRONG)


def _show_check(
    name: str,
    verdicts: list[Finding],
    measured: Hardness | str | None,
    format: str,  # noqa: A002
) -> None:
    """People get a table for each question, programs one of all rows."""
    import pandas as pd

    from ..terminal.tables import show

    claims = [("claim", one.claim, one.word, float(one.cases), one.reason) for one in verdicts]
    rows = claims if measured is None else [*claims, *_measured_rows(measured)]
    table = pd.DataFrame(rows, columns=["kind", "name", "verdict", "value", "note"])
    if format != "table":
        show(table, format)
        return
    for kind, part in table.groupby("kind", sort=False):
        names = {"name": str(kind), **COLUMNS[str(kind)]}
        part = part.rename(columns=names).drop(columns="kind")
        show(part, title=TITLES[str(kind)].format(name=name), keep=tuple(names.values()))


def _measured_rows(measured: Hardness | str) -> list[tuple[str, str, str, float, str]]:
    """Rows of the correlation and of each solver."""
    if isinstance(measured, str):
        return [("correlation", "loss and metric", "not measured", float("nan"), measured)]
    over = f"{measured.solutions} solutions of {measured.instance}"
    known = measured.rho == measured.rho
    verdict = "measured" if known else "not measured"
    first = ("correlation", f"loss and harm to {measured.metric or 'no metric'}", verdict, measured.rho, over)
    rows = measured.table.itertuples(index=False)
    return [first, *(("solver", one.solver, one.status, one.excess, one.message) for one in rows)]


# ---- tune


def tune(
    solver: Annotated[str, typer.Argument(metavar="SOLVER", help="One that declares ranges.")],
    suite: Annotated[str, typer.Option(help="Suite, or TOML file, whose instances to tune on.")],
    trials: Annotated[int, typer.Option(help="Sets of parameters to try, the defaults included.")] = 30,
    seconds_per_run: Annotated[
        float | None, typer.Option(help="Budget of a cell; the suite's if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split and of the search.")] = 0,
    held_out: Annotated[float, typer.Option(help="Share of the instances kept from the search.")] = 0.5,
    plugins: Plugins = "",
    format: Format = "table",  # noqa: A002
) -> None:
    """Search a solver's parameters on some instances of a suite and report on the others."""
    check_format(format)
    index.refuse_unknown("solver", solver, index.solvers(), plugins=plugins)
    index.refuse_misspelt(suite, plugins=plugins)
    at_least("--trials", trials)
    at_least("--seed", seed, 0)
    from ..extending import tuning
    from ..terminal.tables import show

    load_plugins(plugins)
    found = tuning.tune(
        solver,
        suite,
        trials=trials,
        seconds=seconds_per_run,
        seed=seed,
        held_out=held_out,
        plugins=plugins,
        told=tell,
    )
    title = f"{solver}: mean normalised excess (0 best of both, 1 baseline); split drawn with seed {seed}"
    show(found.table, format, title=title, keep=KEEP_TUNED)
    if not found.changed:
        tell("nothing that was tried is better than the defaults on the training instances")
    # A program that reads a table must find nothing else there.
    (print if format in ("table", "markdown") else tell)(found.toml())
