"""The commands below `experiment`: what the docs tell of beside the suites, measured anew."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import index
from ..terminal.console import NOTHING, REPEATABLE, CallError, tell
from .checks import (
    at_least,
    check_file,
    check_folder,
    check_network,
    check_program,
    check_stores,
    one_of,
    positive,
)

# torch and pandas take seconds to import: a command imports what it needs when it runs.
if TYPE_CHECKING:
    import pandas as pd

__all__ = ["experiment"]

experiment = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Measure anew what the docs show beside suites. `experiment NAME --help` has the options.",
)

DATA = Path("results/data")
GROUPED = "grouped"
"""The one network of `compress-bench` that is none of ours."""

FOLDER, FILE = "Folder of the tables.", "CSV file to write."

Seconds = Annotated[float, typer.Option(help="Limit of every search.")]
Jobs = Annotated[int, typer.Option(help="Processes.")]
Out = Annotated[Path, typer.Option(help=FOLDER)]


@experiment.command()
def peers(
    out: Out = DATA / "peers",
    seconds: Annotated[float, typer.Option(help="Of every contestant in the last table.")] = 1.0,
    seeds: Annotated[int, typer.Option(help="Replicates in the last table.")] = 3,
    neurons: Annotated[bool, typer.Option(help="Tables of whole neurons and of a whole layer.")] = True,
    generic: Annotated[bool, typer.Option(help="Tables of generic solvers on QUBOs.")] = True,
    quick: Annotated[bool, typer.Option("--quick", help="Small instances, to see that it works.")] = False,
    mqlib: Annotated[
        Path | None, typer.Option(help="MQLib's executable, for a table of its heuristics beside ours.")
    ] = None,
) -> None:
    """Compare our generic solvers with other packages' on the same instances."""
    positive("--seconds", seconds)
    at_least("--seeds", seeds)
    check_folder("--out", out)
    check_program("--mqlib", mqlib)
    from ..experiments import peers as module

    tables = module.run(
        out=out,
        seconds=seconds,
        seeds=seeds,
        neurons=neurons,
        generic=generic,
        quick=quick,
        mqlib=mqlib,
    )
    _show(tables)


@experiment.command("exact-frontier")
def exact_frontier(
    out: Out = DATA / "frontier",
    seconds: Seconds = 60.0,
    family: Annotated[
        str | None, typer.Option(help="Measure this one alone; the file's rows of the others are kept.")
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Measure again what the file holds under the same limit.")
    ] = False,
) -> None:
    """Find the largest instances that each exact solver proves, family by family; it resumes by default."""
    positive("--seconds", seconds)
    check_folder("--out", out)
    from ..experiments import exact_frontier as module

    one_of("--family", [] if family is None else [family], [one.name for one in module.FAMILIES])
    _show(module.run(seconds=seconds, out=out, family=family, anew=anew))


@experiment.command("layer-proofs")
def layer_proofs(
    out: Out = DATA / "layer-proofs",
    seed: Annotated[int, typer.Option(help="Of the networks' weights and of their samples.")] = 31,
    neurons: Annotated[int, typer.Option(help="Of each layer, 10 at most.")] = 8,
    nodes: Annotated[int, typer.Option(help="After which a neuron is given up.")] = 1_000_000_000,
) -> None:
    """Prove the last layers of six small networks, 65 columns each, with sphere, neuron by neuron."""
    at_least("--seed", seed, 0)
    at_least("--neurons", neurons)
    at_least("--nodes", nodes, 1_000)
    check_folder("--out", out)
    from ..experiments import layer_proofs as module

    _show(module.run(out=out, seed=seed, neurons=neurons, nodes=nodes))


