"""Analog generators, compressed: how far their images are from real ones, what one costs, and how they look.

`qubopress experiment compressed-generators STORE`, on a store of the suite `analog`, writes trained.csv,
compressed.csv and a picture for every network into a folder and prints the tables.
Distances are Fréchet distances in the features of a classifier of ours, to be read beside the floor, that of
real training images.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor

from ...problems.analog.hardware_costs import MOST_BITS, hardware
from ...problems.datasets.dataset import load_dataset
from ...problems.layers.costs import costs
from ...problems.networks.image_generators import Generator, NeuralGenerator, save_grid
from ...problems.networks.interaction import InteractionSystem
from ...problems.networks.weights import load_network
from ...problems.networks.zoo import network
from ...problems.tasks import frechet_distance
from ...results import Record, Store, StoreError, load, unpack
from ...results.scoring.statistics import mean_interval
from ..spec import InstanceSpec

__all__ = ["compressed", "pictures", "run", "trained"]

PROBLEMS = ("ais-rounding", "ais-topology")

SHOWN = 20
"""Samples of a network in a picture."""

# ---- tables


def trained(names: list[str]) -> pd.DataFrame:
    """Trained networks as they are, real images and the Gaussian pixel model: a row each.

    The energy of an interaction system is the hardware model's for 8-bit couplings; that of a neural
    generator is of its 8-bit products on a digital processor.
    """
    rows = []
    for name in names:
        module = cast(Generator, load_network(name))
        row = _judged(name, frechet_distance.samples_of(module), network(name).dataset)
        rows.append(row | {"nJ an image": _nanojoules(module)})
    for dataset in dict.fromkeys(network(name).dataset for name in names):
        real = torch.tensor(load_dataset(dataset).train_inputs)
        rows.append(_judged("real training images", real, dataset))
        rows.append(_judged("Gaussian pixels", frechet_distance.gaussian_images(dataset), dataset))
    return pd.DataFrame(rows)


def _judged(name: str, images: Tensor, dataset: str) -> dict[str, Any]:
    found = frechet_distance.distance(images, dataset)
    return {
        "images": name,
        "distance": found,
        "over floor": found / frechet_distance.floor(dataset),
        "classes covered": frechet_distance.coverage(images, dataset),
        "confidence": frechet_distance.confidence(images, dataset),
    }


def _nanojoules(module: Generator) -> float:
    if isinstance(module, NeuralGenerator):
        starts = module.starts(1, random=torch.Generator().manual_seed(0))
        return costs(module, starts).nanojoules(MOST_BITS)
    return hardware(module.design, len(module.edges), bits=MOST_BITS).nanojoules


def compressed(store: Path) -> pd.DataFrame:
    """A row for each network, width, share of couplings and solver; means over draws of the initial states.

    Against the baseline (round to nearest; couplings of the least cost alone) stands the mean difference of
    the distance on the same draw, below 0 where the solver's is smaller, with its 95 % interval.

    Raises:
        StoreError: the store is missing, foreign or damaged, or has no cell of these problems.
    """
    cells = load(store)
    cells = cells[cells["problem"].isin(PROBLEMS) & cells["metric"].notna()]
    if cells.empty:
        raise StoreError(f"{store} must hold cells of {' or '.join(PROBLEMS)}; run the suite analog")
    given = pd.DataFrame([json.loads(one) for one in cells["problem_parameters"]], index=cells.index)
    said = pd.DataFrame([json.loads(one) for one in cells["measures"]], index=cells.index)
    shares = given.reindex(columns=["density", "keep"]).bfill(axis=1).iloc[:, 0]
    cells = cells.assign(bits=given.get("bits"), share=shares, **{name: said[name] for name in said})
    keys = ["problem", "network", "share", "bits", "solver"]
    return pd.DataFrame(_row(dict(zip(keys, key, strict=True)), one) for key, one in _groups(cells, keys))


def _groups(cells: pd.DataFrame, keys: list[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    ordered = cells.sort_values(keys, ascending=[True, True, False, False, True], kind="stable")
    yield from ordered.groupby(keys, sort=False, dropna=False)


def _row(key: dict[str, Any], cells: pd.DataFrame) -> dict[str, Any]:
    better = cells["metric"] - cells["baseline_metric"]
    low, high = mean_interval(better, cells["instance"])
    floor = frechet_distance.floor(network(key["network"]).dataset)
    return key | {
        "cells": len(cells),
        "float": cells["float_metric"].mean(),
        "distance": cells["metric"].mean(),
        "over floor": cells["metric"].mean() / floor,
        "against baseline": better.mean(),
        "low": low,
        "high": high,
        "classes covered": cells["classes covered"].mean(),
        "confidence": cells["confidence"].mean(),
        "couplings": cells["couplings"].mean(),
        "nJ an image": cells["nJ an image"].mean(),
        "area (mm²)": cells["area (mm²)"].mean(),
    }


# ---- pictures


def pictures(store: Path, folder: Path, *, solver: str = "beam") -> list[Path]:
    """A PNG for every network: a row of real images, of the trained network's, and of each width's, falling.

    The rows are of all couplings and the first draw, from the same starts; networks come of the stored bits.
    """
    found: dict[str, list[tuple[int, Record, InstanceSpec]]] = {}
    with Store(store) as records:
        infos = {info.key: info for info in records.instances()}
        for record in records.records():
            info = infos[record.instance_key]
            spec = InstanceSpec.from_record(info.problem, info.network, info.parameters)
            rounds = (
                record.problem == "ais-rounding" and record.solver == solver and record.metric is not None
            )
            if rounds and spec.parameters["density"] == 1 and spec.calibration_seed == 0:
                found.setdefault(spec.network, []).append((spec.parameters["bits"], record, spec))
    return [_picture(name, cells, folder) for name, cells in found.items()]


def _picture(name: str, cells: list[tuple[int, Record, InstanceSpec]], folder: Path) -> Path:
    rows = [torch.tensor(load_dataset(network(name).dataset).test_inputs[:SHOWN])]
    rows.append(frechet_distance.samples_of(cast(Generator, load_network(name)), wanted=SHOWN))
    for _, record, spec in sorted(cells, key=lambda cell: -cell[0]):
        rows.append(frechet_distance.samples_of(_decoded(record, spec), wanted=SHOWN))
    path = folder / f"{name}.png"
    save_grid(torch.cat(rows), path, columns=SHOWN)
    return path


def _decoded(record: Record, spec: InstanceSpec) -> InteractionSystem:
    """The network that the stored bits of a record stand for."""

    def stored(stage: int, _: object) -> Any:
        kept = record.stages[stage]
        assert kept.bits is not None
        return unpack(kept.bits, kept.shape)

    return cast(InteractionSystem, spec.drive(spec.task(), stored))


def run(store: Path, *, out: Path, solver: str = "beam") -> Iterator[tuple[str, pd.DataFrame]]:
    """Draw the pictures of a solver's networks, then write and yield the tables.

    Raises:
        StoreError: as `compressed` says.
    """
    tables = {"compressed": compressed(store)}
    tables["trained"] = trained(list(dict.fromkeys(tables["compressed"]["network"])))
    out.mkdir(exist_ok=True)
    for path in pictures(store, out, solver=solver):
        print(f"wrote {path}", file=sys.stderr)
    for title, table in tables.items():
        table.round(4).to_csv(out / f"{title}.csv", index=False)
        yield title, table
