"""Large layers: round to nearest, nearest planes and beams on synthetic ones, on a GPU or the processor.

Run `python -m qubopress.suites.experiments.large_layers --device cuda --shape 4096x4096 --shape 4096x11008`.
The inputs are Gaussian with a spectrum that falls as 1/i (i = 1 … f) in a random basis, which is about what
activations of language models show, and some inputs ten times the others' size; weights are normal, on a grid
of 2^bits steps from the least to the greatest weight of each neuron. Every row keeps the machine's name.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ... import solvers
from ...problems import InputError, Rounding
from ...problems.arrays import Floats
from ...solvers.devices import NUMBA, device_of
from ...solvers.run import Declined
from ..harness.provenance import provenance
from ..terminal.tables import show

__all__ = ["correlated_gram", "layer", "main", "measure", "shape_of"]

SEED = 20261122

CONTESTANTS: dict[str, dict[str, Any]] = {"nearest-plane": {}, "beam": {}}
"""Solvers beside round to nearest, and parameters that differ from their defaults."""

OUTLIERS, TIMES = 0.01, 10.0
"""Share of inputs that stand out, and by how much."""


def correlated_gram(f: int, *, seed: int = SEED, device: torch.device | None = None) -> Floats:
    """Gram matrix (f, f) of inputs whose covariance has eigenvalues ∝ 1/i, and outliers; mean diagonal 1."""
    rng = np.random.default_rng(seed)
    basis, _ = torch.linalg.qr(torch.tensor(rng.standard_normal((f, f)), device=device))
    spectrum = 1.0 / torch.arange(1, f + 1, dtype=torch.float64, device=device)
    gram = (basis * spectrum) @ basis.T
    size = torch.tensor(np.where(rng.random(f) < OUTLIERS, TIMES, 1.0), device=device)
    gram = gram * size[:, None] * size
    gram = (gram + gram.T) / 2
    return np.asarray((gram / gram.diagonal().mean()).cpu().numpy())


def layer(gram: Floats, n: int, *, bits: int, seed: int = SEED) -> Rounding:
    """Neurons of normal weights, each on its min–max grid; the choice is the floor or one above."""
    weights = np.random.default_rng([seed, n]).standard_normal((n, len(gram)))
    low, high = weights.min(axis=1), weights.max(axis=1)
    scale = (high - low) / (2**bits - 1)
    position = (weights - low[:, None]) / scale[:, None]
    floor = np.minimum(np.floor(position), 2**bits - 2)
    return Rounding(gram, np.clip(position - floor, 0.0, 1.0), scale)


def shape_of(text: str) -> tuple[int, int]:
    """Neurons and inputs from "4096x11008".

    Raises:
        InputError: it is none.
    """
    n, _, f = text.partition("x")
    if not (n.isdecimal() and f.isdecimal() and int(n) and int(f)):
        raise InputError(f"shape must be NEURONSxINPUTS such as 4096x11008, got {text!r}")
    return int(n), int(f)


def measure(
    shapes: Iterable[tuple[int, int]], *, device: str, bits: Iterable[int] = (4, 3), threads: int = 1
) -> Iterator[dict[str, Any]]:
    """A row for every shape, grid and solver, as soon as it is known.

    `loss ratio` is in units of round to nearest's. `seconds` are the search's wall clock, transfers to the
    device and the factorisation included, the instance's making and the loss's recomputation not.

    Raises:
        InputError, Declined: the device is unknown, or not there.
    """
    place = None if device == NUMBA else device_of(device)
    where = {"machine": provenance().machine, "device": _device_name(place)}
    for name in CONTESTANTS:
        # The first call compiles, or starts the GPU.
        _solve(layer(correlated_gram(48, device=place), 8, bits=4), name, device, threads)
    for n, f in shapes:
        gram = correlated_gram(f, device=place)
        for each in bits:
            one = layer(gram, n, bits=each)
            begun = time.perf_counter()
            nearest = one.loss(one.nearest())
            found = {"round-to-nearest": (nearest, time.perf_counter() - begun)}
            found |= {name: _solve(one, name, device, threads) for name in CONTESTANTS}
            for name, (loss, seconds) in found.items():
                yield {
                    "neurons": n,
                    "inputs": f,
                    "bits": each,
                    "solver": name,
                    "loss": loss,
                    "loss ratio": loss / nearest,
                    "seconds": seconds,
                    **where,
                }


def _solve(one: Rounding, name: str, device: str, threads: int) -> tuple[float, float]:
    """Loss and seconds of one run of fixed work."""
    found = solvers.solve(one, name, restarts=1, device=device, threads=threads, **CONTESTANTS[name])
    assert found.loss is not None, found.message
    return found.loss, found.seconds


def _device_name(place: torch.device | None) -> str:
    if place is None:
        return NUMBA
    return torch.cuda.get_device_name(place) if place.type == "cuda" else place.type


def main(arguments: list[str] | None = None) -> None:
    """Print the table and write it as a CSV file, anew after every row."""
    parser = argparse.ArgumentParser(description="Rounding of large synthetic layers.")
    parser.add_argument("--device", default=NUMBA, help="numba, or torch's cpu, cuda, cuda:1 and so on")
    parser.add_argument("--shape", action="append", help="NEURONSxINPUTS; may be given again")
    parser.add_argument("--bits", type=int, action="append", help="of the grid; may be given again")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results/data/large-layers"), help="folder")
    given = parser.parse_args(arguments)
    try:
        shapes = [shape_of(text) for text in given.shape or ["4096x4096", "4096x11008"]]
        bits = given.bits or [4, 3]
        given.out.mkdir(parents=True, exist_ok=True)
        rows = []
        for row in measure(shapes, device=given.device, bits=bits, threads=given.threads):
            rows.append(row)
            pd.DataFrame(rows).to_csv(given.out / "large-layers.csv", index=False)
    except (InputError, Declined) as error:
        sys.exit(f"{parser.prog}: {error}")
    show(pd.DataFrame(rows).drop(columns="machine"), title=rows[0]["machine"])


if __name__ == "__main__":
    main()