@experiment.command("large-layers")
def large_layers(
    out: Out = DATA / "large-layers",
    device: Annotated[str, typer.Option(help="numba, or torch's cpu, cuda, cuda:1 and so on.")] = "numba",
    shape: Annotated[
        list[str] | None,
        typer.Option(help=f"NEURONSxINPUTS, {REPEATABLE}; 4096x4096 and 4096x11008 if not given."),
    ] = None,
    bits: Annotated[
        list[int] | None, typer.Option(help=f"Of the grid, {REPEATABLE}; 4 and 3 if not given.")
    ] = None,
    threads: Annotated[int, typer.Option(help="Of a search.")] = 1,
    every: Annotated[
        bool, typer.Option("--every-level", help="Weights take any value of their grid, not one of two.")
    ] = False,
) -> None:
    """Round large synthetic layers, on a GPU or the processor."""
    widths = bits or [4, 3]
    for one in widths:
        if not 1 <= one <= 8:
            raise CallError(f"--bits must lie in [1, 8], got {one}")
    at_least("--threads", threads)
    check_folder("--out", out)
    from ...solvers.run import Declined
    from ..experiments import large_layers as module

    shapes = [module.shape_of(text) for text in shape or ["4096x4096", "4096x11008"]]
    try:
        _show(module.run(shapes, device=device, bits=widths, threads=threads, out=out, every=every))
    except Declined as error:
        raise CallError(str(error)) from None


@experiment.command("rounding-methods")
def rounding_methods(
    out: Out = DATA / "rounding-methods",
    network: Annotated[str, typer.Option(help="Of ours.")] = "minilm",
    draws: Annotated[int, typer.Option(help="Of calibration data.")] = 3,
    first: Annotated[
        int, typer.Option(help="First of them; methods were tried out on the first of all.")
    ] = 2,
    bits: Annotated[
        list[int] | None, typer.Option(help=f"Of the weights, {REPEATABLE}; 4, 3 and 2 if not given.")
    ] = None,
    calibration: Annotated[int, typer.Option(help="Samples of a draw.")] = 256,
    repeats: Annotated[int, typer.Option(help="Turns of each method at a layer; its least time counts.")] = 3,
) -> None:
    """Round a network as practitioners do and as we do: losses, time, and its own metric over draws."""
    at_least("--draws", draws)
    at_least("--first", first)
    at_least("--calibration", calibration)
    at_least("--repeats", repeats)
    check_folder("--out", out)
    check_network(network)
    from ..experiments import rounding_methods as module

    sizes = {"calibration": calibration, "first": first, "repeats": repeats}
    _show(module.run(network, draws=draws, bits=bits or [4, 3, 2], out=out, **sizes))


@experiment.command("bit-budgets")
def bit_budgets(
    out: Out = DATA / "bit-budgets",
    network: Annotated[str, typer.Option(help="Of ours.")] = "minilm",
    draws: Annotated[int, typer.Option(help="Of calibration data.")] = 3,
    average: Annotated[
        list[float] | None, typer.Option(help=f"Bits of a number, {REPEATABLE}; 3 if not given.")
    ] = None,
    calibration: Annotated[int, typer.Option(help="Samples of a draw.")] = 256,
    samples: Annotated[int, typer.Option(help="Of these, whose outputs are compared.")] = 32,
) -> None:
    """Spread a budget of bits over a network's matrices, evenly, greedily and by search."""
    for name, value in (("--draws", draws), ("--calibration", calibration), ("--samples", samples)):
        at_least(name, value)
    check_folder("--out", out)
    check_network(network)
    from ..experiments import bit_budgets as module

    sizes = {"calibration": calibration, "samples": samples}
    _show(module.run(network, draws=draws, averages=average or [3.0], out=out, **sizes))


@experiment.command("export-formats")
def export_formats(out: Out = DATA / "export-formats") -> None:
    """Write drawn codes in every format and read them back: what each holds, and how exactly."""
    check_folder("--out", out)
    from ..experiments import export_formats as module

    _show(module.run(out=out))


