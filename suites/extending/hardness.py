"""Hardness: whether a formulation's loss tells of the metric, and which solvers find it hard.

Run as `python -m qubopress.suites.extending.hardness FD PROBLEM PLUGINS NETWORK`, this file is the process
that draws solutions of varied quality and measures the network that each gives.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from ... import problems, solvers
from ...problems import Capacity, InputError, Instance, Qubo, Rounding
from ...problems.arrays import Bits
from ...problems.networks.zoo import network as find_network
from ...results import Budget
from .. import plugins as plugin_folders
from ..conformance.checking import DEADLINE_SECONDS
from ..conformance.isolated import isolated, leave_with_parent, messages
from ..conformance.specimens import mixture
from ..harness.cell import Cell
from ..harness.survey import Survey
from ..harness.wire import send
from ..plugins import source_of
from ..spec import InstanceSpec, SolverSpec
from .bench import Bench, scored

__all__ = ["Hardness", "measure"]

NETWORKS = ("digits-mlp", "digits-cnn")
"""Networks whose data every machine has, the first that the formulation takes being measured."""

DRAWN = 24
"""Solutions drawn, from the best to the random."""

FEWEST = 3
"""Different solutions below which a rank correlation says nothing."""

QUICK = {Rounding: "nearest-plane", Capacity: "swap", Qubo: "one-flip"}
"""Solver whose single run of fixed work is the best end of the solutions drawn."""


@dataclass(frozen=True, eq=False)
class Hardness:
    """What was measured of a formulation with its defaults.

    Attributes:
        instance: name of the instance.
        metric: its name, "" where the formulation has none.
        rho: Spearman's ρ of loss and harm to the metric over all solutions found; NaN where it says nothing.
            +1: a lower loss is always a better network.
        solutions: how many different solutions those are.
        table: `solver excess status loss metric seconds message`, the easiest first.
    """

    instance: str
    metric: str
    rho: float
    solutions: int
    table: pd.DataFrame


def measure(
    name: str, *, network: str = "", plugins: str | Path = "", seconds: float = 0.5
) -> Hardness | str:
    """Give every solver in reach `seconds` of a formulation, correlate loss and metric; or say why not.

    Parameters:
        name: registered formulation, taken with its defaults.
        network: one of ours; the first of NETWORKS that it takes where "".
        plugins: folder of Python files that may register it.
        seconds: budget of each solver.
    """
    with Bench(plugins) as bench:
        found = _surveyed(bench, name, network)
        if isinstance(found, str):
            return found
        spec, survey = found
        cells = [
            Cell("check", spec, survey, SolverSpec(solver, {}), 0, Budget(seconds))
            for solver in solvers.names()
            if survey.suits(solver) and source_of(solvers.get(solver).search) is not None
        ]
        records = bench.measure(cells)
    table = scored(records, [survey])
    table["seconds"] = [one.seconds for one in records]
    table = table.sort_values(["excess", "seconds"], kind="stable", na_position="last")
    known = table[table["status"].isin(("OPTIMAL", "TARGET", "BUDGET", "FINISHED"))]
    points = [*_drawn(spec, str(plugins)), *zip(known["loss"], known["metric"], strict=True)]
    rho, solutions = _correlation(points, higher_is_better=survey.info.higher_is_better)
    columns = ["solver", "excess", "status", "loss", "metric", "seconds", "message"]
    return Hardness(spec.name, survey.info.metric_name, rho, solutions, table[columns])


def _surveyed(bench: Bench, name: str, network: str) -> tuple[InstanceSpec, Survey] | str:
    """The first network of ours that the formulation takes; or why it takes none."""
    if not problems.get(name).network:
        specs = [InstanceSpec.of(name)]
    else:
        specs = [InstanceSpec.of(name, network=one) for one in ([network] if network else NETWORKS)]
    found = bench.survey(specs)
    for spec in specs:
        survey = found[spec.label]
        if isinstance(survey, Survey):
            return spec, survey
    return "; ".join(f"{spec.network}: {found[spec.label]}" for spec in specs)


def _correlation(points: list[tuple[float, float]], *, higher_is_better: bool) -> tuple[float, int]:
    """Spearman's ρ of loss and harm, and of how many different points."""
    different = np.array(sorted({point for point in points if np.isfinite(point).all()}))
    if len(different) < FEWEST or len(set(different[:, 0])) < 2 or len(set(different[:, 1])) < 2:
        return float("nan"), len(different)
    harm = -different[:, 1] if higher_is_better else different[:, 1]
    return float(stats.spearmanr(different[:, 0], harm).statistic), len(different)


def check_network(name: str, network: str) -> None:
    """InputError unless a network is ours and the name is a problem's."""
    if not network:
        return
    if name in solvers.names():
        raise InputError(f"--network is for a problem, and {name} is a solver; leave it out")
    find_network(network)


# ---- the process that draws


def _drawn(spec: InstanceSpec, folder: str) -> Iterator[tuple[float, float]]:
    """(loss, metric) of each solution that the process has sent until it ended or was lost."""
    place = str(Path(folder).resolve()) if folder else ""
    module = "qubopress.suites.extending.hardness"
    with isolated(module, spec.problem, place, spec.network) as (process, pipe):
        for message in messages(process, pipe, DEADLINE_SECONDS):
            if "point" in message:
                loss, metric = message["point"]
                yield float(loss), float(metric)


def main(arguments: list[str]) -> None:
    """Draw solutions and send the loss and the metric of each."""
    descriptor, name, folder, network = int(arguments[0]), *arguments[1:]
    threading.Thread(target=leave_with_parent, daemon=True).start()
    plugin_folders.load_entry_points()
    plugin_folders.load_folder(folder)
    spec = InstanceSpec.of(name, network=network)
    task = spec.task()
    if task.judge is not None:
        for number in range(DRAWN):
            loss: list[float] = []
            rng = np.random.default_rng(number)
            decide = functools.partial(_decide, number / (DRAWN - 1), rng, loss)
            metric = task.judge(spec.drive(task, decide))
            send(descriptor, {"point": [sum(loss), metric]})
    send(descriptor, {"end": True})


def _decide(share: float, rng: np.random.Generator, losses: list[float], _: int, instance: Instance) -> Bits:
    """A solution with a `share` of random values; its loss is noted."""
    x = mixture(instance, _good(instance), share, rng)
    losses.append(instance.loss(x))
    return x


def _good(instance: Instance) -> Bits:
    if instance.counted:
        return instance.baseline()
    found = solvers.solve(instance, QUICK[type(instance)], restarts=1, seconds=1.0).x
    return instance.baseline() if found is None else found


if __name__ == "__main__":
    main(sys.argv[1:])
