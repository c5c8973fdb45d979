"""The commands that make networks: compress, train."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..terminal.console import FORMATS, REPEATABLE, CallError, check_format, load_plugins, tell
from .checks import at_least, bytes_of

if TYPE_CHECKING:
    from torch import nn

    from ...problems import Task

__all__ = ["compress", "train"]

Texts = list[str]

KEEP = ("parameter", "became", "bits", "numbers", "of nearest", "why", "held-out of nearest", "seconds")
"""Columns of the report that matter most, for terminals too narrow for all."""


def compress(
    network_name: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK", help="A network of ours, or package.module:function for one's own."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(help="Where to write it: weights as floats (.safetensors), or .onnx, .gguf; see --as."),
    ],
    data: Annotated[
        str,
        typer.Option(help="Calibration data of one's own: FILE.npz with x and y, or package.module:loader."),
    ] = "",
    forward: Annotated[
        str, typer.Option(help="package.module:function of (model, batch) that calls the model.")
    ] = "",
    criterion: Annotated[
        str, typer.Option(help="package.module:function of (outputs, batch): the mean loss of a batch.")
    ] = "",
    problem: Annotated[str, typer.Option(help="Formulation.")] = "adaround",
    solver: Annotated[
        str | None, typer.Option(help="Solver; one that fits the formulation without it.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Budget of a stage; fixed work without it.")] = None,
    seed: int = 0,
    samples: Annotated[int, typer.Option(help="Most calibration samples to use.")] = 1000,
    memory: Annotated[
        str,
        typer.Option(help="Gram matrices to hold in memory, such as 2G; more lie in temporary files."),
    ] = "256M",
    skip: Annotated[Texts, typer.Option(help=f"Glob of layers to leave as they are; {REPEATABLE}.")] = [],  # noqa: B006
    only: Annotated[Texts, typer.Option(help=f"Glob of the only layers to change; {REPEATABLE}.")] = [],  # noqa: B006
    layer: Annotated[Texts, typer.Option(help="Parameter of some layers alone, as 'fc*:bits=8'.")] = [],  # noqa: B006
    set_: Annotated[Texts, typer.Option("--set", help="Parameter of the formulation, as bits=4.")] = [],  # noqa: B006
    solver_set: Annotated[Texts, typer.Option(help="Parameter of the solver, as width=8.")] = [],  # noqa: B006
    as_: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="FORMAT",
            help="Integer codes as packed, onnx, matmulnbits, compressed-tensors or gguf.",
        ),
    ] = "",
    leave: Annotated[
        Texts,
        typer.Option(help=f"Glob of rounded parameters to write as floats all the same; {REPEATABLE}."),
    ] = [],  # noqa: B006
    tolerance: Annotated[
        float | None,
        typer.Option(help="Relative error of a step to accept where a format shortens it, as GGUF does."),
    ] = None,
    format: Annotated[  # noqa: A002
        str | None, typer.Option("--format", help=f"Of the report: one of {', '.join(FORMATS)}.")
    ] = None,
) -> None:
    """Compress a network and write it; prints what became of each parameter.

    Of a network of ours it prints the metric before and after, and the report where a format is asked for. A
    file of integer codes is told with its bytes, and its metric is measured on what the file gives back: an
    ONNX file runs in onnxruntime for it.
    """
    check_format(format or "table")
    if not out.resolve().parent.is_dir() or out.is_dir():
        raise CallError(f"--out must be a file in a folder that exists, got {out}; create {out.parent} first")
    from .files import wish_of, writes
    from .own import from_here, is_own

    own = is_own(network_name)
    parameters, layers = _parameters(set_), _layers(layer)
    solvers_own = _settings("--solver-set", solver_set)
    _check_names(network_name, problem, solver)
    wish = wish_of(out, as_, leave, tolerance)
    _check_data(network_name, data)
    load_plugins("")
    with from_here() if own else nullcontext():
        task, network, samples_of = _given(network_name, data)
        from ..compression import compress as compress_module

        functions = _functions(network_name, forward=forward, criterion=criterion)
        own_forward = functions.get("forward")
        samples_of, example = wish.called_on(network, samples_of, samples, forward=own_forward)
        compressed = compress_module(
            network,
            samples_of,
            problem=problem,
            solver=solver,
            seconds=seconds,
            seed=seed,
            samples=samples,
            memory=bytes_of("--memory", memory),
            skip=skip,
            only=only,
            layers=layers,
            solver_parameters=solvers_own,
            progress=True,
            **functions,
            **parameters,
        )
        line, measured = writes(compressed, wish, example)
        _tell(compressed, task, line, measured, format)


def _given(name: str, data: str) -> tuple[Task | None, nn.Module, Any]:
    """The network, what calibrates it, and its task where it is one of ours."""
    from .own import is_own, own_data, own_network

    if is_own(name):
        return None, own_network(name), own_data(data)
    from ... import problems

    task = problems.task_of(name)
    return task, task.network, (task.inputs, task.targets)


def _check_names(network_name: str, problem: str, solver: str | None) -> None:
    """InputError for a name that nothing bears."""
    from ...problems.networks.zoo import network
    from .. import index
    from .own import is_own

    if not is_own(network_name):
        network(network_name)
    index.refuse_unknown("problem", problem, index.problems(), plugins="")
    if solver is not None:
        index.refuse_unknown("solver", solver, index.solvers(), plugins="")


def _check_data(name: str, data: str) -> None:
    """CallError for data without a network of one's own, or such a network without data."""
    from .own import is_own

    if is_own(name) and not data:
        form = "FILE.npz or package.module:loader"
        raise CallError(f"{name}, a network of one's own, must come with --data {form}, got none")
    if data and not is_own(name):
        form = "package.module:function"
        raise CallError(f"--data must come with a network of one's own, {form}, got {name}; leave it out")


