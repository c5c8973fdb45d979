"""The commands that measure: run, gate."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...problems.instances import file_formats
from .. import index
from ..terminal.boards import show_boards
from ..terminal.console import (
    DEFAULT_STORE,
    FOUND_WRONG,
    INTERRUPTED,
    NOTHING,
    REPEATABLE,
    CallError,
    Format,
    Plugins,
    StorePath,
    check_format,
    exclude,
    load_plugins,
    tell,
)
from .checks import at_least, bytes_of, check_instances, positive

if TYPE_CHECKING:
    from ..harness.suite_run import Run

__all__ = ["gate", "run"]


def run(
    suite: Annotated[str, typer.Argument(help="Name of a built-in suite, or the path of a TOML file.")] = "",
    store: StorePath = DEFAULT_STORE,
    instance: Annotated[
        list[str], typer.Option(help="File of an instance of your own instead of the suite's; repeatable.")
    ] = [],  # noqa: B006
    input_format: Annotated[
        str, typer.Option("--input-format", help="Format of the instances, such as beasley; else the ending.")
    ] = "",
    solver: Annotated[
        list[str] | None, typer.Option(help=f"Glob of solvers; an exact name adds one; {REPEATABLE}.")
    ] = None,
    problem: Annotated[
        list[str] | None, typer.Option(help=f"Glob of problems or instances; {REPEATABLE}.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Budget of a cell.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Replicates of each cell.")] = None,
    jobs: Annotated[int, typer.Option(help="Cells at a time; more than 1 blurs the times.")] = 1,
    memory: Annotated[str | None, typer.Option(help="Memory cap of a cell, such as 4G.")] = None,
    executor: Annotated[str, typer.Option(help="local, or dask://HOST:PORT of a scheduler.")] = "local",
    rerun_failed: Annotated[bool, typer.Option("--rerun-failed", help="Run failed cells again.")] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Write the whole traceback of what fails in a cell to stderr.")
    ] = False,
    plugins: Plugins = "",
    format: Format = "table",  # noqa: A002
) -> None:
    """Run a suite's cells that the store lacks, then show the leaderboard."""
    check_format(format)
    _check_call(suite, instance, input_format, jobs=jobs, seconds=seconds, seeds=seeds, plugins=plugins)
    cap = None if memory is None else bytes_of("--memory", memory)
    from .. import finished
    from ..harness.executor import address_of
    from ..suite import load, path_of

    here = not address_of(executor)
    made_of = (
        ""
        if plugins
        else finished.made_of(
            path_of(suite or "generic"), instance, input_format, solver, problem, seconds, seeds
        )
    )
    if whole := finished.settled(made_of, store, rerun_failed=rerun_failed):
        from ..harness.provenance import commit_here

        finished.enter(whole, store, commit_here())
        tell(f"0 cells measured, {len(whole.cells)} resumed, in {store}")
        show_boards(store, whole, format)
        return
    index.refuse_misspelt(
        suite or "generic", solver=solver, problem=None if instance else problem, plugins=plugins
    )
    if traceback:
        from ..plugins import TRACEBACK

        os.environ[TRACEBACK] = "1"  # the cells' processes inherit it
    from ..harness.server_link import launched_ahead

    with ExitStack() as around:
        if here:
            around.enter_context(launched_ahead())
        from ..harness.suite_run import run as run_suite
        from ..terminal.progress import TerminalProgress

        load_plugins(plugins)
        measured = load(suite or "generic")
        chosen = (measured.on(instance, format=input_format) if instance else measured).narrowed(
            solver=solver or None, problem=problem or None, seconds=seconds, seeds=seeds
        )
        progress = around.enter_context(TerminalProgress(store, seconds=chosen.budget.seconds, jobs=jobs))
        try:
            done = run_suite(
                chosen,
                store=store,
                jobs=jobs,
                memory=cap,
                executor=executor,
                plugin_folder=plugins,
                rerun_failed=rerun_failed,
                progress=progress,
            )
        except KeyboardInterrupt:
            cells = f"{progress.done} of {progress.total} cells are in {store}"
            tell(f"qubopress: interrupted; {cells}, run the same command to go on")
            raise typer.Exit(INTERRUPTED) from None
    if not done.measured and not done.resumed:
        reason = next(iter(done.left_out.values()), "no solver of the suite takes its problems")
        tell(f"qubopress: nothing was measured: {reason}")
        raise typer.Exit(NOTHING)
    if not done.left_out:
        finished.note(made_of, finished.Note(chosen.name, chosen.by, done.cells))
    tell(_summary(done, store))
    show_boards(store, chosen, format)


