"""Sign and magnitude on analog hardware: accuracy against noise, and one fabrication for two tasks.

`qubopress experiment sign-magnitude` writes noise.csv, reuse.csv, solvers.csv and claims.csv and prints them.
Networks on the hardware are (a) quantized with zeros that are learned, so that everything is fabricated; (b)
trained on a fixed random topology; (c) decided by QUBO from a trained network, topology fixed as well. All
have equally many weights that are not 0 in every layer, of equally many bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from ... import problems, solvers
from ...problems import Instance, Task
from ...problems.analog.connections import Mask
from ...problems.analog.noisy_readout import Readout, analog
from ...problems.datasets.dataset import Dataset, Floats, load_dataset
from ...problems.networks.architectures import perceptron
from ...problems.networks.zoo import Network
from ...problems.networks.zoo import network as find_network
from ...problems.quantization.weight_layers import Weighted
from ...problems.tasks.accuracy import accuracy
from ...results.scoring.paired_choices import side_by_side
from ...results.scoring.statistics import mean_interval
from .parallel import each
from .supermasks import Trained, topology_of, train_supermask

__all__ = [
    "HARDWARE",
    "TASKS",
    "Hardware",
    "claims",
    "noise_rows",
    "reuse_rows",
    "run",
    "solver_rows",
    "summary",
]

BITS, DENSITY = 2, 0.5

READS = 1500
"""Least number of noisy test samples for each seed."""

NOISES = (
    Readout(),
    *(Readout(read_noise=rho) for rho in (0.1, 0.2, 0.4)),
    *(Readout(additive_noise=alpha) for alpha in (0.05, 0.1, 0.2, 0.4)),
    Readout(converter_bits=6),
    Readout(read_noise=0.1, additive_noise=0.1, converter_bits=6),
)


@dataclass(frozen=True)
class Hardware:
    """A way to a network on the hardware.

    Attributes:
        name: for tables.
        kind: "learned zeros", "fixed, trained" or "fixed, QUBO".
        make: from a network's name and a seed.
    """

    name: str
    kind: str
    make: Callable[[str, int], Trained]


def spec_of(name: str) -> Network:
    """How a network is trained here; the large data set in larger batches and fewer passes."""
    spec = find_network(name)
    return spec if spec.dataset == "digits" else replace(spec, epochs=8, learning_rate=0.005, batch=512)


def by_training(name: str, seed: int, *, method: str) -> Trained:
    """Train from the seed; where zeros are learned, on all connections."""
    spec = spec_of(name)
    random = topology_of(spec, topology="random", density=DENSITY, seed=seed)
    exists = topology_of(spec, topology="all") if method == "learned zeros" or "C" in method else random
    return trained(spec, load_dataset(spec.dataset), method, exists=exists, shares=shares(random), seed=seed)


def trained(
    spec: Network,
    data: Dataset,
    method: str,
    *,
    exists: dict[str, Mask],
    shares: Mapping[str, float],
    seed: int,
) -> Trained:
    """A network trained on `exists`, of which those `shares` are not 0 where zeros are learned."""
    return train_supermask(
        spec,
        torch.tensor(data.train_inputs),
        torch.tensor(data.train_targets),
        method=method,
        exists=exists,
        bits=BITS,
        density=shares,
        seed=seed,
    )


def shares(masks: dict[str, Mask]) -> dict[str, float]:
    """Share of each layer's weights that exist."""
    return {name: float(mask.mean()) for name, mask in masks.items()}


def by_qubo(name: str, seed: int, *, solver: str, topology: str = "random") -> Trained:
    """Decide from the package's trained network; the seed draws topology and calibration data."""
    return decided(name, seed, solver=solver, topology=topology)[0]


def decided(name: str, seed: int, *, solver: str, topology: str) -> tuple[Trained, float]:
    """The network that a solver decides, and the loss: its layers' mean squared errors."""
    calibration = 500 if spec_of(name).dataset == "digits" else 2000
    task = problems.classification_task(name, calibration=calibration, calibration_seed=seed)
    if topology == "chosen":
        start = _driven("topology", task, {}, "swap")[0]
        task, topology = replace(task, network=start, kept=False), "own"
    given = {"bits": BITS, "density": DENSITY, "topology": topology, "topology_seed": seed}
    made, loss = _driven("sign-magnitude", task, given, solver)
    layers = [(layer, part) for layer, part in made.named_modules() if isinstance(part, Weighted)]
    masks = {layer: np.asarray((part.weight != 0).flatten(1).numpy()) for layer, part in layers}
    return Trained(made, masks, float(BITS)), loss


