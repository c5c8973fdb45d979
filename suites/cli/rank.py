"""The commands on what was measured: rank, correlate, compare, keep references, merge and export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..terminal.boards import show_board, show_by
from ..terminal.console import (
    DEFAULT_STORE,
    FOUND_WRONG,
    NOTHING,
    CallError,
    Family,
    Format,
    Plugins,
    StorePath,
    SuiteName,
    check_format,
    nothing_in,
    tell,
)

# pandas takes seconds to import: a command imports what it needs when it runs.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

    from ...results import Comparison, Proposal, Record
    from ..verification.contribution import Checked

__all__ = ["compare", "leaderboard"]

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
KEEP_COMPARED = ("verdict", "solver", "family", "measure", "effect", "low", "high", "pairs", "p")

references = typer.Typer(invoke_without_command=True)



def leaderboard(
    store: StorePath = DEFAULT_STORE,
    suite: SuiteName = None,
    family: Family = None,
    by: Annotated[str | None, typer.Option(help="Table over a problem parameter, such as bits.")] = None,
    at_seconds: Annotated[float | None, typer.Option(help="Judge as if that had been the budget.")] = None,
    correlation: Annotated[
        bool, typer.Option("--correlation", help="Whether a lower loss was a better network, by family.")
    ] = False,
    format: Format = "table",  # noqa: A002
) -> None:
    """Rank the solvers of a store."""
    check_format(format)
    _exclude({"--by": by is not None, "--family": family is not None})
    _exclude({"--by": by is not None, "--at-seconds": at_seconds is not None, "--correlation": correlation})
    from ... import results

    if correlation:
        _correlate(store, suite, family, format)
    elif by is not None:
        table = results.by_parameter(store, by, suite=suite)
        show_by(_some(table, store), by, format)
    else:
        board = results.leaderboard(store, suite=suite, family=family, at_seconds=at_seconds)
        show_board(_some(board, store), format)


def _exclude(given: dict[str, bool]) -> None:
    """CallError when more than one of these options was given."""
    both = [name for name, present in given.items() if present]
    if len(both) > 1:
        raise CallError(f"{' and '.join(both)} exclude each other, got both; leave one out")


def _some(table: pd.DataFrame, store: Path) -> pd.DataFrame:
    if table.empty:
        nothing_in(store)
    return table


def _correlate(store: Path, suite: str | None, family: str | None, format: str) -> None:  # noqa: A002
    from ... import results
    from ...results.scoring.correlation import FEWEST
    from ..terminal.tables import show

    table = results.correlations(store, suite=suite, family=family)
    if table.empty:
        need = f"an instance with a metric and {FEWEST} different solutions"
        tell(f"qubopress: nothing to correlate in {store}: it takes {need}")
        raise typer.Exit(NOTHING)
    show(table, format, title=SPEARMAN, keep=KEEP_CORRELATION)



def compare(
    base: Annotated[
        str, typer.Argument(metavar="BASE", help="A store; with --store the beginning of a commit's hash.")
    ],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="What to judge against it, named alike.")],
    store: Annotated[Path | None, typer.Option("--store", help="Database that holds both commits.")] = None,
    suite: SuiteName = None,
    family: Family = None,
    format: Format = "table",  # noqa: A002
    bisect: Annotated[
        bool, typer.Option("--bisect", help="Name the first bad commit of --store; run in the repository.")
    ] = False,
) -> None:
    """Judge HEAD against BASE in pairs; exit 1 and name each regression, 3 if nothing matched."""
    check_format(format)
    if bisect and store is None:
        raise CallError("--bisect takes two commits of one database; name it by --store")
    from ... import results

    found = results.compare(base, head, store=store, suite=suite, family=family)
    _show_comparison(found, format)
    for row in found.regressions().to_dict("records"):
        effect = f"{row['effect']:+.3g} of excess" if row["measure"] == "quality" else f"×{row['effect']:.3g}"
        worst = f", most on {row['worst_instance']}" if row["worst_instance"] else ""
        tell(f"qubopress: regression of {row['solver']} in {row['family']}: {row['measure']} {effect}{worst}")
    if not found.matched:
        agree = "instance, solver, its parameters, seed and budget must agree"
        tell(f"qubopress: no cell of {base} has its like in {head}: {agree}")
    if bisect and store is not None:
        _bisect(base, head, store, suite, family)
    raise typer.Exit(found.outcome)


def _bisect(base: str, head: str, store: Path, suite: str | None, family: str | None) -> None:
    """Tell which measured commit was the first with a regression."""
    from ...results.commits.bisect import first_bad

    found = first_bad(base, head, store=store, suite=suite, family=family)
    if found is None:
        tell(f"qubopress: no measured commit after {base} up to {head} is worse than {base}")
        return
    worse = ", ".join(f"{row['solver']} in {row['family']}" for row in found.rows.to_dict("records"))
    doubt = f", or one of {found.between} unmeasured after {found.good[:12]}" if found.between else ""
    tell(f"qubopress: first bad commit {found.bad[:12]}{doubt}: {worse}")


def _show_comparison(found: Comparison, format: str) -> None:  # noqa: A002
    from ..terminal.tables import show

    if format == "markdown":
        print(found.to_markdown(), end="")
        return
    title = f"{found.base} → {found.head}: {found.matched} pairs of cells; {found.references}"
    show(found.rows, format, title=title, keep=KEEP_COMPARED)


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
    from ... import results

    known = results.load_references(registry)
    if results.load(store).empty:
        nothing_in(store)
    false: list[Record] = []
    offers = results.propose(store, references=known, judge=_judge(store, plugins, false))
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


def _judge(store: Path, plugins: str, false: list[Record]) -> Callable[[Record], bool]:
    """Whether a record's bits hold here; says which do not, and collects those that are false."""
    from ..verification.stored_numbers import judge

    falsehood_of = judge(store, plugin_folder=plugins)

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



