"""compress_bench: what `compress` makes of two networks with every rounding solver, beside a training epoch.

`qubopress experiment compress-bench` prints it. One network is ours, fashion-cnn; the other, trained here on
the digits, has what no plain chain has: a residual add, a stride of 2, groups and BatchNorms.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from ... import problems, solvers
from ...problems import Instance, Rounding
from ...problems.datasets.dataset import Dataset, load_dataset
from ...problems.networks.weights import load_network
from ...problems.networks.zoo import Network, network
from ...problems.tasks.accuracy import accuracy
from ...problems.tasks.fitting import fit
from ...problems.tasks.training import initialised
from ..spec import seed_of

__all__ = [
    "GROUPED",
    "Grouped",
    "Subject",
    "board",
    "compressed",
    "grouped",
    "places",
    "registered",
    "rounders",
    "run",
]

BITS = (4, 3, 2)

GRIDS = (("minmax", "channel"), ("mse", "channel"), ("minmax", "tensor"))
"""Grids, and whether a tensor or each channel has its own; the first is the formulation's default."""

SAMPLES = 1000
"""Calibration samples, from the training split."""

SECONDS = 2.0
"""Of each layer for an exact solver, whose fixed work has no end in reach."""


class Grouped(nn.Module):
    """Images (1, 8, 8) to 10 classes by a strided stem, and a grouped and a depthwise layer around an add."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(16)
        self.grouped = nn.Conv2d(16, 16, 3, padding=1, groups=4, bias=False)
        self.norm2 = nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
        self.norm3 = nn.BatchNorm2d(16)
        self.head = nn.Linear(16 * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 8, 8)."""
        x = functional.relu(self.norm1(self.stem(x)))
        x = x + functional.relu(self.norm2(self.grouped(x)))
        x = functional.relu(x + self.norm3(self.depthwise(x)))
        logits: Tensor = self.head(torch.flatten(x, 1))
        return logits


GROUPED = Network("grouped", "digits", Grouped, epochs=4, learning_rate=0.01, batch=64)
"""How the second network is trained; no suite knows it. Its samples come in nine places, a pixel apart."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained network, its data, and the processor seconds of a training epoch."""

    name: str
    network: nn.Module
    data: Dataset
    epoch_seconds: float

    def accuracy(self, candidate: nn.Module) -> float:
        """Of a network on the test split, in [0, 1]."""
        return accuracy(candidate, self.data.test_inputs, self.data.test_targets)


def grouped(*, seed: int = 0) -> Subject:
    """The network of groups, trained from a seed."""
    data = load_dataset(GROUPED.dataset)
    images, classes = places(data.train_inputs, data.train_targets)
    module, seconds = _trained(GROUPED, images, classes, GROUPED.epochs, seed)
    return Subject(GROUPED.name, module, data, seconds)


def places(images: Any, classes: Any) -> tuple[Tensor, Tensor]:
    """Images (9 N, 1, 8, 8) of the digits (N, 1, 8, 8), each in nine places a pixel apart, and classes."""
    wide = functional.pad(torch.tensor(images), (1, 1, 1, 1))
    moved = [wide[:, :, i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
    return torch.cat(moved), torch.tensor(classes).repeat(9)


def registered(name: str) -> Subject:
    """A network of ours with the weights that it has; a twentieth of an epoch is timed, and dropped."""
    spec = network(name)
    data = load_dataset(spec.dataset)
    some = len(data.train_targets) // 20
    images, classes = torch.tensor(data.train_inputs[:some]), torch.tensor(data.train_targets[:some])
    return Subject(name, load_network(name), data, 20 * _trained(spec, images, classes, 1, 0)[1])


def _trained(
    spec: Network, inputs: Tensor, targets: Tensor, epochs: int, seed: int
) -> tuple[nn.Module, float]:
    """The network, and the processor seconds of its quickest epoch."""
    module, times = initialised(spec, seed=seed), [time.process_time()]
    for _ in fit(module, spec, inputs, targets, epochs, seed):
        times.append(time.process_time())
    return module.eval().requires_grad_(False), float(np.diff(times).min())


def compressed(subject: Subject, solver: str, **parameters: Any) -> dict[str, Any]:
    """A row of the table: the compressed network's accuracy, its loss, and the processor seconds taken.

    The same steps as `compress` takes, which keeps no loss.
    """
    budget = {"seconds": SECONDS} if solvers.get(solver).exact else {"restarts": 1}
    losses: list[tuple[float, float]] = []

    def decide(stage: int, layer: Instance) -> Any:
        found = solvers.solve(layer, solver, seed=seed_of("compress", 0, stage), **budget)
        assert found.loss is not None
        losses.append((found.loss, layer.loss(layer.baseline())))
        return found.x

    data = subject.data.train_inputs[:SAMPLES], subject.data.train_targets[:SAMPLES]
    begun = time.process_time()
    task = problems.own_task(subject.network, data, samples=SAMPLES)
    made = problems.drive(problems.get("adaround"), task, parameters, decide)
    seconds = time.process_time() - begun
    found, nearest = np.sum(losses, axis=0)
    return {
        "network": subject.name,
        **parameters,
        "solver": solver,
        "accuracy": subject.accuracy(made),
        "ratio": found / nearest if nearest > 0 else np.nan,
        "seconds": seconds,
        "epochs": seconds / subject.epoch_seconds,
    }


def board(subject: Subject, names: Sequence[str]) -> pd.DataFrame:
    """A row for every grid, width and solver; `points` from the float accuracy, ± is its 95 % interval's."""
    settings = [{"bits": bits, "grid": grid, "per": per} for grid, per in GRIDS for bits in BITS]
    rows = []
    for one, name in itertools.product(settings, names):
        rows.append(compressed(subject, name, **one))
        print(f"{len(rows)} of {len(settings) * len(names)}: {rows[-1]}", file=sys.stderr)
    table, exact = pd.DataFrame(rows), subject.accuracy(subject.network)
    spread = 1.96 * (table["accuracy"] * (1 - table["accuracy"]) / len(subject.data.test_targets)) ** 0.5
    return table.assign(points=100 * (table["accuracy"] - exact), **{"±": 100 * spread})


def rounders() -> list[str]:
    """Every solver of layers as they are."""
    return [name for name in solvers.names() if Rounding in solvers.get(name).accepts]


def run(
    networks: Sequence[str], *, names: Sequence[str], out: Path | None = None
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield a table for each network, then write all as one CSV file where asked.

    Parameters:
        networks: classifiers of ours, or "grouped".
        names: rounding solvers.
        out: the file.
    """
    torch.set_num_threads(1)
    for name in names:
        solvers.warm(name, Rounding)
    tables = []
    for name in networks:
        subject = grouped() if name == GROUPED.name else registered(name)
        exact = subject.accuracy(subject.network)
        tables.append(board(subject, names))
        yield f"{subject.name}: {exact:.2%} in float, {subject.epoch_seconds:.2f} s an epoch", tables[-1]
    if out is not None:
        pd.concat(tables).to_csv(out, index=False)
