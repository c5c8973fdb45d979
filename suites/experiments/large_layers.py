"""Large layers: round to nearest, nearest planes and beams on synthetic ones, on a GPU or the processor.

`qubopress experiment large-layers --device cuda --shape 4096x4096 --shape 4096x11008` prints a row for each.
The inputs are Gaussian with a spectrum that falls as 1/i (i = 1 … f) in a random basis, which is about what
activations of language models show, and some inputs ten times the others' size; weights are normal, on a grid
of 2^bits steps from the least to the greatest weight of each neuron. Every row keeps the machine's name.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ... import solvers
from ...problems import InputError, Rounding
from ...problems.arrays import Floats
from ...solvers.devices import NUMBA, device_of
from ..harness.provenance import provenance

__all__ = ["correlated_gram", "layer", "measure", "run", "shape_of"]

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


def run(
    shapes: Sequence[tuple[int, int]], *, device: str, bits: Sequence[int], threads: int, out: Path
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Measure, write the table as a CSV file, anew after every row, and yield it.

    Raises:
        InputError, Declined: the device is unknown, or not there.
    """
    rows = []
    for row in measure(shapes, device=device, bits=bits, threads=threads):
        rows.append(row)
        out.mkdir(exist_ok=True)
        pd.DataFrame(rows).to_csv(out / "large-layers.csv", index=False)
    yield rows[0]["machine"], pd.DataFrame(rows).drop(columns="machine")
