"""The command line. Tables go to stdout, notes to stderr; every error is one line and exit code 2."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import pandas as pd
import typer

from .. import problems, results, solvers
from ..problems import InputError
from ..problems.data import load_dataset
from ..problems.networks import network, network_names, weights_metadata
from ..results import StoreError
from . import plugins as plugin_files
from .compress import compress as compress_module
from .harness import Run
from .harness import run as run_suite
from .progress import TerminalProgress
from .suite import Suite, suite_names
from .suite import load as load_suite
from .tables import FORMATS, show
from .verify import verify as verify_store

__all__ = ["main"]

FOUND_WRONG, BAD_INPUT, NOTHING = 1, 2, 3

NARROW = ("imputed", "excess_low", "excess_high", "cells", "instances", "SKIPPED", "wins")
"""Columns of the leaderboard that a narrow terminal can do without, the first to go first."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Benchmark combinatorial optimisation on the compression of neural networks.",
)

StorePath = Annotated[Path, typer.Option("--store", help="Database of records.")]
Format = Annotated[str, typer.Option("--format", help=f"One of {', '.join(FORMATS)}.")]
Plugins = Annotated[str, typer.Option("--plugins", help="Folder of Python files with solvers and problems.")]
SuiteName = Annotated[str | None, typer.Option("--suite", help="Only this suite's cells.")]
Family = Annotated[str | None, typer.Option("--family", help="Only this family: rounding, pruning, …")]

DEFAULT_STORE = Path("results.db")

# Typer carries click inside or beside it, depending on its version; its own errors lead to the base class.
USAGE_ERROR: Any = next(kind for kind in reversed(typer.BadParameter.__mro__) if hasattr(kind, "format_message"))


@app.command("list")
def list_all(plugins: Plugins = "", format: Format = "table") -> None:  # noqa: A002
    """List solvers, problems, networks and suites."""
    _check_format(format)
    plugin_files.load_entry_points()
    plugin_files.load_folder(plugins)
    if format != "table":
        show(_everything(), format)
        return
    for kind, rows in _everything().groupby("kind", sort=False):
        show(rows.drop(columns="kind"), title=f"{kind}s")


def _everything() -> pd.DataFrame:
    """One row a registered thing: kind, name, what it takes or belongs to, what it is."""
    rows = [("solver", name, _accepts(name), solvers.get(name).summary) for name in solvers.names()]
    rows += [("problem", name, problems.get(name).family, problems.get(name).summary) for name in problems.names()]
    for name in network_names():
        accuracy = weights_metadata(name).get("test_accuracy", "")
        rows.append(("network", name, network(name).dataset, f"float accuracy {accuracy}"))
    for name in suite_names():
        suite = load_suite(name)
        size = f"{len(suite.instances)} instances × {len(suite.solvers)} solvers"
        rows.append(("suite", name, size, suite.description))
    return pd.DataFrame(rows, columns=["kind", "name", "of", "what"])


def _accepts(name: str) -> str:
    return ", ".join(shape.__name__ for shape in solvers.get(name).accepts)


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="Name of a built-in suite, or the path of a TOML file.")],
    store: StorePath = DEFAULT_STORE,
    solver: Annotated[str | None, typer.Option(help="Glob of solvers; an exact name adds one.")] = None,
    problem: Annotated[str | None, typer.Option(help="Glob of problems or instances.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Budget of a cell.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Replicates of each cell.")] = None,
    jobs: Annotated[int, typer.Option(help="Cells at a time; more than 1 blurs the times.")] = 1,
    memory: Annotated[str | None, typer.Option(help="Memory cap of a cell, such as 4G.")] = None,
    rerun_failed: Annotated[bool, typer.Option("--rerun-failed", help="Run failed cells again.")] = False,
    plugins: Plugins = "",
    format: Format = "table",  # noqa: A002
) -> None:
    """Run a suite's cells that the store lacks, then show the leaderboard."""
    _check_format(format)
    plugin_files.load_entry_points()
    plugin_files.load_folder(plugins)
    chosen = load_suite(suite).narrowed(solver=solver, problem=problem, seconds=seconds, seeds=seeds)
    if jobs < 1:
        raise InputError(f"jobs must be at least 1, got {jobs}")
    with TerminalProgress() as progress:
        done = run_suite(
            chosen,
            store=store,
            jobs=jobs,
            memory=_bytes(memory),
            plugin_folder=plugins,
            rerun_failed=rerun_failed,
            progress=progress,
        )
    _tell(_summary(done, store))
    if not done.measured and not done.resumed:
        reason = next(iter(done.left_out.values()), "no solver of it takes its problems")
        _tell(f"nothing was measured: {reason}")
        raise typer.Exit(NOTHING)
    _show_boards(store, chosen, format)


def _summary(done: Run, store: Path) -> str:
    ends = ", ".join(f"{count} {status}" for status, count in sorted(done.statuses.items()))
    return f"{done.measured} cells measured{f' ({ends})' if ends else ''}, {done.resumed} resumed, in {store}"


def _show_boards(store: Path, suite: Suite, format: str) -> None:  # noqa: A002
    frame = results.load(store)
    if suite.by:
        table = results.by_parameter(frame, suite.by, suite=suite.name)
        show(table, format, title=f"{suite.name}: by {suite.by}", optional=("baseline_metric", "imputed", "cells"))
    if format == "table" or not suite.by:
        board = results.leaderboard(frame, suite=suite.name)
        show(board, format, title=f"{suite.name}: solvers by normalised excess (0 best known, 1 baseline)", optional=NARROW)


