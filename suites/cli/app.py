"""The command line. Tables go to stdout, notes to stderr; every error is one line and exit code 2."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from ..exchange import commands as exchange
from ..terminal.console import BAD_INPUT, INTERRUPTED, CallError, tell
from . import (
    catalogue,
    experiments,
    extend,
    measure,
    networks,
    rank,
    recompute,
    references,
    site,
    stores,
)
from .options import USAGE_ERROR, Careful, CarefulGroup, careful

__all__ = ["call", "main"]

app = typer.Typer(
    cls=CarefulGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 120},
    help="Benchmark combinatorial optimisation on the compression of neural networks.",
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"qubopress {version('qubopress')}")
        raise typer.Exit


# In the order of the help. torch and pandas take seconds to import: each imports what it needs when it runs.
COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Commands that measure and show": {
        "list": catalogue.list_all,
        "run": measure.run,
        "leaderboard": rank.leaderboard,
        "report": rank.report,
        "compare": rank.compare,
        "merge": stores.merge,
        "export": stores.export,
        "export-asv": stores.export_asv,
    },
    "Commands that check what is claimed": {
        "verify": recompute.verify,
        "submit-check": recompute.submit_check,
        "rejudge": recompute.rejudge,
        "gate": measure.gate,
    },
    "Commands for solvers and problems of your own": {
        "instances": exchange.instances,
        "judge": exchange.judge,
        "new": extend.new,
        "check": extend.check,
        "tune": extend.tune,
    },
    "Commands that make networks": {
        "compress": networks.compress,
        "train": networks.train,
    },
    "Commands of the repository": {
        "publish": site.publish,
        "asv-site": site.asv_site,
    },
}


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version and leave.")
    ] = False,
) -> None:
    pass


for panel, commands in COMMANDS.items():
    for name, command in commands.items():
        app.command(name, cls=Careful, rich_help_panel=panel)(command)
for name, group, panel in (
    ("references", references.references, "Commands that check what is claimed"),
    ("experiment", experiments.experiment, "Commands of the repository"),
):
    app.add_typer(careful(group), name=name, cls=CarefulGroup, rich_help_panel=panel)


PACKAGE = __package__.partition(".")[0]

USERS = {
    f"{PACKAGE}.{name}"
    for name in (
        "problems.errors.InputError",
        "results.storage.errors.StoreError",
        "results.scoring.references.ReferencesError",
        "suites.harness.executor.ServerError",
    )
}
"""Errors that say in one line what a user can mend, by name: their modules take seconds to import."""


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
        from ...problems.errors import one_line

        # As long as it takes: a cure may list every network.
        tell(f"qubopress: {one_line(error, named=False, most=None)}")
        return BAD_INPUT


def _tell_usage(error: Any) -> int:
    """What is wrong with the call in one line, or the help where nothing was asked for."""
    message = error.format_message()
    asked = type(error).__name__ != "NoArgsIsHelpError"
    told = " ".join(message.split()).removesuffix(".") + _as_parameter(error)
    tell(f"qubopress: {told}; see `qubopress --help`" if asked else message)
    return BAD_INPUT


def _as_parameter(error: Any) -> str:
    """How to say what stands as an option that there is none of, where a command takes parameters."""
    command = getattr(getattr(error, "ctx", None), "command", None)
    options = {name for one in getattr(command, "params", ()) for name in one.opts}
    if type(error).__name__ != "NoSuchOption" or "--set" not in options:
        return ""
    return f"; for a parameter of the formulation --set {error.option_name.lstrip('-')}=VALUE"


def _is_users(error: Exception) -> bool:
    """Whether an error is about the call and its input, or about this machine, and not our own bug."""
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    return isinstance(error, (CallError, OSError)) or not kinds.isdisjoint(USERS)


def _one_line_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    tell(f"qubopress: warning: {' '.join(str(message).split())}")