@experiment.command("export-sizes")
def export_sizes(
    out: Out = DATA / "export-formats",
    network: Annotated[
        list[str] | None,
        typer.Option(help=f"minilm or photographs-denoiser, {REPEATABLE}; both if not given."),
    ] = None,
    calibration: Annotated[int, typer.Option(help="Samples.")] = 64,
) -> None:
    """Compress networks and write them in every format: bytes, agreement with ours, time in the runtime."""
    at_least("--calibration", calibration)
    check_folder("--out", out)
    from ..experiments import export_sizes as module

    one_of("--network", network or [], list(module.COMPRESSED))
    _show(module.run(network or list(module.COMPRESSED), calibration=calibration, out=out))


@experiment.command("compress-bench")
def compress_bench(
    network: Annotated[
        list[str] | None,
        typer.Option(help=f"A classifier or grouped, {REPEATABLE}; grouped and fashion-cnn if not given."),
    ] = None,
    solver: Annotated[
        list[str] | None, typer.Option(help=f"A rounding solver, {REPEATABLE}; every one if not given.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help=FILE)] = None,
) -> None:
    """Compress two networks with every rounding solver, beside the time of a training epoch."""
    check_file("--out", out)
    _check_classifiers("--network", [name for name in network or () if name != GROUPED])
    from ..experiments import compress_bench as module

    networks, known = network or [GROUPED, "fashion-cnn"], module.rounders()
    one_of("--solver", solver or [], known)
    _show(module.run(networks, names=solver or known, out=out))


@experiment.command("sign-magnitude")
def sign_magnitude(
    network: Annotated[
        list[str] | None,
        typer.Option(help=f"Measured under noise, {REPEATABLE}; digits-mlp, fashion-mlp50 if not given."),
    ] = None,
    decide: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Network that both solvers decide, {REPEATABLE}; the denoisers of photographs if not given."
        ),
    ] = None,
    tasks: Annotated[
        list[str] | None, typer.Option(help=f"Of reuse, {REPEATABLE}; all three if not given.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Without it 3 of fashion-mlp50 under noise, else 5.")
    ] = None,
    jobs: Jobs = 1,
    out: Out = DATA / "sign-magnitude",
) -> None:
    """Measure signs and magnitudes on analog hardware: noise, reuse, solvers and claims."""
    at_least("--seeds", seeds)
    at_least("--jobs", jobs)
    check_folder("--out", out)
    networks = network or ["digits-mlp", "fashion-mlp50"]
    decided = decide or ["digits-mlp", "digits-cnn", "fashion-mlp50", "fashion-mlp"]
    _check_classifiers("--network", networks)
    _check_classifiers("--decide", decided)
    from ..experiments import sign_magnitude as module

    one_of("--tasks", tasks or [], module.TASKS)
    chosen = tasks or list(module.TASKS)
    _show(module.run(networks=networks, decide=decided, tasks=chosen, seeds=seeds, jobs=jobs, out=out))


@experiment.command("trained-generators")
def trained_generators(
    generator: Annotated[
        list[str] | None, typer.Option(help=f"One of digits, {REPEATABLE}; all of them if not given.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each.")] = 5,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data instead of the usual.")] = None,
    jobs: Jobs = 1,
    out: Out = DATA / "analog",
) -> None:
    """Train the generators of digits from several seeds and judge their images."""
    at_least("--seeds", seeds)
    at_least("--epochs", epochs)
    at_least("--jobs", jobs)
    check_folder("--out", out)
    from ..experiments import trained_generators as module

    one_of("--generator", generator or [], module.DIGITS)
    _show(module.run(generator or module.DIGITS, seeds=seeds, epochs=epochs, jobs=jobs, out=out))


@experiment.command("compressed-generators")
def compressed_generators(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="Store of the suite analog.")],
    out: Out = DATA / "analog",
    solver: Annotated[str, typer.Option(help="Whose networks are pictured.")] = "beam",
) -> None:
    """Table and draw what a store holds of compressed analog generators."""
    check_folder("--out", out)
    check_stores([store])
    index.refuse_unknown("solver", solver, index.solvers(), plugins="")
    from ..experiments import compressed_generators as module

    _show(module.run(store, out=out, solver=solver))


