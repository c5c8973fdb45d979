"""The commands on what this repository publishes: publish, asv-site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..terminal.console import CallError
from .checks import check_stores

__all__ = ["asv_site", "publish"]


def publish(
    add: Annotated[
        list[Path] | None, typer.Option("--add", help="Store whose cells to publish first; repeatable.")
    ] = None,
    root: Annotated[Path, typer.Option(help="Folder of the README and the results.")] = Path(),
) -> None:
    """Write the README's and the docs' tables and the page of leaderboards from results/data."""
    if not root.is_dir():
        raise CallError(f"--root must be a folder that exists, got {root}; run in the repository")
    stores = add or []
    check_stores(stores)
    from ..publishing.doc_tables import publish as write

    for line in write(root, stores=stores):
        print(line)


def asv_site(
    site: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `asv publish` wrote.")],
) -> None:
    """Let the site that `asv publish` wrote open without a network."""
    from ..regression.asv_site import PACKAGES, localise

    if localise(site):
        print(f"{site} needs no network; to see it: python -m http.server --directory {site}")
    else:
        print(f"{site} needs a network to open; with Debian's {PACKAGES} it would not")