@app.command()
def leaderboard(
    store: StorePath = DEFAULT_STORE,
    suite: SuiteName = None,
    family: Family = None,
    by: Annotated[str | None, typer.Option(help="Table over a problem parameter, such as bits.")] = None,
    format: Format = "table",  # noqa: A002
) -> None:
    """Rank the solvers of a store."""
    _check_format(format)
    if by is not None:
        table = results.by_parameter(store, by, suite=suite)
    else:
        table = results.leaderboard(store, suite=suite, family=family)
    if table.empty:
        _tell(f"no cell in {store} matches; see `qubopress leaderboard --store {store}` for what is there")
        raise typer.Exit(NOTHING)
    show(table, format, title="solvers by normalised excess (0 best known, 1 baseline)" if by is None else "", optional=NARROW)


@app.command()
def report(
    store: StorePath = DEFAULT_STORE,
    out: Annotated[Path, typer.Option(help="Where to write the page.")] = Path("report.html"),
    suite: SuiteName = None,
) -> None:
    """Write one self-contained HTML page: leaderboard, anytime curves, failures."""
    if not out.resolve().parent.is_dir():
        raise InputError(f"--out must lie in a folder that exists, got {out}; create {out.parent} first")
    page = results.report(store, out, suite=suite)
    print(f"leaderboard page: {page.resolve()}")


@app.command()
def verify(store: StorePath = DEFAULT_STORE, plugins: Plugins = "") -> None:
    """Recompute every stored loss from the stored bits; exit 1 and name each false record."""
    checked, false = 0, 0
    for record, falsehood in verify_store(store, plugin_folder=plugins):
        checked += 1
        if falsehood is not None:
            false += 1
            where = f"{record.solver} on {record.instance}, seed {record.seed}"
            print(f"false record {record.cell} ({where}): {falsehood.reason}")
    if not checked:
        _tell(f"no record in {store} has bits to verify")
        raise typer.Exit(NOTHING)
    print(f"{checked - false} of {checked} records hold")
    if false:
        raise typer.Exit(FOUND_WRONG)


@app.command()
def compress(
    network_name: Annotated[str, typer.Argument(metavar="NETWORK", help="Name of a network of ours.")],
    out: Annotated[Path, typer.Option(help="Where to write the weights (safetensors).")],
    problem: Annotated[str, typer.Option(help="Formulation.")] = "adaround",
    solver: Annotated[str, typer.Option(help="Solver.")] = "nearest-plane",
    seconds: Annotated[float | None, typer.Option(help="Budget of a stage; fixed work without it.")] = None,
    seed: int = 0,
    set_: Annotated[list[str], typer.Option("--set", help="Parameter of the formulation, as bits=4.")] = [],  # noqa: B006
) -> None:
    """Compress a network and write its weights; prints the accuracy before and after."""
    from safetensors.torch import save_file

    parameters = dict(_setting(text) for text in set_)
    task = problems.classification_task(network_name)
    load_dataset(network(network_name).dataset)
    compressed = compress_module(
        task.network, (task.inputs, task.targets), problem=problem, solver=solver, seconds=seconds, seed=seed, **parameters
    )
    try:
        save_file({name: tensor.contiguous() for name, tensor in compressed.state_dict().items()}, out)
    except OSError as error:
        raise InputError(f"--out must be a writable file, got {out}: {error}") from None
    if task.judge is not None:
        print(f"{task.metric} {task.judge(task.network):.4f} → {task.judge(compressed):.4f}, weights in {out}")


def _setting(text: str) -> tuple[str, Any]:
    """One NAME=VALUE, the value read as TOML."""
    import tomllib

    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set must be NAME=VALUE, got {text!r}")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


@app.command()
def train(
    network_name: Annotated[str, typer.Argument(metavar="NETWORK", help="Name of a network of ours.")],
    out: Annotated[Path, typer.Option(help="Folder for the weights.")] = Path(),
    seed: int = 0,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data instead of the usual.")] = None,
) -> None:
    """Train a network from a seed and write its weights."""
    from ..problems.training import save_weights
    from ..problems.training import train as train_network

    def tell(epoch: int, total: int, loss: float) -> None:
        _tell(f"epoch {epoch} of {total}: training loss {loss:.4f}")

    if not out.is_dir():
        raise InputError(f"--out must be a folder that exists, got {out}")
    module, accuracy = train_network(network_name, seed=seed, epochs=epochs, progress=tell)
    done = epochs or network(network_name).epochs
    path = save_weights(network_name, module, seed=seed, epochs=done, folder=out)
    print(f"test accuracy {accuracy:.4f}, weights in {path}")


def _check_format(format: str) -> None:  # noqa: A002
    if format not in FORMATS:
        raise InputError(f"--format must be one of {', '.join(FORMATS)}, got {format!r}")


def _bytes(text: str | None) -> int | None:
    """A size such as 512M or 4G in bytes."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)i?B?", text.strip(), flags=re.IGNORECASE)
    if match is None or float(match[1]) == 0:
        raise InputError(f"--memory must be a size such as 512M or 4G, got {text!r}")
    return int(float(match[1]) * 1024 ** " KMG".index(match[2].upper() or " "))


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    warnings.showwarning = _one_line_warning
    sys.exit(_guarded(lambda: app(standalone_mode=False)))


def _guarded(call: Callable[[], Any]) -> int:
    """The exit code of a call whose errors become one line."""
    try:
        code = call()
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except USAGE_ERROR as error:
        message = error.format_message()
        _tell(f"qubopress: {message}; see `qubopress --help`" if "\n" not in message else message)
        return BAD_INPUT
    except (InputError, StoreError) as error:
        _tell(f"qubopress: {error}")
        return BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        _tell("qubopress: interrupted; finished cells are in the store, run the same command to go on")
        return 130
    except BrokenPipeError:
        # The reader of a pipe left early; what it did not read is nobody's loss.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _one_line_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _tell(f"qubopress: warning: {message}")


if __name__ == "__main__":
    main()