def _functions(network: str, **names: str) -> dict[str, Any]:
    """The functions of one's own by the argument of `compress` that they are, those that are given."""
    from .own import is_own, own_function

    given = {argument: name for argument, name in names.items() if name}
    for argument in given if not is_own(network) else ():
        form = "package.module:function"
        raise CallError(
            f"--{argument} must come with a network of one's own, {form}, got {network}; leave it out"
        )
    return {argument: own_function(f"--{argument}", name) for argument, name in given.items()}


def _tell(
    compressed: nn.Module,
    task: Task | None,
    line: str,
    measured: Callable[[], nn.Module],
    format: str | None,  # noqa: A002
) -> None:
    """The report on stdout; of a network of ours its metric, which goes to stderr where a format is given."""
    from ..compressing.report import report_of
    from ..terminal.tables import show

    report = report_of(compressed)
    tell(str(report))
    if task is not None and task.judge is not None:
        line = f"{task.metric} {task.judge(task.network):.4f} → {task.judge(measured()):.4f}, {line}"
        if format is None:
            print(line)
            return
    show(report.table(), format or "table", keep=KEEP)
    tell(line)


ARGUMENTS = (
    "model",
    "data",
    "problem",
    "solver",
    "seconds",
    "seed",
    "samples",
    "memory",
    "refiner",
    "evaluations",
    "skip",
    "only",
    "layers",
    "solver_parameters",
    "forward",
    "criterion",
    "progress",
    "parameters",
)
"""Arguments of `suites.compress`, which takes seconds to import; no parameter of a formulation is one."""


def _parameters(texts: Iterable[str]) -> dict[str, Any]:
    """Parameters of the formulation; an argument of `compress` has an option of its own."""
    options = {"solver_parameters": "--solver-set", "layers": "--layer"}
    found = _settings("--set", texts)
    for name in found.keys() & set(ARGUMENTS):
        cure = f"give {options.get(name, f'--{name}')}, where there is one"
        raise CallError(f"--set must name a parameter of the formulation, got {name}; {cure}")
    return found


def _settings(option: str, texts: Iterable[str]) -> dict[str, Any]:
    return dict(_setting(option, text) for text in texts)


def _layers(texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Parameters by the glob of the layers that have them, from texts GLOB:NAME=VALUE."""
    found = dict[str, dict[str, Any]]()
    for text in texts:
        glob, colon, setting = text.partition(":")
        if not colon:
            raise CallError(f"--layer must be GLOB:NAME=VALUE, got {text!r}")
        found.setdefault(glob, {}).update([_setting("--layer", setting)])
    return found


def _setting(option: str, text: str) -> tuple[str, Any]:
    """One NAME=VALUE, the value read as TOML."""
    import tomllib

    name, equals, value = text.partition("=")
    if not equals:
        raise CallError(f"{option} must be NAME=VALUE, got {text!r}")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


def train(
    network_name: Annotated[str, typer.Argument(metavar="NETWORK", help="Name of a network of ours.")],
    out: Annotated[Path, typer.Option(help="Folder for the weights.")] = Path(),
    seed: int = 0,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data instead of the usual.")] = None,
    until: Annotated[
        int | None,
        typer.Option(help="Stop a generator after so many of the passes; without it the call then goes on."),
    ] = None,
) -> None:
    """Train a network from a seed and write its weights; a generator's training resumes where it stopped."""
    if not out.is_dir():
        raise CallError(f"--out must be a folder that exists, got {out}")
    at_least("--epochs", epochs)
    at_least("--until", until)
    from ...problems.networks.zoo import network

    spec = network(network_name)
    from ...problems.tasks.kinds import kind_of
    from ...problems.tasks.training import save_weights
    from ...problems.tasks.training import train as train_network

    kind = kind_of(spec)

    def tell_epoch(epoch: int, total: int, loss: float) -> None:
        if epoch % max(1, total // 100) == 0:
            tell(f"epoch {epoch} of {total}: {kind.heard} {loss:.4f}")

    given: dict[str, Any] = {"seed": seed, "epochs": epochs, "until": until}
    module, measured = train_network(network_name, progress=tell_epoch, keep=out, **given)
    done = until or epochs or spec.epochs
    path = save_weights(network_name, module, seed=seed, epochs=done, folder=out)
    print(f"test {kind.metric} {measured:.4f}, weights in {path}")
