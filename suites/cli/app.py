"""The command line. Tables go to stdout, notes to stderr; every error is one line and exit code 2."""

from __future__ import annotations

import inspect
import os
import re
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ..terminal.boards import show_boards
from ..terminal.console import (
    BAD_INPUT,
    DEFAULT_STORE,
    FOUND_WRONG,
    INTERRUPTED,
    NOTHING,
    CallError,
    Format,
    Plugins,
    StorePath,
    SuiteName,
    check_format,
    load_plugins,
    nothing_in,
    tell,
)
from . import extend, rank

# torch and pandas take seconds to import: a command imports what it needs when it runs.
if TYPE_CHECKING:
    import pandas as pd

    from ..harness.suite_run import Run

__all__ = ["call", "main"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Benchmark combinatorial optimisation on the compression of neural networks.",
)

# Typer carries click inside or beside it, depending on its version; its own errors lead to the base class.
USAGE_ERROR: Any = next(
    kind for kind in reversed(typer.BadParameter.__mro__) if hasattr(kind, "format_message")
)


def list_all(plugins: Plugins = "", format: Format = "table") -> None:  # noqa: A002
    """List solvers, problems, networks and suites."""
    from ..terminal.tables import show

    check_format(format)
    load_plugins(plugins)
    if format != "table":
        show(_everything(), format)
        return
    for kind, rows in _everything().groupby("kind", sort=False):
        show(rows.drop(columns="kind"), title=f"{kind}s")


def _everything() -> pd.DataFrame:
    """One row a registered thing: kind, name, what it takes or belongs to, what it is."""
    import pandas as pd

    from ... import problems, solvers
    from ...problems.networks.zoo import network, network_names
    from ..suite import load, suite_names

    rows = [("solver", name, _accepts(name), solvers.get(name).summary) for name in solvers.names()]
    rows += [
        ("problem", name, problems.get(name).family, problems.get(name).summary) for name in problems.names()
    ]
    for name in network_names():
        rows.append(("network", name, network(name).dataset, _trained(name)))
    for name in suite_names():
        suite = load(name)
        size = f"{len(suite.instances)} instances × {len(suite.solvers)} solvers"
        rows.append(("suite", name, size, suite.description))
    return pd.DataFrame(rows, columns=["kind", "name", "of", "what"])


def _trained(name: str) -> str:
    """What is known of a network's weights."""
    from ...problems import MissingDataError
    from ...problems.networks.weights import float_metric
    from ...problems.networks.zoo import network

    try:
        return f"float {network(name).metric} {float_metric(name)}"
    except MissingDataError:
        return f"no weights yet: qubopress train {name}"


def _accepts(name: str) -> str:
    from ... import solvers

    return ", ".join(shape.__name__ for shape in solvers.get(name).accepts)


def run(
    suite: Annotated[str, typer.Argument(help="Name of a built-in suite, or the path of a TOML file.")] = "",
    store: StorePath = DEFAULT_STORE,
    instance: Annotated[
        list[str], typer.Option(help="File of an instance of your own instead of the suite's; repeatable.")
    ] = [],  # noqa: B006
    solver: Annotated[str | None, typer.Option(help="Glob of solvers; an exact name adds one.")] = None,
    problem: Annotated[str | None, typer.Option(help="Glob of problems or instances.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Budget of a cell.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Replicates of each cell.")] = None,
    jobs: Annotated[int, typer.Option(help="Cells at a time; more than 1 blurs the times.")] = 1,
    memory: Annotated[str | None, typer.Option(help="Memory cap of a cell, such as 4G.")] = None,
    executor: Annotated[str, typer.Option(help="local, or dask://HOST:PORT of a scheduler.")] = "local",
    rerun_failed: Annotated[bool, typer.Option("--rerun-failed", help="Run failed cells again.")] = False,
    plugins: Plugins = "",
    format: Format = "table",  # noqa: A002
) -> None:
    """Run a suite's cells that the store lacks, then show the leaderboard."""
    check_format(format)
    if jobs < 1:
        raise CallError(f"--jobs must be at least 1, got {jobs}")
    if not suite and not instance:
        raise CallError("run needs a suite or --instance FILE; see `qubopress list` for the suites")
    cap = _bytes(memory)
    from ..harness.suite_run import run as run_suite
    from ..suite import load
    from ..terminal.progress import TerminalProgress

    load_plugins(plugins)
    measured = load(suite or "generic")
    chosen = (measured.on(instance) if instance else measured).narrowed(
        solver=solver, problem=problem, seconds=seconds, seeds=seeds
    )
    with TerminalProgress() as progress:
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
    tell(_summary(done, store))
    show_boards(store, chosen, format)


def _summary(done: Run, store: Path) -> str:
    ends = ", ".join(f"{count} {status}" for status, count in sorted(done.statuses.items()))
    return f"{done.measured} cells measured{f' ({ends})' if ends else ''}, {done.resumed} resumed, in {store}"