def _driven(problem: str, task: Task, given: dict[str, Any], solver: str) -> tuple[nn.Module, float]:
    """Where a formulation ends, and the sum of its stages' losses."""
    losses: list[float] = []

    def decide(stage: int, instance: Instance) -> Any:
        solution = solvers.solve(instance, solver, restarts=1, seed=stage)
        losses.append(instance.loss(solution.x))
        return solution.x

    return problems.drive(problems.get(problem), task, given, decide), sum(losses)


LEARNED, TRAINED, QUBO = "learned zeros", "fixed, trained", "fixed, QUBO"

HARDWARE = (
    Hardware("midrise, zeros learned", LEARNED, partial(by_training, method="learned zeros")),
    *(Hardware(name, LEARNED, partial(by_training, method=name)) for name in ("C", "C+M", "C+S", "C+S+M")),
    *(Hardware(name, TRAINED, partial(by_training, method=name)) for name in ("S", "M", "S+M")),
    Hardware("midrise", TRAINED, partial(by_training, method="midrise")),
    Hardware("nearest level", QUBO, partial(by_qubo, solver="round-to-nearest")),
    Hardware("beam", QUBO, partial(by_qubo, solver="beam")),
    Hardware("beam, topology chosen", QUBO, partial(by_qubo, solver="beam", topology="chosen")),
)

BRIEF = ("midrise, zeros learned", "midrise", "C+S+M", "S+M", "nearest level", "beam")
"""What is measured on networks larger than digits-mlp."""

# ---- accuracy against noise


def hardware_for(name: str) -> list[Hardware]:
    """What is measured on a network."""
    return [one for one in HARDWARE if name == "digits-mlp" or one.name in BRIEF]


def noise_rows(hardware: Hardware, name: str, seed: int) -> list[dict[str, Any]]:
    """One network and its accuracy at every noise, a row each."""
    return list(_noise_rows(hardware, name, seed))


