"""The commands that copy stores: merge, export, export-asv."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..terminal.console import DEFAULT_STORE, StorePath, nothing_in, tell
from .checks import check_stores

__all__ = ["export", "export_asv", "merge"]


def merge(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new store.")],
    stores: Annotated[list[Path], typer.Argument(metavar="IN...", help="The stores to put into it.")],
) -> None:
    """Put stores into a new one; what was measured twice is there twice, with its machine and commit."""
    from ... import results

    merged = results.merge(stores, out)
    print(f"{merged.cells} cells of {len(stores)} stores in {out}, {merged.same} were the same")


def export(
    out: Annotated[Path, typer.Option(help="File to write: .csv, .parquet, .json, or .db for a copy.")],
    store: StorePath = DEFAULT_STORE,
) -> None:
    """Write all cells with every column as one table, or copy a store that a run may be writing to."""
    from ... import results

    cells = results.export(store, out)
    print(f"{cells} cells in {out}")


def export_asv(
    store: StorePath = DEFAULT_STORE,
    out: Annotated[Path, typer.Option(help="asv's folder of results.")] = Path("results/asv/results"),
) -> None:
    """Write the scores of each commit in a store for asv's pages; run it in the repository."""
    check_stores([store])
    from ...results.commits.asv_export import export_asv as write

    done = write(store, out)
    for commit, reason in done.left_out.items():
        tell(f"qubopress: left out {commit}: {reason}")
    if done.unlike:
        tell(f"qubopress: left out {done.unlike} points on other instances or seeds than the newest")
    if not done.points:
        nothing_in(store)
    print(f"{done.points} numbers of {len(done.commits)} commits in {out}")