def report(
    store: StorePath = DEFAULT_STORE,
    out: Annotated[Path, typer.Option(help="Where to write the page.")] = Path("report.html"),
    suite: SuiteName = None,
) -> None:
    """Write one self-contained HTML page: leaderboard, anytime curves, failures."""
    if not out.resolve().parent.is_dir():
        raise CallError(f"--out must lie in a folder that exists, got {out}; create {out.parent} first")
    from ... import results

    suites = results.load(store)["suite"]
    if suites.empty or (suite is not None and suite not in set(suites)):
        nothing_in(store)
    page = results.report(store, out, suite=suite)
    print(f"leaderboard page: {page.resolve()}")


def verify(store: StorePath = DEFAULT_STORE, plugins: Plugins = "") -> None:
    """Recompute every stored number from the stored bits; exit 1 and name each false record.

    Exit 3 if none is false but some cannot be checked here, for want of data, a plug-in or the version of a
    formulation.
    """
    from ..verification.stored_numbers import verify as verify_store

    checked = false = elsewhere = 0
    for record, falsehood in verify_store(store, plugin_folder=plugins):
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
    if not out.resolve().parent.is_dir() or out.is_dir():
        raise CallError(f"--out must be a file in a folder that exists, got {out}; create {out.parent} first")
    from safetensors.torch import save

    from ... import problems
    from ..compression import compress as compress_module

    parameters = dict(_setting(text) for text in set_)
    for name in parameters.keys() & inspect.signature(compress_module).parameters.keys():
        raise CallError(f"--set must name a parameter of the formulation, got {name}")
    load_plugins("")
    task = problems.task_of(network_name)
    data = task.inputs, task.targets
    compressed = compress_module(
        task.network, data, problem=problem, solver=solver, seconds=seconds, seed=seed, **parameters
    )
    out.write_bytes(save({name: tensor.contiguous() for name, tensor in compressed.state_dict().items()}))
    assert task.judge is not None
    print(f"{task.metric} {task.judge(task.network):.4f} → {task.judge(compressed):.4f}, weights in {out}")


def _setting(text: str) -> tuple[str, Any]:
    """One NAME=VALUE, the value read as TOML."""
    import tomllib

    name, equals, value = text.partition("=")
    if not equals:
        raise CallError(f"--set must be NAME=VALUE, got {text!r}")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


def train(
    network_name: Annotated[str, typer.Argument(metavar="NETWORK", help="Name of a network of ours.")],
    out: Annotated[Path, typer.Option(help="Folder for the weights.")] = Path(),
    seed: int = 0,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data instead of the usual.")] = None,
) -> None:
    """Train a network from a seed and write its weights; a generator's training resumes where it stopped."""
    if not out.is_dir():
        raise CallError(f"--out must be a folder that exists, got {out}")
    from ...problems.networks.zoo import network
    from ...problems.tasks.training import save_weights
    from ...problems.tasks.training import train as train_network

    spec = network(network_name)
    what = "critic's distance" if spec.generates else "training loss"

    def tell_epoch(epoch: int, total: int, loss: float) -> None:
        if epoch % max(1, total // 100) == 0:
            tell(f"epoch {epoch} of {total}: {what} {loss:.4f}")

    module, measured = train_network(network_name, seed=seed, epochs=epochs, progress=tell_epoch, keep=out)
    done = epochs or spec.epochs
    path = save_weights(network_name, module, seed=seed, epochs=done, folder=out)
    print(f"test {spec.metric} {measured:.4f}, weights in {path}")


def _bytes(text: str | None) -> int | None:
    """A size such as 512M or 4G in bytes."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)i?B?", text.strip(), flags=re.IGNORECASE)
    if match is None or float(match[1]) == 0:
        raise CallError(f"--memory must be a size such as 512M or 4G, got {text!r}")
    return int(float(match[1]) * 1024 ** " KMG".index(match[2].upper() or " "))


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    warnings.showwarning = _one_line_warning
    # Whoever ends a run politely gets what Ctrl-C gives: no process left, and a word on how to go on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(call())


def call(arguments: list[str] | None = None) -> int:
    """The exit code of a call, its errors told in one line; the arguments of this process where None."""
    try:
        code = app(arguments, standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except USAGE_ERROR as error:
        return _tell_usage(error)
    except (BrokenPipeError, SystemExit):
        # The reader of a pipe left early, which click turns into an exit. What it did not read is no loss.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, typer.Abort):
        tell("qubopress: interrupted")
        return INTERRUPTED
    except (ValueError, RuntimeError, OSError) as error:
        if not _is_users(error):
            raise
        tell(f"qubopress: {' '.join(str(error).split())}")
        return BAD_INPUT


def _tell_usage(error: Any) -> int:
    """What is wrong with the call in one line, or the help where nothing was asked for."""
    message = error.format_message()
    asked = type(error).__name__ != "NoArgsIsHelpError"
    tell(f"qubopress: {' '.join(message.split())}; see `qubopress --help`" if asked else message)
    return BAD_INPUT


def _is_users(error: Exception) -> bool:
    """Whether an error is about the call and its input, or about this machine, and not our own bug."""
    from ...problems import InputError
    from ...results import ReferencesError, StoreError
    from ..harness.supervisor import ServerError

    ours = (CallError, InputError, StoreError, ReferencesError, ServerError)
    return isinstance(error, (*ours, OSError))


def _one_line_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    tell(f"qubopress: warning: {' '.join(str(message).split())}")
