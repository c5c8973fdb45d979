"""Generators of digits over seeds: how far their images are from real ones, and what each part is worth.

`qubopress experiment trained-generators` trains every generator of digits from each seed, writes seeds.csv
and generators.csv and prints the latter. Distances are ratios to the `floor`, that of real training images to
real test images. Training is that of `qubopress train`, about a minute a seed and core.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor

from ...problems.datasets.dataset import load_dataset
from ...problems.networks.image_generators import Generator
from ...problems.networks.zoo import GENERATORS, network
from ...problems.tasks.frechet_distance import (
    confidence,
    coverage,
    distance,
    floor,
    gaussian_images,
    samples_of,
)
from ...problems.tasks.training import initialised, train
from ...results.scoring.statistics import mean_interval
from .parallel import each

__all__ = ["DIGITS", "judged", "run", "summary", "trained_row", "untrained_rows"]

DIGITS = tuple(spec.name for spec in GENERATORS if spec.dataset == "digits")


def judged(name: str, seed: int, images: Tensor, *, parameters: int = 0) -> dict[str, Any]:
    """A row on images (N, 1, 8, 8) of digits."""
    found = distance(images, "digits")
    return {
        "generator": name,
        "seed": seed,
        "parameters": parameters,
        "distance": found,
        "ratio": found / floor("digits"),
        "coverage": coverage(images, "digits"),
        "confidence": confidence(images, "digits"),
    }


def trained_row(name: str, seed: int, epochs: int | None = None) -> dict[str, Any]:
    """A generator of ours, trained from a seed."""
    module = cast(Generator, train(name, seed=seed, epochs=epochs)[0])
    return judged(name, seed, samples_of(module), parameters=_size(module))


def untrained_rows(seeds: int) -> Iterator[dict[str, Any]]:
    """Generators before training, a Gaussian model of the pixels, and real training images."""
    for seed in range(seeds):
        module = cast(Generator, initialised(network("digits-generator"), seed=seed))
        yield judged("untrained", seed, samples_of(module), parameters=_size(module))
        yield judged("Gaussian pixels", seed, gaussian_images("digits", seed=seed))
    yield judged("real training images", 0, torch.tensor(load_dataset("digits").train_inputs))


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds of each generator, the ratio with its 95 % bootstrap interval; best first."""
    found = []
    for name, cells in rows.groupby("generator", sort=False):
        low, high = mean_interval(cells["ratio"], cells["seed"])
        means = cells[["distance", "ratio"]].mean().to_dict() | {"low": low, "high": high}
        means |= cells[["coverage", "confidence"]].mean().to_dict()
        first = {"generator": name, "parameters": cells["parameters"].iloc[0], "seeds": len(cells)}
        found.append(first | means)
    return pd.DataFrame(found).sort_values("ratio", ignore_index=True)


def _size(module: Generator) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def run(
    generators: Sequence[str], *, seeds: int, epochs: int | None, jobs: int, out: Path
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Train every generator from each seed, judge it, write both tables and yield their summary."""
    cases = [(name, seed, epochs) for seed in range(seeds) for name in generators]
    trained = each(trained_row, cases, jobs=jobs)
    rows = pd.DataFrame([*trained, *untrained_rows(seeds)])
    out.mkdir(exist_ok=True)
    rows.round(4).to_csv(out / "seeds.csv", index=False)
    table = summary(rows).round(3)
    table.to_csv(out / "generators.csv", index=False)
    yield "generators", table
