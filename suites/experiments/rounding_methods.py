"""rounding_methods: what practitioners' rounding and ours leave of a network that people use, over draws.

`qubopress experiment rounding-methods` prints it. All methods see the same Gram matrices. Losses are
geometric means over layers, of a layer's loss in units of GPTQ's (Frantar et al. 2022, arXiv:2210.17323):
nearest planes over all levels of the grid of each neuron's range, inputs of the largest mean square first,
1 % damping; on the samples that calibrate and on others that no choice has seen. Processor seconds are those
of grids, searches and their judgement, without the Gram matrices that all share: of each layer and method the
least of some repetitions, in each of which every method has its turn at the layer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ... import problems, solvers
from ...problems import Instance, Task
from ...problems.arrays import Bits
from ...problems.quantization.book import write
from ...problems.quantization.weight_layers import WeightLayer, WeightLayers
from ...problems.quantization.wishes import Answer, Wishes
from .rivals.brevitas_rounding import BREVITAS, brevitas_gptq

__all__ = [
    "METHODS",
    "OURS",
    "PEERS",
    "Method",
    "compared",
    "interval",
    "measure",
    "rounded",
    "run",
    "summary",
]


@dataclass(frozen=True)
class Method:
    """A way to round a layer: what is wished of it, who answers, and with which parameters.

    Who answers is a solver by its name, or a function of another package's.
    """

    solver: str | Callable[[Instance], Bits]
    wishes: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)


OURS = {"grid": "fit", "bias": "corrected"}

METHODS: Mapping[str, Method] = {
    "round to nearest": Method("round-to-nearest"),
    "GPTQ": Method("nearest-plane"),
    "GPTQ, least squared error": Method("nearest-plane", {"grid": "mse"}),
    "OJBKQ's draws": Method("random-nearest-plane", parameters={"samples": 5, "damping": 0.01}),
    "fitted, level-tabu": Method("level-tabu", OURS),
    "GPTQ, groups of 128": Method("nearest-plane", {"group": 128}),
    "fitted, groups of 128, level-tabu": Method("level-tabu", {**OURS, "group": 128}),
}

PEERS: Mapping[str, Method] = {"brevitas' GPTQ": Method(brevitas_gptq)}
"""Other packages' that may be missing, on GPTQ's grid and Gram matrices."""

FIRST = "GPTQ"
"""In whose units losses and seconds are."""


def compared() -> dict[str, Method]:
    """METHODS, and those of PEERS whose package is installed."""
    return {**METHODS, **(PEERS if find_spec(BREVITAS) else {})}


def measure(
    network: str, *, draws: Iterable[int], bits: Iterable[int], calibration: int, repeats: int = 3
) -> Iterator[dict[str, Any]]:
    """A row for every draw of calibration data, width and method.

    Parameters:
        network: of ours, whose metric says how far it agrees with the float one.
        draws: seeds of the calibration data.
        bits: widths.
        calibration: samples of a draw.
        repeats: of each layer by each method, of which the least seconds count.

    Raises:
        InputError, MissingDataError: there is no such network, or it is not installed.
    """
    widths, among = tuple(bits), compared()
    for draw in draws:
        task = problems.task_of(network, calibration=calibration, calibration_seed=draw)
        # The first call compiles.
        _in_turn(next(iter(WeightLayers(task))), among, bits=widths[0], repeats=1)
        for width in widths:
            found = _side_by_side(task, among, bits=width, repeats=repeats)
            for name, (row, losses) in found.items():
                ratios = losses[:2] / found[FIRST][1][:2]
                loss, held = np.exp(np.log(ratios).mean(axis=1))
                head = {"network": network, "draw": draw, "bits": width, "method": name}
                yield {**head, "loss": loss, "held-out loss": held, **row}


def rounded(task: Task, method: Method, *, bits: int | Mapping[str, int]) -> tuple[dict[str, float], Any]:
    """Figures of the network that a method leaves, and losses (3, layers).

    Those are of its answers on the calibration data and on the samples held out, and of the nearest values on
    these. A layer that nothing reaches, or nothing held out, has no part in them. `bits` are of all layers,
    or of each by name.
    """
    return _side_by_side(task, {"": method}, bits=bits, repeats=1)[""]


def _side_by_side(
    task: Task, among: Mapping[str, Method], *, bits: int | Mapping[str, int], repeats: int
) -> dict[str, tuple[dict[str, float], Any]]:
    """As `rounded` for each of the methods, in turn at each layer."""
    networks = {name: WeightLayers(task) for name in among}
    losses: dict[str, list[Any]] = {name: [] for name in among}
    seconds = dict.fromkeys(among, 0.0)
    for one in WeightLayers(task):
        held = one.held
        if held is None:
            continue
        width = bits if isinstance(bits, int) else bits[one.name]
        for name, (answers, nearest, spent) in _in_turn(one, among, bits=width, repeats=repeats).items():
            seconds[name] += spent
            pairs = ((one.inputs["gram"], answers), (held, answers), (held, nearest))
            losses[name].append([_loss(gram, found) for gram, found in pairs])
            write(networks[name].layer(one.name), answers, bits=width)
    return {
        name: _judged(task, layers, np.array(losses[name]).T, seconds[name])
        for name, layers in networks.items()
    }


def _judged(task: Task, layers: WeightLayers, table: Any, seconds: float) -> tuple[dict[str, float], Any]:
    """Figures of a network whose layers are rounded, and its losses (3, layers)."""
    figures = {"seconds": seconds, "layers above nearest": float((table[1] > table[2] * (1 + 1e-9)).sum())}
    if task.judge is not None:
        figures[task.metric] = float(task.judge(layers.network))
    return figures | {name: float(judge(layers.network)) for name, judge in task.also.items()}, table


def _in_turn(
    one: WeightLayer, among: Mapping[str, Method], *, bits: int, repeats: int
) -> dict[str, tuple[list[Answer], list[Answer], float]]:
    """As `_layer` for each of the methods, with the least of its seconds.

    Turns are taken, as a machine that slows down for a while then does so for all.
    """
    ask = {name: partial(_layer, one, _wishes(method, bits), method) for name, method in among.items()}
    found = [{name: call() for name, call in ask.items()} for _ in range(repeats)]
    return {name: (*found[0][name][:2], min(turn[name][2] for turn in found)) for name in among}


def _wishes(method: Method, bits: int) -> Wishes:
    usual = problems.get("adaround").defaults | {"levels": "all", "bias": "float", "bits": bits}
    wished = usual | dict(method.wishes)
    return Wishes(**{name: wished[name] for name in Wishes.__dataclass_fields__})


def _layer(one: WeightLayer, wishes: Wishes, method: Method) -> tuple[list[Answer], list[Answer], float]:
    """Answers of a matrix's groups, their nearest values, and processor seconds."""
    assert len(one.inputs["gram"])  # measured before the clock starts
    begun = time.process_time()
    answers, nearest = [], []
    for layer, near in wishes.layers(one, input_step=1.0):
        questions = wishes.decided(one, layer, enter=lambda: None)
        asked: Instance = next(questions)
        try:
            while True:
                asked = questions.send(_answer(asked, method))
        except StopIteration as end:
            answers.append(end.value)
        nearest.append(near)
    return answers, nearest, time.process_time() - begun