def _noise_rows(hardware: Hardware, name: str, seed: int) -> Iterator[dict[str, Any]]:
    made, data = hardware.make(name, seed), load_dataset(spec_of(name).dataset)
    inputs = torch.tensor(data.train_inputs[:500])
    draws = -(-READS // len(data.test_targets))
    for readout in NOISES:
        runs = [
            analog(made.network, readout, exists=made.fabricated, inputs=inputs, seed=draws * seed + draw)
            for draw in range(draws)
        ]
        yield {
            "network": name,
            "hardware": hardware.name,
            "kind": hardware.kind,
            "connections": made.connections,
            "weights": made.weights,
            "bits": round(made.bits, 2),
            "noise": readout.text,
            "seed": seed,
            "accuracy": float(np.mean([accuracy(run, data.test_inputs, data.test_targets) for run in runs])),
        }


# ---- beam against the nearest level


def solver_rows(name: str, seed: int) -> list[dict[str, Any]]:
    """Loss and accuracy by either solver on a random topology and on all connections, without noise."""
    data = load_dataset(spec_of(name).dataset)
    rows = []
    for topology in ("random", "all"):
        for solver in ("round-to-nearest", "beam"):
            made, loss = decided(name, seed, solver=solver, topology=topology)
            row = {"network": name, "topology": topology, "solver": solver, "seed": seed, "loss": loss}
            rows.append(row | {"accuracy": accuracy(made.network, data.test_inputs, data.test_targets)})
    return rows


# ---- one fabrication, two tasks


def halves() -> tuple[Dataset, Dataset]:
    """Digits 0 to 4, and digits 5 to 9 renamed 0 to 4."""
    data = load_dataset("digits")

    def part(first: int) -> Dataset:
        train, test = (
            (targets >= first) & (targets < first + 5) for targets in (data.train_targets, data.test_targets)
        )
        return replace(
            data,
            train_inputs=data.train_inputs[train],
            train_targets=data.train_targets[train] - first,
            test_inputs=data.test_inputs[test],
            test_targets=data.test_targets[test] - first,
        )

    return part(0), part(5)


def both() -> tuple[Dataset, Dataset]:
    """Digits, and as many pictures of Fashion-MNIST at their 8×8 pixels; all the latter's test pictures."""
    digits, fashion = load_dataset("digits"), load_dataset("fashion-mnist")
    samples = len(digits.train_inputs)
    return digits, replace(
        fashion,
        train_inputs=_small(fashion.train_inputs[:samples]),
        train_targets=fashion.train_targets[:samples],
        test_inputs=_small(fashion.test_inputs),
    )


def _small(pictures: Floats) -> Floats:
    """Pictures (N, 1, 28, 28) with a frame of two dark pixels, as means over 4×4: (N, 1, 8, 8)."""
    framed = np.pad(pictures, ((0, 0), (0, 0), (2, 2), (2, 2)))
    return np.asarray(framed.reshape(-1, 1, 8, 4, 8, 4).mean(axis=(3, 5)))


TASKS: dict[str, Callable[[], tuple[Dataset, Dataset]]] = {
    "digits 0–4, then 5–9": halves,
    "digits, then Fashion-MNIST": both,
    "Fashion-MNIST, then digits": lambda: both()[::-1],
}
"""Two tasks that one fabrication must serve: alike, and unlike in either order."""

DENSITIES = (0.5, 0.2, 0.1, 0.05)
"""From where any half of the connections will do to where it matters which."""

RANDOM, ZEROS = "fixed random topology, midrise", "zeros of the first task"


def reuse_rows(tasks: str, density: float, seed: int) -> list[dict[str, Any]]:
    """Train a first task, then a second on what the first has fabricated; a row a fabrication."""
    first, second = TASKS[tasks]()
    classes = int(first.train_targets.max()) + 1
    spec = replace(find_network("digits-mlp"), build=partial(perceptron, 64, 32, classes))
    random = topology_of(spec, topology="random", density=density, seed=seed)
    everything = topology_of(spec, topology="all")

    def run(data: Dataset, method: str, exists: dict[str, Mask]) -> tuple[Trained, float]:
        made = trained(spec, data, method, exists=exists, shares=shares(random), seed=seed)
        return made, accuracy(made.network, data.test_inputs, data.test_targets)

    sparse, before = run(first, "learned zeros", everything)
    kept = {name: _nonzero(sparse, name) for name in everything}
    scores = {
        RANDOM: [run(data, "midrise", random)[1] for data in (first, second)],
        "fixed random topology, S+M": [run(data, "S+M", random)[1] for data in (first, second)],
        ZEROS: [before, run(second, "midrise", kept)[1]],
        "zeros of each task, fabricated anew": [before, run(second, "learned zeros", everything)[1]],
    }
    case = {"tasks": tasks, "density": density, "seed": seed}
    return [
        {"fabrication": name, **case, "first": one, "second": two, "both": (one + two) / 2}
        for name, (one, two) in scores.items()
    ]


def _nonzero(made: Trained, name: str) -> Mask:
    weight = made.network.get_parameter(f"{name}.weight")
    return np.asarray((weight != 0).flatten(1).numpy())


# ---- tables


def summary(rows: pd.DataFrame, by: list[str], values: list[str]) -> pd.DataFrame:
    """Mean over seeds of each value with its 95 % interval, a row for each combination of `by`."""
    found = []
    for key, cells in rows.groupby(by, sort=False):
        row = dict(zip(by, key, strict=True)) | {"seeds": cells["seed"].nunique()}
        for value in values:
            low, high = mean_interval(cells[value], cells["seed"])
            row |= {value: cells[value].mean(), f"{value} low": low, f"{value} high": high}
        found.append(row)
    return pd.DataFrame(found)


@dataclass(frozen=True)
class Contrast:
    """What is said of two ways: the first is more accurate than the second by more than `margin`."""

    text: str
    better: str
    worse: str
    noise: str = "no noise"
    margin: float = 0.0


CONTRASTS = (
    Contrast(
        "a fixed topology costs at most 2 points without noise",
        "midrise",
        "midrise, zeros learned",
        margin=-0.02,
    ),
    Contrast("S+M is as good as C+S+M without noise, within 2 points", "S+M", "C+S+M", margin=-0.02),
    Contrast("magnitudes help signs", "S+M", "S"),
    Contrast("signs help magnitudes", "S+M", "M"),
    *(
        Contrast(f"a fixed topology beats learned zeros at {noise} noise", better, worse, noise)
        for noise in ("20 % additive", "40 % additive", "40 % read")
        for better, worse in (("midrise", "midrise, zeros learned"), ("S+M", "C+S+M"))
    ),
    Contrast("training on the topology beats deciding from a trained network", "midrise", "beam"),
    Contrast("a chosen topology beats a random one", "beam, topology chosen", "beam"),
)


def claims(noise: pd.DataFrame, reuse: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """Each claim on the differences of equal seeds, in the words of `results.claims`."""
    found = [*_noise_claims(noise), *_reuse_claims(reuse), *_solver_claims(decisions)]
    return pd.DataFrame(found)


def _noise_claims(noise: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for name, cells in noise.groupby("network", sort=False):
        for one in CONTRASTS:
            at = cells[cells["noise"] == one.noise].pivot(index="seed", columns="hardware", values="accuracy")
            if {one.better, one.worse} <= set(at.columns):
                text = f"{one.text}: {one.better} against {one.worse}"
                yield _judged(text, str(name), "accuracy", at[one.better], at[one.worse], margin=one.margin)


def _reuse_claims(reuse: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The claim is made of the second task; what the first pays for it is in both tasks' mean."""
    for (tasks, density), cells in reuse.groupby(["tasks", "density"], sort=False):
        text = f"a random topology serves better than the first task's zeros: {tasks}, density {density:g}"
        for column, metric in (("second", "accuracy, second task"), ("both", "accuracy, both tasks")):
            at = cells.pivot(index="seed", columns="fabrication", values=column)
            yield _judged(text, "digits-mlp", metric, at[RANDOM], at[ZEROS])


def _solver_claims(decisions: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for (name, topology), cells in decisions.groupby(["network", "topology"], sort=False):
        for metric, sign in (("loss", -1), ("accuracy", 1)):
            at = cells.pivot(index="seed", columns="solver", values=metric)
            text = f"beam beats the nearest level, topology {topology}"
            yield _judged(text, str(name), metric, at["beam"], at["round-to-nearest"], sign=sign)


def _judged(
    text: str,
    network: str,
    metric: str,
    better: pd.Series[float],
    worse: pd.Series[float],
    *,
    sign: int = 1,
    margin: float = 0.0,
) -> dict[str, Any]:
    """A row as `results.claims.judged` makes it; the mean difference must lie above the margin."""
    differences = sign * (better - worse).dropna()
    found = side_by_side(better, worse, differences, differences.index, margin=margin)
    return {"claim": text, "network": network, "metric": metric, **found}


USUAL_SEEDS, SEEDS = 5, {"fashion-mlp50": 3}
"""Of everything, and under noise of a network that takes minutes to train."""


def run(
    *,
    networks: Sequence[str],
    decide: Sequence[str],
    tasks: Sequence[str],
    seeds: int | None,
    jobs: int,
    out: Path,
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Train, decide and measure, then write and yield each table.

    Parameters:
        networks: measured under noise.
        decide: networks that both solvers decide.
        tasks: names in TASKS, of the reuse of a fabrication.
        seeds: None is 5, and under noise what SEEDS says.
        jobs: processes.
        out: folder of the CSV files.
    """
    noises = [
        (way, name, seed)
        for name in networks
        for seed in range(seeds or SEEDS.get(name, USUAL_SEEDS))
        for way in hardware_for(name)
    ]
    usual = range(seeds or USUAL_SEEDS)
    noise = _measured(noise_rows, noises, jobs)
    reuse = _measured(
        reuse_rows, [(two, density, seed) for two in tasks for density in DENSITIES for seed in usual], jobs
    )
    decisions = _measured(solver_rows, [(name, seed) for name in decide for seed in usual], jobs)
    out.mkdir(exist_ok=True)
    for title, table in _tables(noise, reuse, decisions).items():
        table.round(4).to_csv(out / f"{title}.csv", index=False)
        yield title, table.round(4)


def _tables(noise: pd.DataFrame, reuse: pd.DataFrame, decisions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    keys = ["network", "hardware", "kind", "connections", "weights", "bits", "noise"]
    return {
        "noise": summary(noise, keys, ["accuracy"]),
        "reuse": summary(reuse, ["tasks", "density", "fabrication"], ["first", "second", "both"]),
        "solvers": summary(decisions, ["network", "topology", "solver"], ["loss", "accuracy"]),
        "claims": claims(noise, reuse, decisions),
    }


def _measured(rows: Callable[..., list[dict[str, Any]]], cases: list[Any], jobs: int) -> pd.DataFrame:
    """Rows of all cases in their order."""
    return pd.DataFrame([row for part in each(rows, cases, jobs=jobs) for row in part])
