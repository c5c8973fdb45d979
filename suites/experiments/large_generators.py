"""Large generators: what a step costs, which rival, what tiles lose, how far images are, at how few bits.

`qubopress experiment large-generators` writes a table for each part, and a picture of samples beside real
images. Distances are ratios to the `floor`, that of real training images to real test images, in the features
of a classifier of ours; intervals are over draws of the initial states that judge.
"""

from __future__ import annotations

import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ... import problems, solvers
from ...problems.datasets.dataset import load_dataset
from ...problems.networks.image_generators import Generator, NeuralGenerator, save_grid
from ...problems.networks.interaction import Design, InteractionSystem
from ...problems.networks.weights import load_network
from ...problems.networks.zoo import LARGE, network
from ...problems.registry import drive
from ...problems.tasks import frechet_distance
from ...problems.tasks.generator_training import Terms, train_generator
from ...problems.tasks.training import initialised
from ...results.scoring.statistics import mean_interval

__all__ = ["PARTS", "forms", "images", "levels", "run", "search", "steps"]

SYSTEM = "fashion-generator"

NAMES = (SYSTEM, *(f"{SYSTEM}-{part}" for part in ("flat", "one", "neural")))

SHOWN = 20
"""Images in a row of the picture."""

Row = dict[str, Any]

ROUNDED = "ais-rounding"

# ---- steps


