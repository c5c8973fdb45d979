"""The commands on the registry of best known solutions: references, references update."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..terminal.console import (
    DEFAULT_STORE,
    FOUND_WRONG,
    Format,
    Plugins,
    StorePath,
    check_format,
    nothing_in,
    tell,
)
from .checks import check_stores

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...results import Proposal, Record
    from ..verification.stored_numbers import Judge

__all__ = ["Registry", "references", "show_references", "update_references"]

references = typer.Typer(invoke_without_command=True)


Registry = Annotated[Path | None, typer.Option("--registry", help="File of the registry; ours if not given.")]


@references.callback()
def show_references(context: typer.Context, registry: Registry = None, format: Format = "table") -> None:  # noqa: A002
    """Show the best known solutions; `references update` offers a store's."""
    if context.invoked_subcommand is not None:
        return
    check_format(format)
    import pandas as pd

    from ...results import load_references
    from ..terminal.tables import show

    known = load_references(registry)
    columns = ["name", "value", "standing", "solver", "date", "baseline", "key"]
    entries = sorted(known.instances.values(), key=lambda one: (one.name, one.key))
    rows = [[getattr(one, name) for name in columns] for one in entries]
    show(pd.DataFrame(rows, columns=columns), format, keep=tuple(columns))
    tell(f"{registry or 'the registry of this package'}: {known}")


@references.command("update")
def update_references(
    store: StorePath = DEFAULT_STORE,
    apply: Annotated[bool, typer.Option("--apply", help="Write the registry's next version.")] = False,
    registry: Registry = None,
    plugins: Plugins = "",
    format: Format = "table",  # noqa: A002
) -> None:
    """List what a store would add to the registry; nothing is written without --apply.

    Every value is recomputed from its bits first; exit 1 and name each record that is false.
    """
    check_format(format)
    check_stores([store])
    from ... import results

    known = results.load_references(registry)
    with results.Store(store) as opened:
        if not opened.suites():
            nothing_in(store)
    false: list[Record] = []
    from ..verification.stored_numbers import judge

    judged = judge(store, plugin_folder=plugins)
    holds = _holds(judged, false)
    offers = results.propose(store, references=known, judge=holds, retell=judged.retold)
    _show_offers(offers, format)
    where = registry or "the registry of this package"
    if apply:
        after = results.apply(offers, path=registry)
        tell(f"{'wrote' if after != known else 'nothing to write to'} {where}: {after}")
    elif offers:
        tell(f"nothing was written; --apply makes it version {known.version + 1} of {where}")
    else:
        tell(f"nothing better than {where} holds: {known}")
    if false:
        raise typer.Exit(FOUND_WRONG)


def _holds(falsehood_of: Judge, false: list[Record]) -> Callable[[Record], bool]:
    """Whether a record's bits hold here; says which do not, and collects those that are false."""

    def holds(record: Record) -> bool:
        falsehood = falsehood_of(record)
        if falsehood is None:
            return True
        verdict = "cannot check" if falsehood.elsewhere else "not believed"
        where = f"{record.solver} on {record.instance}, seed {record.seed}"
        tell(f"qubopress: {verdict}: {record.cell} ({where}): {falsehood.reason}")
        if not falsehood.elsewhere:
            false.append(record)
        return False

    return holds


def _show_offers(offers: list[Proposal], format: str) -> None:  # noqa: A002
    import pandas as pd

    from ..terminal.tables import show

    columns = ["change", "name", "value", "solver", "standing", "was", "was_by", "date"]
    rows = [_offer(one) for one in offers]
    table = pd.DataFrame(rows, columns=columns)
    # Full precision even where no reference is replaced: an empty column is one of numbers.
    show(table.astype({"value": "float64", "was": "float64"}), format, keep=tuple(columns))


def _offer(one: Proposal) -> tuple[object, ...]:
    old = (None, None) if one.old is None else (one.old.value, one.old.solver)
    return str(one.kind), one.new.name, one.new.value, one.new.solver, one.new.standing, *old, one.new.date
