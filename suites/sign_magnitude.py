"""Sign and magnitude on analog hardware: accuracy against noise, and one fabrication for two tasks.

Run `python -m qubopress.suites.sign_magnitude`; it writes noise.csv, reuse.csv and claims.csv
and prints them.
Networks on the hardware are (a) quantized with zeros that are learned, so that everything is fabricated;
(b) trained on a fixed random topology; (c) decided by QUBO from a trained network, topology fixed as well.
All have equally many weights that are not 0, of equally many bits.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from .. import problems, solvers
from ..problems import Instance
from ..problems.adaround import Weighted
from ..problems.architectures import perceptron
from ..problems.connections import Mask
from ..problems.data import Dataset, load_dataset
from ..problems.networks import Network, accuracy
from ..problems.networks import network as find_network
from ..problems.readout import Readout, analog, estimate
from ..problems.supermasks import Trained, topology_of, train_supermask
from .tables import show

__all__ = ["HARDWARE", "Hardware", "claims", "noise_rows", "reuse_rows", "summary"]

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
    return _train(spec_of(name), load_dataset(spec_of(name).dataset), method, seed)


def by_qubo(name: str, seed: int, *, solver: str, topology: str = "random") -> Trained:
    """Decide from the package's trained network; the seed draws topology and calibration data."""
    calibration = 500 if spec_of(name).dataset == "digits" else 2000
    task = problems.classification_task(name, calibration=calibration, calibration_seed=seed)
    if topology == "chosen":
        start = problems.drive(problems.get("topology"), task, {}, partial(_answer, "swap"))
        task, topology = replace(task, network=start, kept=False), "own"
    given = {"bits": BITS, "density": DENSITY, "topology": topology, "topology_seed": seed}
    made = problems.drive(problems.get("sign-magnitude"), task, given, partial(_answer, solver))
    layers = [(layer, part) for layer, part in made.named_modules() if isinstance(part, Weighted)]
    masks = {layer: np.asarray((part.weight != 0).flatten(1).numpy()) for layer, part in layers}
    return Trained(made, masks, float(BITS))


def _answer(solver: str, stage: int, instance: Instance) -> Any:
    return solvers.solve(instance, solver, restarts=1, seed=stage).x


def _train(
    spec: Network, data: Dataset, method: str, seed: int, exists: dict[str, Mask] | None = None
) -> Trained:
    topology = "all" if method == "learned zeros" or "C" in method else "random"
    return train_supermask(
        spec,
        torch.tensor(data.train_inputs),
        torch.tensor(data.train_targets),
        method=method,
        exists=exists or topology_of(spec, topology=topology, density=DENSITY, seed=seed),
        bits=BITS,
        density=DENSITY,
        seed=seed,
    )


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


def noise_rows(hardware: Hardware, name: str, seed: int) -> Iterator[dict[str, Any]]:
    """One network and its accuracy at every noise, a row each."""
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


# ---- one fabrication, two tasks


def halves(data: Dataset) -> tuple[Dataset, Dataset]:
    """Classes 0 to 4, and classes 5 to 9 renamed 0 to 4."""

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


def reuse_rows(seed: int, *, density: float) -> Iterator[dict[str, Any]]:
    """Train a first task, then a second on what the first has fabricated; a row a fabrication."""
    first, second = halves(load_dataset("digits"))
    spec = replace(find_network("digits-mlp"), build=partial(perceptron, 64, 32, 5))
    random = topology_of(spec, topology="random", density=density, seed=seed)
    everything = topology_of(spec, topology="all")

    def run(data: Dataset, method: str, exists: dict[str, Mask]) -> tuple[Trained, float]:
        made = train_supermask(
            spec,
            torch.tensor(data.train_inputs),
            torch.tensor(data.train_targets),
            method=method,
            exists=exists,
            bits=BITS,
            density=density,
            seed=seed,
        )
        return made, accuracy(made.network, data.test_inputs, data.test_targets)

    for method in ("midrise", "S+M"):
        scores = [run(data, method, random)[1] for data in (first, second)]
        yield _reused(f"fixed random topology, {method}", density, seed, *scores)
    sparse, before = run(first, "learned zeros", everything)
    kept = {name: _nonzero(sparse, name) for name in everything}
    yield _reused("zeros of the first task", density, seed, before, run(second, "midrise", kept)[1])
    again = run(second, "learned zeros", everything)[1]
    yield _reused("zeros of each task, fabricated anew", density, seed, before, again)


def _nonzero(made: Trained, name: str) -> Mask:
    weight = made.network.get_parameter(f"{name}.weight")
    return np.asarray((weight != 0).flatten(1).numpy())


def _reused(fabrication: str, density: float, seed: int, first: float, second: float) -> dict[str, Any]:
    return {"fabrication": fabrication, "density": density, "seed": seed, "first": first, "second": second}