def steps(out: Path, *, counts: tuple[int, ...] = (3, 12, 48), batch: int = 64) -> pd.DataFrame:
    """Gradients of a batch through a system of 1,568 nodes: time, memory, agreement in double precision.

    Time is the processor's for the way there and back, after one that warms up; megabytes are what is held
    between the two.
    """
    found = []
    for count in counts:
        design = LARGE | {"steps": count}
        made = {name: _gradients(design, name, batch, torch.float32) for name in ("run", "stepwise")}
        exact = [_gradients(design, name, batch // 8, torch.float64)[2] for name in ("run", "stepwise")]
        apart = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(*exact, strict=True))
        row: Row = {"nodes": Design(**design).nodes, "steps a segment": count}
        for name, (seconds, held, _) in made.items():
            row |= {f"{name} (s)": seconds, f"{name} (MB)": held / 1e6}
        found.append(row | {"ratio": made["stepwise"][0] / made["run"][0], "apart": apart})
    return pd.DataFrame(found)


def _gradients(
    design: Row, name: str, batch: int, kind: torch.dtype
) -> tuple[float, int, tuple[Tensor, ...]]:
    """Processor seconds, bytes held, and gradients by all parameters of one way of running."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        system = InteractionSystem(Design(**design)).to(kind)
    starts = system.starts(batch, random=torch.Generator().manual_seed(0)).to(kind)
    way: Callable[[Tensor], Tensor] = getattr(system, name)
    held: dict[int, int] = {}

    def note(one: Tensor) -> Tensor:
        held[one.untyped_storage().data_ptr()] = one.untyped_storage().nbytes()
        return one

    seconds, found = 0.0, tuple[Tensor, ...]()
    for _ in range(2):
        held.clear()
        began = time.process_time()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda one: one):
            error = system.shown(way(starts)).square().sum()
        found = torch.autograd.grad(error, list(system.parameters()))
        seconds = time.process_time() - began
    return seconds, sum(held.values()), found


# ---- search

RIVALS: tuple[tuple[int, int, float], ...] = (
    *((1, 32, rate) for rate in (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)),
    *((2, 32, rate) for rate in (0.0003, 0.001, 0.003, 0.01, 0.03)),
    *((3, 32, rate) for rate in (0.0003, 0.001, 0.003, 0.01)),
    *((2, latent, rate) for latent in (64, 128) for rate in (0.0003, 0.001, 0.003, 0.01)),
    *((1, latent, 0.01) for latent in (64, 128)),
)
"""Hidden layers, random numbers that enter, learning rate."""


def search(
    out: Path,
    *,
    epochs: int = 4,
    seed: int = 1,
    rivals: tuple[tuple[int, int, float], ...] = RIVALS,
    taught: int = 50_000,
    whole: int | None = None,
) -> pd.DataFrame:
    """Which neural generator of as many parameters to hold the system against, on training images alone.

    Each is trained on the first `taught` of them for some `epochs`, from another seed than those reported,
    and judged by its distance to the next 10,000; then the best of each rate for as many as the system is, or
    `whole`: what learns fastest in a few need not be nearest in the end.
    """
    spec = network(SYSTEM)

    def tried(rival: tuple[int, int, float], epochs: int) -> Row:
        row = _tried(rival, epochs, seed, taught)
        _tell(row)
        return row

    found = [tried(rival, epochs) for rival in rivals]
    best = pd.DataFrame(found).sort_values("distance").drop_duplicates("rate")
    again = zip(best["layers"], best["latent"], best["rate"], strict=True)
    found += [tried(rival, whole or spec.epochs) for rival in again]
    return pd.DataFrame(found).sort_values(["passes", "distance"], ignore_index=True)


def _tried(rival: tuple[int, int, float], epochs: int, seed: int, taught: int) -> Row:
    layers, latent, rate = rival
    spec = network(SYSTEM)
    real = torch.tensor(load_dataset(spec.dataset).train_inputs)
    module, width = _rival(layers, latent, _size(initialised(spec, seed=seed)), seed)
    began = time.process_time()
    terms = Terms(learning_rate=rate, batch=spec.batch, epochs=epochs)
    made = train_generator(module, real[:taught], terms=terms, seed=seed)
    seconds = time.process_time() - began
    drawn = frechet_distance.samples_of(made, seed=seed)
    distance = frechet_distance.distance(drawn, spec.dataset, real=real[taught:][:10_000])
    row: Row = {"passes": epochs, "layers": layers, "latent": latent, "width": width}
    return row | {"parameters": _size(module), "rate": rate, "seconds": seconds, "distance": distance}


def _rival(layers: int, latent: int, wanted: int, seed: int) -> tuple[NeuralGenerator, int]:
    """An untrained neural generator of as many parameters as the system, or the next fewer, and its width."""

    def of(width: int) -> NeuralGenerator:
        return NeuralGenerator(latent=latent, widths=(width,) * layers, side=Design(**LARGE).side)

    with torch.device("meta"):
        width = bisect_right(range(1, wanted), wanted, key=lambda one: _size(of(one)))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return of(width), width


# ---- forms


APPROXIMATE: tuple[Row, ...] = (
    *({"tile": tile, "mixtures": 0} for tile in (0, 4, 2, 1)),
    *({"tile": tile, "mixtures": 8} for tile in (0, 2, 1)),
)
"""First the whole matrix."""


def forms(out: Path, *, calibration: int = 100, bits: int = 3, keep: float = 0.75) -> pd.DataFrame:
    """What tiles and mixtures lose on digits-generator, whose whole matrix fits into memory."""
    task = problems.task_of("digits-generator", calibration=calibration)
    found: list[Row] = [{"decided": "nothing", "distance": cast(Any, task.judge)(task.network), "error": 0.0}]
    tried: list[tuple[str, str, Row, Row]] = [(ROUNDED, "round-to-nearest", {"bits": bits}, {"tile": 4})]
    tried += [(ROUNDED, "coordinate-descent", {"bits": bits}, one) for one in APPROXIMATE]
    tried += [("ais-topology", "greedy", {"keep": keep}, one) for one in APPROXIMATE]
    for problem, solver, given, one in tried:
        made = _decided(problem, solver, task, _alone(problem) | given | one)
        row = {"decided": problem, "solver": solver, **given, **(one if "mixtures" in one else {})}
        found.append(row | {"distance": cast(Any, task.judge)(made), "error": _error(made, task)})
        _tell(found[-1])
    return pd.DataFrame(found)


def _alone(problem: str) -> Row:
    """Tiles that are decided each by itself."""
    return {"sequential": False} if problem == ROUNDED else {}


def _decided(problem: str, solver: str, task: problems.Task, parameters: Row) -> InteractionSystem:
    def decide(stage: int, instance: problems.Instance) -> Any:
        return solvers.solve(instance, solver, restarts=1, seed=stage).x

    return cast(InteractionSystem, drive(problems.get(problem), task, parameters, decide))


def _error(made: InteractionSystem, task: problems.Task) -> float:
    """Mean squared error of the images of held-out starts, summed over the pixels."""
    with torch.no_grad():
        apart = made(cast(Tensor, task.held_inputs)) - task.network(cast(Tensor, task.held_inputs))
    return float(apart.square().sum(dim=(1, 2, 3)).mean())


# ---- images


def images(out: Path, *, weights: Path | None = None, seeds: int = 3) -> pd.DataFrame:
    """Trained generators of Fashion-MNIST, what they are held against, and a picture of their samples."""
    dataset = network(SYSTEM).dataset
    real = torch.tensor(load_dataset(dataset).train_inputs)
    found, rows = [_judged("real training images", 0, [real], dataset)], [real[:SHOWN]]
    for name in NAMES:
        try:
            module = cast(Generator, load_network(name, weights=weights and weights / f"{name}.safetensors"))
        except problems.MissingDataError as missing:
            print(f"left out: {missing}", file=sys.stderr)
            continue
        drawn = [frechet_distance.samples_of(module, seed=seed) for seed in range(seeds)]
        found.append(_judged(name, _size(module), drawn, dataset))
        rows.append(drawn[0][:SHOWN])
        _tell(found[-1])
    untrained = cast(Generator, initialised(network(SYSTEM), seed=0))
    drawn = [frechet_distance.samples_of(untrained, seed=seed) for seed in range(seeds)]
    found.append(_judged("untrained", _size(untrained), drawn, dataset))
    drawn = [frechet_distance.gaussian_images(dataset, seed=seed) for seed in range(seeds)]
    found.append(_judged("Gaussian pixels", 0, drawn, dataset))
    save_grid(torch.cat([*rows, drawn[0][:SHOWN]]), out / f"{SYSTEM}.png", columns=SHOWN, zoom=2)
    return pd.DataFrame(found).sort_values("ratio", ignore_index=True)


def _judged(name: str, parameters: int, drawn: list[Tensor], dataset: str) -> Row:
    """A row on draws of images; an interval where there are several."""
    distances = np.array([frechet_distance.distance(one, dataset) for one in drawn])
    ratios = pd.Series(distances / frechet_distance.floor(dataset))
    low, high = mean_interval(ratios, pd.Series(range(len(drawn))))
    return {
        "images": name,
        "parameters": parameters,
        "draws": len(drawn),
        "distance": distances.mean(),
        "ratio": ratios.mean(),
        "low": low,
        "high": high,
        "coverage": np.mean([frechet_distance.coverage(one, dataset) for one in drawn]),
        "confidence": np.mean([frechet_distance.confidence(one, dataset) for one in drawn]),
    }


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# ---- levels

CASES: tuple[tuple[str, str, Row], ...] = (
    *((ROUNDED, "round-to-nearest", {"bits": bits}) for bits in (8, 6, 4, 3, 2)),
    *((ROUNDED, "coordinate-descent", {"bits": bits}) for bits in (6, 4, 3, 2)),
    *((ROUNDED, "coordinate-descent", {"bits": bits, "sequential": True}) for bits in (4, 3)),
    *((ROUNDED, "round-to-nearest", {"bits": 4, "density": share}) for share in (0.95, 0.9, 0.75, 0.5)),
    *((ROUNDED, "coordinate-descent", {"bits": 4, "density": share}) for share in (0.95, 0.9, 0.75, 0.5)),
    ("ais-topology", "greedy", {"keep": 0.75}),
)
"""Tiles are decided each by itself unless told otherwise."""


def levels(
    out: Path, *, name: str = SYSTEM, calibration: int = 100, seeds: int = 3, cases: Any = CASES
) -> pd.DataFrame:
    """The system with few levels and few couplings, by solver.

    Written after every case, so that an interrupted table keeps what there is.
    """
    task, dataset, found = problems.task_of(name, calibration=calibration), network(name).dataset, []
    drawn = [frechet_distance.samples_of(cast(Generator, task.network), seed=seed) for seed in range(seeds)]
    found.append({"problem": "", "solver": "float", "error": 0.0} | _judged(name, 0, drawn, dataset))
    for problem, solver, given in cases:
        began = time.process_time()
        made = _decided(problem, solver, task, _alone(problem) | given)
        row = {"problem": problem, "solver": solver, "seconds": time.process_time() - began, **given}
        row["kept"] = given.get("density", given.get("keep", 1.0))
        row |= {"sequential": "yes" if given.get("sequential") else "no", "error": _error(made, task)}
        drawn = [frechet_distance.samples_of(made, seed=seed) for seed in range(seeds)]
        found.append(row | _judged(name, len(made.edges), drawn, dataset))
        _tell(found[-1])
        pd.DataFrame(found).round(4).to_csv(out / "levels.csv", index=False)
    return pd.DataFrame(found)


def _tell(row: Row) -> None:
    told = (
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()
    )
    print(", ".join(told), file=sys.stderr)


PARTS: dict[str, Callable[..., pd.DataFrame]] = {
    "steps": steps,
    "search": search,
    "forms": forms,
    "images": images,
    "levels": levels,
}


def run(parts: list[str], *, out: Path, weights: Path | None = None) -> Iterator[tuple[str, pd.DataFrame]]:
    """Measure parts, write a CSV of each and yield it. `weights` is a folder of generators, for images."""
    torch.set_num_threads(1)
    out.mkdir(exist_ok=True)
    for part in parts:
        table = PARTS[part](out, **({"weights": weights} if part == "images" else {}))
        # Gradients agree too well for decimals.
        table.to_csv(out / f"{part}.csv", index=False, float_format="%.4g")
        yield part, table
