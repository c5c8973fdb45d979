"""layer-proofs: processor seconds in which `sphere` proves the last layers of six networks, neuron by neuron.

`qubopress experiment layer-proofs` trains networks of 64 pixels, 64 hidden units and ten classes on the
digits, that differ in their hidden units and in the grid of the last layer: 64 inputs and a bias, 65 columns.
A unit that is never above 0 leaves that layer's gram a rank less. Each neuron is a search of its own, on one
thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from torch import nn

from ... import problems, solvers
from ...problems import Rounding
from ...solvers import Status

__all__ = ["LAYERS", "layer", "measure", "run", "summary"]

TRAINED, EPOCHS, BATCH, RATE = 1_200, 20, 64, 3e-3

SAMPLES = 400
"""Digits that calibrate."""


class ClippedGELU(nn.GELU):
    """GELU that ends at 1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs of any shape, that of the inputs."""
        return super().forward(x).clamp(max=1.0)


LAYERS: Mapping[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    "ReLU, 4 bits": (nn.ReLU, {"bits": 4}),
    "ReLU, 3 bits, one step": (nn.ReLU, {"bits": 3, "per": "tensor"}),
    "clipped ReLU, 3 bits": (lambda: nn.Hardtanh(0.0, 1.0), {"bits": 3}),
    "tanh, 4 bits": (nn.Tanh, {"bits": 4}),
    "tanh, 2 bits": (nn.Tanh, {"bits": 2}),
    "clipped GELU, 4 bits": (ClippedGELU, {"bits": 4}),
}
"""Hidden units, and the grid of the layer behind them."""


def layer(name: str, seed: int) -> Rounding:
    """The last layer of the network of one of LAYERS, ten neurons of 65 columns."""
    units, grid = LAYERS[name]
    pixels, classes = load_digits(return_X_y=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(64, 64), units(), nn.Linear(64, 10))
        order = torch.randperm(len(pixels))
        inputs, targets = torch.tensor(pixels / 16, dtype=torch.float32)[order], torch.tensor(classes)[order]
        _train(network, inputs[:TRAINED], targets[:TRAINED])
    task = problems.own_task(network.eval(), (inputs[:SAMPLES], targets[:SAMPLES]))
    formulation = problems.get("adaround")
    stages = formulation.generate(task, **{**formulation.defaults, **grid})
    last = stages.send(next(stages).baseline())
    assert isinstance(last, Rounding)
    return last


def _train(network: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    for _ in range(EPOCHS):
        for batch in torch.split(torch.randperm(len(inputs)), BATCH):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(inputs[batch]), targets[batch])
            torch.autograd.backward(loss)
            optimizer.step()


def measure(name: str, *, seed: int, neurons: int, nodes: int) -> Iterator[dict[str, Any]]:
    """A row for each of the first neurons of a layer; `nodes` are those after which one is given up."""
    whole = layer(name, seed)
    for row in range(min(neurons, whole.n)):
        one = replace(
            whole,
            shift=whole.shift[row : row + 1],
            scale=float(np.broadcast_to(whole.scale, whole.n)[row]),
            fixed=whole.fixed[row : row + 1],
        )
        begun = time.process_time()
        found = solvers.solve(one, "sphere", restarts=1, nodes=nodes)
        yield {
            "layer": name,
            "seed": seed,
            "neuron": row,
            "rank": int(np.linalg.matrix_rank(whole.gram)),
            "free": int((one.fixed < 0).sum()),
            "status": found.status.value,
            "seconds": time.process_time() - begun,
            "nodes": found.counts.get("nodes", 0),
            "loss": found.loss,
            "bound": found.bound,
        }


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a layer: how many neurons were proven, mean and worst processor seconds, millions of nodes."""
    found = []
    for name, part in rows.groupby("layer", sort=False):
        proven = int((part["status"] == Status.OPTIMAL.value).sum())
        found.append(
            {
                "layer": name,
                "rank": part["rank"].iloc[0],
                "proven": f"{proven} of {len(part)}",
                "mean seconds": f"{part['seconds'].mean():.2f}",
                "worst": f"{part['seconds'].max():.2f}",
                "million nodes": f"{part['nodes'].mean() / 1e6:.1f}",
            }
        )
    return pd.DataFrame(found)


def run(*, out: Path, seed: int, neurons: int, nodes: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """Measure, write every neuron's row to layer-proofs.csv after each layer, and yield the summary."""
    rows: list[dict[str, Any]] = []
    solvers.solve(layer(next(iter(LAYERS)), seed), "sphere", restarts=1, nodes=1_000)  # compiles
    out.mkdir(exist_ok=True)
    for name in LAYERS:
        rows += measure(name, seed=seed, neurons=neurons, nodes=nodes)
        pd.DataFrame(rows).to_csv(out / "layer-proofs.csv", index=False, float_format="%.6g")
    yield f"Six layers of 65 columns, networks of seed {seed}, sphere", summary(pd.DataFrame(rows))
