"""Large layers: round to nearest, nearest planes and beams on synthetic ones, on a GPU or the processor.

`qubopress experiment large-layers --device cuda --shape 4096x4096 --shape 4096x11008` prints a row for each.
The inputs are Gaussian with a spectrum that falls as 1/i (i = 1 … f) in a random basis, which is about what
activations of language models show, and some inputs ten times the others' size; weights are normal, on a grid
of 2^bits steps from the least to the greatest weight of each neuron. Every row keeps the machine's name, the
time in units of a Cholesky factorisation of the Gram matrix, and memory in units of that matrix.
"""

from __future__ import annotations

import time
import tracemalloc
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

EVERY_LEVEL: dict[str, dict[str, Any]] = {"nearest-plane": {}, "beam": {"width": 16}, "level-tabu": {}}
"""The same where a weight may take every value of its grid; those that have no device are the processor's."""

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


def layer(gram: Floats, n: int, *, bits: int, seed: int = SEED, every: bool = False) -> Rounding:
    """Neurons of normal weights on their min–max grids; the choice is the floor or one above, or `every`."""
    weights = np.random.default_rng([seed, n]).standard_normal((n, len(gram)))
    low, high = weights.min(axis=1), weights.max(axis=1)
    scale = (high - low) / (2**bits - 1)
    position = (weights - low[:, None]) / scale[:, None]
    if every:
        return Rounding(gram, position, scale, 2**bits)
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
    shapes: Iterable[tuple[int, int]],
    *,
    device: str,
    bits: Iterable[int] = (4, 3),
    threads: int = 1,
    every: bool = False,
) -> Iterator[dict[str, Any]]:
    """A row for every shape, grid and solver, as soon as it is known.

    `loss ratio` is in units of round to nearest's. `seconds` are the search's wall clock, transfers to the
    device and the factorisation included, the instance's making and the loss's recomputation not. `choleskys`
    are processor seconds of the same, and of that recomputation, in units of a Cholesky factorisation's in
    float64; `grams` the most memory that arrays of this process took meanwhile in units of the Gram matrix,
    which itself is not in it.

    Raises:
        InputError, Declined: the device is unknown, or not there.
    """
    place = None if device == NUMBA else device_of(device)
    where = {"machine": provenance().machine, "device": _device_name(place)}
    contestants = EVERY_LEVEL if every else CONTESTANTS
    for name, own in contestants.items():
        # The first call compiles, or starts the GPU.
        _solve(layer(correlated_gram(48, device=place), 8, bits=4, every=every), name, own, device, threads)
    for n, f in shapes:
        gram = correlated_gram(f, device=place)
        unit = _factorisation(gram)
        for each in bits:
            one = layer(gram, n, bits=each, every=every)
            begun = time.perf_counter()
            nearest = one.loss(one.nearest())
            found = {"round-to-nearest": (nearest, time.perf_counter() - begun, np.nan, np.nan)}
            found |= {name: _solve(one, name, own, device, threads) for name, own in contestants.items()}
            for name, (loss, seconds, spent, peak) in found.items():
                yield {
                    "neurons": n,
                    "inputs": f,
                    "bits": each,
                    "solver": name,
                    "loss": loss,
                    "loss ratio": loss / nearest,
                    "seconds": seconds,
                    "choleskys": spent / unit,
                    "grams": peak / gram.nbytes,
                    **where,
                }


def _factorisation(gram: Floats) -> float:
    """Processor seconds of one."""
    damped = gram + 0.01 * np.eye(len(gram))
    begun = time.process_time()
    np.linalg.cholesky(damped)
    return max(time.process_time() - begun, 1e-9)


def _solve(
    one: Rounding, name: str, own: dict[str, Any], device: str, threads: int
) -> tuple[float, float, float, float]:
    """Loss, seconds, processor seconds and bytes of one run of fixed work."""
    placed: dict[str, Any] = {"device": device} if "device" in solvers.get(name).parameters else {}
    tracemalloc.start()
    begun = time.process_time()
    found = solvers.solve(one, name, restarts=1, threads=threads, **placed, **own)
    spent, (_, peak) = time.process_time() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.loss is not None, found.message
    return found.loss, found.seconds, spent, float(peak)


def _device_name(place: torch.device | None) -> str:
    if place is None:
        return NUMBA
    return torch.cuda.get_device_name(place) if place.type == "cuda" else place.type


def run(
    shapes: Sequence[tuple[int, int]],
    *,
    device: str,
    bits: Sequence[int],
    threads: int,
    out: Path,
    every: bool = False,
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Measure, write the table as a CSV file, anew after every row, and yield it.

    Raises:
        InputError, Declined: the device is unknown, or not there.
    """
    rows = []
    for row in measure(shapes, device=device, bits=bits, threads=threads, every=every):
        rows.append(row)
        out.mkdir(exist_ok=True)
        pd.DataFrame(rows).to_csv(out / "large-layers.csv", index=False)
    yield rows[0]["machine"], pd.DataFrame(rows).drop(columns="machine")