# ---- tables


def summary(rows: pd.DataFrame, by: list[str], values: list[str]) -> pd.DataFrame:
    """Mean over seeds of each value, with its 95 % interval, a row for each combination of `by`."""
    found = []
    for key, cells in rows.groupby(by, sort=False):
        row = dict(zip(by, key, strict=True)) | {"seeds": cells["seed"].nunique()}
        for value in values:
            one = estimate(list(cells[value]))
            row |= {value: one.mean, f"{value} low": one.low, f"{value} high": one.high}
        found.append(row)
    return pd.DataFrame(found)


@dataclass(frozen=True)
class Claim:
    """What is said of two ways: the first is better than the second by more than `margin`."""

    text: str
    better: str
    worse: str
    noise: str = "no noise"
    margin: float = 0.0


CLAIMS = (
    Claim(
        "a fixed topology costs at most 2 points without noise",
        "midrise",
        "midrise, zeros learned",
        margin=-0.02,
    ),
    Claim("S+M is as good as C+S+M without noise, within 2 points", "S+M", "C+S+M", margin=-0.02),
    Claim("S+M beats S without noise", "S+M", "S"),
    Claim("S+M beats M without noise", "S+M", "M"),
    *(
        Claim(f"a fixed topology beats learned zeros at {noise} noise", better, worse, noise)
        for noise in ("20 % additive", "40 % additive", "40 % read")
        for better, worse in (("midrise", "midrise, zeros learned"), ("S+M", "C+S+M"))
    ),
    Claim("beam beats the nearest level without noise", "beam", "nearest level"),
    Claim("training on the topology beats deciding from a trained network", "midrise", "beam"),
    Claim("a chosen topology beats a random one", "beam, topology chosen", "beam"),
)


def claims(noise: pd.DataFrame, reuse: pd.DataFrame) -> pd.DataFrame:
    """Each claim on the difference of the same seeds: it holds where all of its 95 % interval is above."""
    found = []
    for name, cells in noise.groupby("network", sort=False):
        for claim in CLAIMS:
            at = cells[cells["noise"] == claim.noise].pivot(
                index="seed", columns="hardware", values="accuracy"
            )
            if {claim.better, claim.worse} <= set(at.columns):
                difference = at[claim.better] - at[claim.worse]
                found.append(_verdict(str(name), claim, difference))
    for density, cells in reuse.groupby("density", sort=False):
        at = cells.pivot(index="seed", columns="fabrication", values="second")
        text = f"a second task does better on a fixed topology, of density {density:g}"
        claim = Claim(text, "fixed random topology, midrise", "zeros of the first task")
        found.append(_verdict("digits-mlp", claim, at[claim.better] - at[claim.worse]))
    return pd.DataFrame(found)


def _verdict(network: str, claim: Claim, difference: pd.Series[float]) -> dict[str, Any]:
    one = estimate(list(difference.dropna()))
    verdict = "holds" if one.low > claim.margin else "fails" if one.high < claim.margin else "open"
    return {
        "network": network,
        "claim": claim.text,
        "better": claim.better,
        "worse": claim.worse,
        "difference": one.mean,
        "low": one.low,
        "high": one.high,
        "verdict": verdict,
    }


def main(arguments: list[str] | None = None) -> None:
    """Train, decide and measure, print the tables and write them as CSV."""
    parser = argparse.ArgumentParser(description="Sign and magnitude on analog hardware.")
    parser.add_argument("--network", nargs="*", default=["digits-mlp", "fashion-mlp50"])
    parser.add_argument("--seeds", type=int, help="of every network; without it 5 of digits-mlp, else 3")
    parser.add_argument("--out", type=Path, default=Path("results/data/sign-magnitude"), help="folder")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    reuse = pd.DataFrame(
        row
        for density in (0.5, 0.2, 0.1)
        for seed in range(given.seeds or 5)
        for row in reuse_rows(seed, density=density)
    )
    found: list[dict[str, Any]] = []
    for name in given.network:
        for seed in range(given.seeds or (5 if name == "digits-mlp" else 3)):
            for hardware in hardware_for(name):
                found += noise_rows(hardware, name, seed)
    noise = pd.DataFrame(found)
    keys = ["network", "hardware", "kind", "connections", "weights", "bits", "noise"]
    tables = {
        "noise": summary(noise, keys, ["accuracy"]),
        "reuse": summary(reuse, ["fabrication", "density"], ["first", "second"]),
        "claims": claims(noise, reuse),
    }
    for title, table in tables.items():
        table.round(4).to_csv(given.out / f"{title}.csv", index=False)
        show(table.round(4), title=title)


if __name__ == "__main__":
    main()
