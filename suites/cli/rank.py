"""The commands on what was measured: rank, correlate, compare, keep references, merge and export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..terminal.boards import show_board, show_by, show_leaderboards
from ..terminal.console import (
    DEFAULT_STORE,
    NOTHING,
    CallError,
    Columns,
    Family,
    Format,
    StorePath,
    SuiteName,
    check_format,
    exclude,
    nothing_in,
    tell,
)
from .checks import check_stores

# pandas takes seconds to import: a command imports what it needs when it runs.
if TYPE_CHECKING:
    import pandas as pd

    from ...results import Comparison
    from ...results.scoring.scored_cells import Wanted

__all__ = ["compare", "leaderboard", "report"]

SPEARMAN = "Spearman's ρ of loss and harm to the metric (+1: a lower loss is always a better network)"

KEEP_CORRELATION = (
    "family",
    "rho",
    "metric_name",
    "problem",
    "instances",
    "solutions",
    "rho_low",
    "rho_high",
)
KEEP_COMPARED = (
    "verdict", "solver", "family", "measure", "effect", "p", "pairs", "worse", "better", "low", "high"
)  # fmt: skip


def leaderboard(
    store: StorePath = DEFAULT_STORE,
    suite: SuiteName = None,
    family: Family = None,
    by: Annotated[str | None, typer.Option(help="Table over a problem parameter, such as bits.")] = None,
    at_seconds: Annotated[float | None, typer.Option(help="Judge as if that had been the budget.")] = None,
    correlation: Annotated[
        bool, typer.Option("--correlation", help="Whether a lower loss was a better network, by family.")
    ] = False,
    joined: Annotated[
        bool, typer.Option("--all", help="One board over all suites and families, which are no rivals.")
    ] = False,
    columns: Columns = None,
    format: Format = "table",  # noqa: A002
) -> None:
    """Rank the solvers of a store, on a board for each suite and family."""
    check_format(format)
    exclude({"--by": by is not None, "--family": family is not None})
    exclude({"--by": by is not None, "--at-seconds": at_seconds is not None, "--correlation": correlation})
    exclude({"--by": by is not None, "--correlation": correlation, "--all": joined})
    chosen = tuple(columns or ())
    check_stores([store])
    from ... import results

    if correlation:
        _correlate(store, suite, family, format, chosen)
    elif by is not None:
        table = results.by_parameter(store, by, suite=suite)
        show_by(_some(table, store), by, format, columns=chosen)
    elif joined:
        board = results.leaderboard(store, suite=suite, family=family, at_seconds=at_seconds, do_nothing=True)
        show_board(_some(board, store), format, columns=chosen)
    elif not show_leaderboards(
        store, format, suite=suite, family=family, at_seconds=at_seconds, columns=chosen
    ):
        nothing_in(store)


def _some(table: pd.DataFrame, store: Path) -> pd.DataFrame:
    if table.empty:
        nothing_in(store)
    return table


def _correlate(
    store: Path,
    suite: Wanted,
    family: Wanted,
    format: str,  # noqa: A002
    columns: tuple[str, ...],
) -> None:
    from ... import results
    from ...results.scoring.correlation import FEWEST
    from ..terminal.tables import show

    table = results.correlations(store, suite=suite, family=family)
    if table.empty:
        need = f"an instance with a metric and {FEWEST} different solutions"
        tell(f"qubopress: nothing to correlate in {store}: it takes {need}")
        raise typer.Exit(NOTHING)
    show(table, format, title=SPEARMAN, keep=KEEP_CORRELATION, columns=columns)


def compare(
    base: Annotated[
        str, typer.Argument(metavar="BASE", help="A store; with --store the beginning of a commit's hash.")
    ],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="What to judge against it, named alike.")],
    store: Annotated[Path | None, typer.Option("--store", help="Database that holds both commits.")] = None,
    suite: SuiteName = None,
    family: Family = None,
    columns: Columns = None,
    format: Format = "table",  # noqa: A002
    bisect: Annotated[
        bool, typer.Option("--bisect", help="Name the first bad commit of --store; run in the repository.")
    ] = False,
) -> None:
    """Judge HEAD against BASE in pairs; exit 1 and name each regression, 3 if nothing matched."""
    check_format(format)
    if bisect and store is None:
        raise CallError("--bisect takes two commits of one database; name it by --store")
    check_stores([Path(base), Path(head)] if store is None else [store])
    from ... import results
    from ..terminal.tables import tell_folded

    found = results.compare(base, head, store=store, suite=suite, family=family)
    _show_comparison(found, format, tuple(columns or ()))
    for note in found.notes:
        tell_folded(note)
    for row in found.regressions().to_dict("records"):
        effect = f"{row['effect']:+.3g} of excess" if row["measure"] == "quality" else f"×{row['effect']:.3g}"
        worst = f", most on {row['worst_instance']}" if row["worst_instance"] else ""
        where = f" in {row['family']}" if row["family"] else ""
        tell(f"qubopress: regression of {row['solver']}{where}: {row['measure']} {effect}{worst}")
    if not found.matched:
        agree = "instance, solver, its parameters, seed and budget must agree"
        tell(f"qubopress: no cell of {base} has its like in {head}: {agree}")
    if bisect and store is not None:
        _bisect(base, head, store, suite, family)
    raise typer.Exit(found.outcome)


def _bisect(base: str, head: str, store: Path, suite: Wanted, family: Wanted) -> None:
    """Tell which measured commit was the first with a regression."""
    from ...results.commits.bisect import first_bad

    found = first_bad(base, head, store=store, suite=suite, family=family)
    if found is None:
        tell(f"qubopress: no measured commit after {base} up to {head} is worse than {base}")
        return
    named = [f"{row['solver']} in {row['family'] or 'all families'}" for row in found.rows.to_dict("records")]
    worse = ", ".join(named)
    doubt = f", or one of {found.between} unmeasured after {found.good[:12]}" if found.between else ""
    tell(f"qubopress: first bad commit {found.bad[:12]}{doubt}: {worse}")


def _show_comparison(found: Comparison, format: str, columns: tuple[str, ...]) -> None:  # noqa: A002
    from ..terminal.tables import show

    if format == "markdown" and not columns:
        print(found.to_markdown(), end="")
        return
    title = f"{found.base} → {found.head}: {found.matched} pairs of cells; {found.references}"
    show(found.rows, format, title=title, keep=KEEP_COMPARED, columns=columns)


def report(
    store: StorePath = DEFAULT_STORE,
    out: Annotated[Path, typer.Option(help="Where to write the page.")] = Path("report.html"),
    suite: SuiteName = None,
) -> None:
    """Write one self-contained HTML page: leaderboard, anytime curves, failures."""
    if not out.resolve().parent.is_dir():
        raise CallError(f"--out must lie in a folder that exists, got {out}; create {out.parent} first")
    check_stores([store])
    from ... import results

    with results.Store(store) as opened:
        suites = opened.suites()
    if not suites or (suite and suites.isdisjoint(suite)):
        nothing_in(store)
    page = results.report(store, out, suite=suite)
    print(f"leaderboard page: {page.resolve()}")