def merge(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new store.")],
    stores: Annotated[list[Path], typer.Argument(metavar="IN...", help="The stores to put into it.")],
) -> None:
    """Put stores into a new one; what was measured twice is there twice, with its machine and commit."""
    from ... import results

    merged = results.merge(stores, out)
    print(f"{merged.cells} cells of {len(stores)} stores in {out}, {merged.same} were the same")


def export(
    out: Annotated[Path, typer.Option(help="File to write: .csv, .parquet or .json.")],
    store: StorePath = DEFAULT_STORE,
) -> None:
    """Write all cells with every column as one table."""
    from ... import results

    cells = results.export(store, out)
    print(f"{cells} cells in {out}")


def export_asv(
    store: StorePath = DEFAULT_STORE,
    out: Annotated[Path, typer.Option(help="asv's folder of results.")] = Path("results/asv/results"),
) -> None:
    """Write the scores of each commit in a store for asv's pages; run it in the repository."""
    from ...results.commits.asv_export import export_asv as write

    done = write(store, out)
    for commit, reason in done.left_out.items():
        tell(f"qubopress: left out {commit}: {reason}")
    if done.unlike:
        tell(f"qubopress: left out {done.unlike} points on other instances or seeds than the newest")
    if not done.points:
        nothing_in(store)
    print(f"{done.points} numbers of {len(done.commits)} commits in {out}")



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
    from ...results.storage.rows import ROWS, as_store, write_rows
    from ..verification.contribution import check

    if publish is not None and publish.suffix != ROWS:
        raise CallError(f"--publish must name a {ROWS} file, got {publish}")
    _tell_checked(check(file, plugin_folder=plugins), what=str(file))
    if publish is not None:
        with as_store(file) as store:
            print(f"{write_rows(store, publish)} rows published in {publish}")


def rejudge(
    data: Annotated[Path, typer.Option(help="Folder of the published rows.")] = Path("results/data"),
    registry: Registry = None,
    plugins: Plugins = "",
) -> None:
    """Recompute every published row and reference from its bits; exit 1 and name each that is false.

    Exit 3 if none is false but some cannot be checked here.
    """
    import itertools

    from ..verification.contribution import rejudge as judged
    from ..verification.contribution import rejudge_references

    if not data.is_dir():
        raise CallError(f"--data must be a folder of published rows, got {data}; run in the repository")
    rows = itertools.chain(rejudge_references(registry), judged(data, plugin_folder=plugins))
    _tell_checked(rows, what=f"the registry and {data}")


def _tell_checked(rows: Iterable[Checked], *, what: str) -> None:
    """Print each row that does not hold, then the count; leave with the exit code of the worst."""
    checked = false = elsewhere = 0
    for one in rows:
        checked += 1
        if one.fault:
            false, elsewhere = false + (not one.elsewhere), elsewhere + one.elsewhere
            print(f"{'cannot check' if one.elsewhere else 'false'}: {one.row}: {one.fault}", flush=True)
    print(f"{checked - false - elsewhere} of {checked} rows of {what} hold")
    if false:
        raise typer.Exit(FOUND_WRONG)
    if elsewhere or not checked:
        raise typer.Exit(NOTHING)



def gate(
    baseline: Annotated[Path, typer.Option(help="Folder of the baseline.")] = Path(
        "results/data/gate-baseline"
    ),
    renew: Annotated[bool, typer.Option("--renew", help="Make the present code the baseline.")] = False,
    solver: Annotated[str | None, typer.Option(help="Glob of the suite's solvers.")] = None,
    store: Annotated[Path | None, typer.Option("--store", help="New database to keep the run in.")] = None,
) -> None:
    """Run the suite `gate` and judge it against a baseline; exit 1 names each solver that got worse.

    Quality is paired by seed; time is a ratio to a calibration kernel's, judged on the baseline's processor
    alone. Exit 3 if a cell of the baseline has no like here.
    """
    import tempfile

    from ..regression import gate as gates
    from ..terminal.progress import TerminalProgress

    _exclude({"--renew": renew, "--solver": solver is not None})
    with tempfile.TemporaryDirectory() as folder, TerminalProgress() as progress:
        where = store or Path(folder, "gate.db")
        if renew:
            print(f"{gates.renew(baseline, where, progress=progress)} cells in {baseline}")
            return
        found = gates.judge(baseline, where, solver=solver, progress=progress)
    for fall in found.falls:
        tell(f"qubopress: regression of {fall}")
    for fall in found.shown:
        tell(f"qubopress: not judged: {fall}")
    if found.timed_on:
        tell(f"qubopress: times are not judged here: the baseline's are of {found.timed_on}")
    print(f"{found.matched} pairs of cells, {len(found.falls)} regressions against {baseline}")
    if found.falls:
        raise typer.Exit(FOUND_WRONG)
    if found.unmatched or not found.matched:
        tell(f"qubopress: {found.unmatched} cells of {baseline} have no like; make gate-baseline renews it")
        raise typer.Exit(NOTHING)