def _check_call(
    suite: str,
    instances: list[str],
    input_format: str,
    *,
    jobs: int,
    seconds: float | None,
    seeds: int | None,
    plugins: str,
) -> None:
    """What is wrong with a call whatever is in the suite, told before anything slow is imported."""
    at_least("--jobs", jobs)
    at_least("--seeds", seeds)
    if seconds is not None:
        positive("--seconds", seconds)
    if not suite and not instances:
        raise CallError("run needs a suite or --instance FILE; see `qubopress list` for the suites")
    if input_format and not instances:
        raise CallError("--input-format takes --instance FILE, whose format it names")
    if input_format:
        file_formats.check_format(input_format)
    check_instances(instances)
    from .. import plugins as strangers

    strangers.check_folder(plugins)


def _summary(done: Run, store: Path) -> str:
    ends = ", ".join(f"{count} {status}" for status, count in sorted(done.statuses.items()))
    return f"{done.measured} cells measured{f' ({ends})' if ends else ''}, {done.resumed} resumed, in {store}"


def gate(
    baseline: Annotated[Path, typer.Option(help="Folder of the baseline.")] = Path(
        "results/data/gate-baseline"
    ),
    renew: Annotated[bool, typer.Option("--renew", help="Make the present code the baseline.")] = False,
    solver: Annotated[
        list[str] | None, typer.Option(help=f"Glob of the suite's solvers; {REPEATABLE}.")
    ] = None,
    store: Annotated[Path | None, typer.Option("--store", help="New database to keep the run in.")] = None,
) -> None:
    """Run the suite `gate` and judge it against a baseline; exit 1 names each solver that got worse.

    Quality is paired by seed; time is a ratio to a calibration kernel's, judged on the baseline's processor
    alone. Exit 3 if a cell of the baseline has no like here.
    """
    exclude({"--renew": renew, "--solver": bool(solver)})
    index.refuse_misspelt("gate", solver=solver)
    from ..regression.baseline import TIMES, read_times

    if not renew:
        read_times(baseline / TIMES)
    import tempfile

    from ..regression import gate as gates
    from ..terminal.progress import TerminalProgress

    with tempfile.TemporaryDirectory() as folder, TerminalProgress() as progress:
        where = store or Path(folder, "gate.db")
        if renew:
            print(f"{gates.renew(baseline, where, progress=progress)} cells in {baseline}")
            return
        found = gates.judge(baseline, where, solver=solver or None, progress=progress)
    for fall in found.falls:
        tell(f"qubopress: regression of {fall}")
    for fall in found.shown:
        tell(f"qubopress: not judged: {fall}")
    if found.untimed:
        cure = "qubopress gate --renew, on a quiet machine"
        tell(f"qubopress: no time on {', '.join(found.untimed)} in the baseline: {cure}")
    if found.timed_on:
        tell(f"qubopress: times are not judged here: the baseline's are of {found.timed_on}")
    print(f"{found.matched} pairs of cells, {len(found.falls)} regressions against {baseline}")
    if found.falls:
        raise typer.Exit(FOUND_WRONG)
    if found.unmatched or not found.matched:
        tell(f"qubopress: {found.unmatched} cells of {baseline} have no like; make gate-baseline renews it")
        raise typer.Exit(NOTHING)
