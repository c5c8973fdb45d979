"""bit_budgets: what a budget of bits buys, spread evenly, greedily and by search, over draws of calibration.

`qubopress experiment bit-budgets` prints it. Every matrix is rounded at the width that it was given, on a
fitted grid by level-tabu. `predicted` is what the choice costs by the products of the outputs' errors,
interactions included, in units of the even spread's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import problems, solvers
from ...problems.quantization.bit_allocation import (
    WIDTHS,
    Allocation,
    greedy_widths,
    measured,
    uniform_widths,
)
from ...problems.quantization.weight_layers import WeightLayers
from .rounding_methods import OURS, Method, interval, rounded

__all__ = ["CHOICES", "measure", "run", "summary"]


def _searched(allocation: Allocation) -> Any:
    found = solvers.solve(allocation.instance, "layer-dp", restarts=1, seed=0)
    assert found.x is not None, found.message
    return allocation.choice(found.x)


CHOICES: Mapping[str, Callable[[Allocation], Any]] = {
    "uniform": uniform_widths,
    "greedy by loss per bit": lambda one: greedy_widths(replace(one, interactions=False)),
    "exact, no interactions": lambda one: _searched(replace(one, interactions=False)),
    "interactions": _searched,
}
"""Who spreads the bits."""


def measure(
    network: str, *, draws: Iterable[int], averages: Iterable[float], calibration: int, samples: int
) -> Iterator[dict[str, Any]]:
    """A row for every draw of calibration data, budget and choice.

    Parameters:
        network: of ours.
        draws: seeds of the calibration data.
        averages: bits of a number.
        calibration: samples of a draw.
        samples: of these, whose outputs are compared to measure the errors.

    Raises:
        InputError, MissingDataError: there is no such network, or it is not installed.
    """
    budgets, usual = tuple(averages), {**OURS, "group": 0}
    for draw in draws:
        task = problems.task_of(network, calibration=calibration, calibration_seed=draw)
        layers = WeightLayers(task)
        for average in budgets:
            one = measured(layers, usual, average=average, samples=samples)
            even = one.loss(uniform_widths(one))
            for name, choose in CHOICES.items():
                choice = choose(one)
                widths = np.array(WIDTHS)[choice]
                figures, _ = rounded(
                    task,
                    Method("level-tabu", OURS),
                    bits=dict(zip(layers.names, widths.tolist(), strict=True)),
                )
                del figures["layers above nearest"], figures["seconds"]
                head = {"network": network, "draw": draw, "average": average, "choice": name}
                bits = one.bits(choice) / float(one.sizes.sum())
                yield {**head, "bits": bits, "predicted": one.loss(choice) / even, **figures}


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a network, budget and choice: means over draws, and Student's 95 % intervals of the metrics."""
    keys = ["network", "average", "choice"]
    metrics = [name for name in rows.columns if name not in (*keys, "draw", "bits", "predicted")]
    found = []
    for key, group in rows.groupby(keys, sort=False):
        row = dict(zip(keys, key, strict=True)) | {"draws": len(group)}
        row |= {name: float(group[name].mean()) for name in ("bits", "predicted")}
        for name in metrics:
            row |= interval(group[name], name)
        found.append(row)
    return pd.DataFrame(found)


def run(
    network: str, *, draws: int, averages: Sequence[float], calibration: int, samples: int, out: Path
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Measure, write rows and their summary as CSV files, anew after every draw, and yield the summary.

    Raises:
        InputError, MissingDataError: there is no such network, or it is not installed.
    """
    rows: list[dict[str, Any]] = []
    for draw in range(1, draws + 1):
        rows += measure(network, draws=[draw], averages=averages, calibration=calibration, samples=samples)
        out.mkdir(exist_ok=True)
        pd.DataFrame(rows).to_csv(out / "rows.csv", index=False, float_format="%.6g")
        summary(pd.DataFrame(rows)).to_csv(out / "budgets.csv", index=False, float_format="%.4g")
    yield f"{network}, {draws} draws", summary(pd.DataFrame(rows))
