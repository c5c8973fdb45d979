"""The commands that make networks: compress, train."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from ..terminal.console import CallError, load_plugins, tell

__all__ = ["compress", "train"]


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
    from ...problems.tasks.kinds import kind_of
    from ...problems.tasks.training import save_weights
    from ...problems.tasks.training import train as train_network

    spec = network(network_name)
    kind = kind_of(spec)

    def tell_epoch(epoch: int, total: int, loss: float) -> None:
        if epoch % max(1, total // 100) == 0:
            tell(f"epoch {epoch} of {total}: {kind.heard} {loss:.4f}")

    module, measured = train_network(network_name, seed=seed, epochs=epochs, progress=tell_epoch, keep=out)
    done = epochs or spec.epochs
    path = save_weights(network_name, module, seed=seed, epochs=done, folder=out)
    print(f"test {kind.metric} {measured:.4f}, weights in {path}")