def _answer(asked: Instance, method: Method) -> Bits:
    if callable(method.solver):
        return method.solver(asked)
    found = solvers.solve(asked, method.solver, restarts=1, seed=0, **method.parameters)
    assert found.x is not None, found.message
    return np.asarray(found.x)


def _loss(grams: Any, answers: list[Answer]) -> float:
    return sum(one.layer.loss_on(gram, one.x) for gram, one in zip(grams, answers, strict=True))


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a network, width and method: geometric means of losses, means and 95 % intervals of metrics.

    The intervals are Student's, over draws. `time` is in units of GPTQ's, of the same draw and width.
    """
    keys = ["network", "bits", "method"]
    metrics = [name for name in rows.columns if name not in (*keys, "draw", *_FIGURES)]
    first = rows[rows["method"] == FIRST].set_index(["network", "draw", "bits"])["seconds"]
    places = pd.MultiIndex.from_frame(rows[["network", "draw", "bits"]])
    timed = rows.assign(time=rows["seconds"].to_numpy() / first.loc[places].to_numpy())
    found = []
    for key, group in timed.groupby(keys, sort=False):
        row = dict(zip(keys, key, strict=True)) | {"draws": len(group)}
        row |= {name: float(stats.gmean(group[name])) for name in ("loss", "held-out loss", "time")}
        row["layers above nearest"] = int(group["layers above nearest"].max())
        for name in metrics:
            row |= interval(group[name], name)
        found.append(row)
    return pd.DataFrame(found)


_FIGURES = ("loss", "held-out loss", "seconds", "layers above nearest")


def interval(values: pd.Series, name: str) -> dict[str, float]:
    """Mean `name` and Student's 95 % interval of it, "from" and "to"; of a single value there is none."""
    mean, count = float(values.mean()), len(values)
    reach = np.nan
    if count > 1:
        reach = float(stats.t.ppf(0.975, count - 1) * values.std(ddof=1) / count**0.5)
    return {name: mean, f"{name} from": mean - reach, f"{name} to": mean + reach}


def run(
    network: str,
    *,
    draws: int,
    bits: Sequence[int],
    calibration: int,
    out: Path,
    first: int = 1,
    repeats: int = 3,
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Measure, write rows and their summary as CSV files, anew after every draw, and yield the summary.

    `first` is the first draw: what was tried out on some says less of how it does on others.

    Raises:
        InputError, MissingDataError: there is no such network, or it is not installed.
    """
    rows: list[dict[str, Any]] = []
    for draw in range(first, first + draws):
        rows += measure(network, draws=[draw], bits=bits, calibration=calibration, repeats=repeats)
        out.mkdir(exist_ok=True)
        pd.DataFrame(rows).to_csv(out / "rows.csv", index=False, float_format="%.6g")
        summary(pd.DataFrame(rows)).to_csv(out / "methods.csv", index=False, float_format="%.4g")
    missing = "" if find_spec(BREVITAS) else f"; without {', '.join(PEERS)}: pip install 'qubopress[peers]'"
    yield f"{network}, draws {first} to {first + draws - 1}{missing}", summary(pd.DataFrame(rows))
