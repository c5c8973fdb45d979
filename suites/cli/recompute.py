"""The commands that recompute: verify, submit-check, rejudge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..terminal.console import DEFAULT_STORE, FOUND_WRONG, NOTHING, CallError, Plugins, StorePath, tell
from .checks import check_stores
from .references import Registry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..verification.checked import Checked

__all__ = ["rejudge", "submit_check", "verify"]


def verify(store: StorePath = DEFAULT_STORE, plugins: Plugins = "") -> None:
    """Recompute every stored number from the stored bits; exit 1 and name each false record.

    Exit 3 if none is false but some cannot be checked here, for want of data, a plug-in or the version of a
    formulation.
    """
    check_stores([store])
    from ..terminal.bars import counted
    from ..verification.stored_numbers import verify as verify_store

    checked = false = elsewhere = 0
    judged = verify_store(store, plugin_folder=plugins)
    for record, falsehood in counted(judged, "records recomputed", _claiming(store)):
        checked += 1
        if falsehood is None:
            continue
        false, elsewhere = false + (not falsehood.elsewhere), elsewhere + falsehood.elsewhere
        verdict = "cannot check record" if falsehood.elsewhere else "false record"
        where = f"{record.solver} on {record.instance}, seed {record.seed}"
        print(f"{verdict} {record.cell} ({where}): {falsehood.reason}")
    if not checked:
        tell(f"qubopress: no record in {store} claims a result")
        raise typer.Exit(NOTHING)
    print(f"{checked - false - elsewhere} of {checked} records hold")
    if false or elsewhere:
        raise typer.Exit(FOUND_WRONG if false else NOTHING)


def _claiming(store: Path) -> int:
    """About how many records there are to recompute: those that ended with a result."""
    from ...results import RANKED, Store

    # A table of the cells would refuse a store for one false number, which is what is looked for.
    with Store(store) as opened:
        return sum(status in RANKED for status in opened.statuses().values())


def submit_check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A store, or rows as text (.jsonl).")],
    publish: Annotated[
        Path | None, typer.Option(help="Write the rows as text (.jsonl) if all of them hold.")
    ] = None,
    plugins: Plugins = "",
) -> None:
    """Check a contributed file: schema, provenance, and every number from its bits; exit 1 names each fault.

    Exit 3 if none is false but some cannot be checked here.
    """
    from ...results import Store
    from ...results.storage.rows import ROWS, as_store

    if not file.exists():  # said before what recomputes is imported
        with as_store(file) as store, Store(store):
            pass
    from ..verification.contribution import check

    if publish is not None and publish.suffix != ROWS:
        raise CallError(f"--publish must name a {ROWS} file, got {publish}")
    checked = check(file, plugin_folder=plugins, publish=publish)
    rows = _tell_checked(checked, what=str(file))
    if publish is not None:
        print(f"{rows} rows published in {publish}, with the numbers recomputed here")


def rejudge(
    data: Annotated[Path, typer.Option(help="Folder of the published rows.")] = Path("results/data"),
    registry: Registry = None,
    plugins: Plugins = "",
) -> None:
    """Recompute every published row and reference from its bits; exit 1 and name each that is false.

    Exit 3 if none is false but some cannot be checked here.
    """
    if not data.is_dir():
        raise CallError(f"--data must be a folder of published rows, got {data}; run in the repository")
    import itertools
    import tempfile

    from ..verification.rejudging import expected, rejudge_references
    from ..verification.rejudging import rejudge as judged

    total = expected(data, registry)
    with tempfile.TemporaryDirectory(prefix="qubopress-") as folder:
        pieces = Path(folder)
        references = rejudge_references(registry, pieces=pieces)
        rows = itertools.chain(references, judged(data, plugin_folder=plugins, pieces=pieces))
        _tell_checked(rows, what=f"the registry and {data}", total=total)


def _tell_checked(rows: Iterable[Checked], *, what: str, total: int | None = None) -> int:
    """Print each row that does not hold, then how many do; leave with the worst one's exit code if any."""
    from ..terminal.bars import counted

    checked = false = elsewhere = 0
    for one in counted(rows, "rows recomputed", total):
        checked += 1
        if one.fault:
            false, elsewhere = false + (not one.elsewhere), elsewhere + one.elsewhere
            print(f"{'cannot check' if one.elsewhere else 'false'}: {one.row}: {one.fault}", flush=True)
    print(f"{checked - false - elsewhere} of {checked} rows of {what} hold")
    if false:
        raise typer.Exit(FOUND_WRONG)
    if elsewhere or not checked:
        raise typer.Exit(NOTHING)
    return checked