@experiment.command("large-generators")
def large_generators(
    part: Annotated[
        list[str] | None,
        typer.Option(help=f"One of steps, search, forms, images, levels, {REPEATABLE}; all if not given."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Folder of weights that `qubopress train` wrote, for images.")
    ] = None,
    out: Out = DATA / "analog-large",
) -> None:
    """Measure generators of 28 pixels a side: their steps, their images, and their levels."""
    check_folder("--out", out)
    if weights and not weights.is_dir():
        raise CallError(f"--weights must be a folder that exists, got {weights}")
    from ..experiments import large_generators as module

    one_of("--part", part or [], list(module.PARTS))
    _show(module.run(part or list(module.PARTS), out=out, weights=weights))


@experiment.command("pruning-claims")
def pruning_claims(
    stores: Annotated[
        list[Path], typer.Argument(metavar="STORE...", help="Of the suites pruning-claims and refinement.")
    ],
    out: Annotated[Path | None, typer.Option(help=FILE)] = None,
) -> None:
    """Judge the claims on pruning on stores, each on pairs and with its interval."""
    check_file("--out", out)
    check_stores(stores)
    from ..experiments import pruning_claims as module

    _show(module.run(stores, out=out))


@experiment.command("pruning-readings")
def pruning_readings(
    network: Annotated[
        list[str] | None,
        typer.Option(
            help=f"A classifier or denoiser of ours, {REPEATABLE}; the denoisers of photographs if not given."
        ),
    ] = None,
    draws: Annotated[int, typer.Option(help="Of calibration data.")] = 6,
    calibration: Annotated[int, typer.Option(help="Samples of a draw; as many more choose.")] = 64,
    jobs: Jobs = 1,
    out: Out = DATA / "pruning-readings",
) -> None:
    """Judge formulations of pruning by their defaults, and by settings that the metric chose."""
    for name, value in (("--draws", draws), ("--calibration", calibration), ("--jobs", jobs)):
        at_least(name, value)
    check_folder("--out", out)
    for one in network or ():
        check_network(one)
    from ..experiments import pruning_readings as module

    _show(module.run(network or module.NETWORKS, draws=draws, calibration=calibration, jobs=jobs, out=out))


@experiment.command("pruning-energies")
def pruning_energies(
    network: Annotated[str, typer.Option(help="A classifier or denoiser of ours.")] = "photographs-denoiser",
    draw: Annotated[int, typer.Option(help="Seed of the calibration data.")] = 0,
    calibration: Annotated[int, typer.Option(help="Samples.")] = 100,
    out: Out = DATA / "pruning-energies",
) -> None:
    """Lay the hybrid energy of pruning beside the metric: by masks, terms and layers."""
    at_least("--draw", draw, 0)
    at_least("--calibration", calibration)
    check_folder("--out", out)
    check_network(network)
    from ..experiments import pruning_energies as module

    _show(module.run(network, draw=draw, calibration=calibration, out=out))


def _check_classifiers(option: str, names: Iterable[str]) -> None:
    """InputError for a network that there is none of, CallError for one that sorts nothing into classes."""
    from ...problems.networks.zoo import network

    for name in names:
        if network(name).kind != "classifier":
            raise CallError(f"{option} must be a classifier such as digits-mlp, got {name}")


def _show(tables: Iterable[tuple[str, pd.DataFrame]]) -> None:
    """Print each table as soon as it is known."""
    from ..terminal.tables import show

    told = False
    for title, table in tables:
        show(table, title=title)
        sys.stdout.flush()
        told = True
    if not told:
        tell("qubopress: nothing was measured: the options leave nothing to measure here")
        raise typer.Exit(NOTHING)
