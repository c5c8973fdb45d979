"""Pruning read again: what is left of the paper's claims where every formulation may choose its own settings.

`qubopress experiment pruning-readings` prints it. Orabi et al. 2026 (arXiv:2604.05856) leave α, β, the
normalisation, how many filters a layer must keep and what becomes of BatchNorms to the reader. Here each
formulation takes them as they are by default, with statistics re-estimated or as trained, and then as the
network's own metric on held-out calibration samples has it, each from as many settings, random masks
included. Nothing is chosen on what is reported, the test data. The choice is made once, before anything is
trained; then the same channels are fine-tuned, or refitted.
"""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from ... import problems, solvers
from ...problems import Task
from ...problems.arrays import Bits
from ...problems.datasets.dataset import load_dataset
from ...problems.networks.zoo import network as network_of
from ...problems.pruning import formulations, surgery
from ...problems.pruning.channels import mean_loss
from ...problems.pruning.selection import Plan, asked, plan, smaller
from ...problems.tasks.kinds import kind_of
from ...results.scoring.paired_choices import side_by_side
from .parallel import each

__all__ = [
    "CLAIMS",
    "NETWORKS",
    "SETTINGS",
    "STAGES",
    "Choice",
    "Ground",
    "claims",
    "means",
    "measure",
    "run",
]

NETWORKS = ("photographs-denoiser", "photographs-denoiser-long")

KEEP = 0.64
"""As in the paper, 36 % of the filters go."""

STAGES: Mapping[str, Mapping[str, Any]] = {
    "as chosen": {},
    "fine-tuned": {"finetune": surgery.EPOCHS},
    "refitted": {"refit": True},
}
"""What follows the choice, for all alike."""

_LEAST = (1, *np.linspace(0.05, 0.6, 17).round(4).tolist())

_OWN: list[dict[str, Any]] = [
    {"normalise": over, "least": least} for over, least in product(("global", "layer"), _LEAST)
]

SETTINGS: Mapping[str, Sequence[dict[str, Any]]] = {
    "taylor": _OWN,
    "l1": _OWN,
    "hybrid": [
        {"alpha": alpha, "beta": beta, "normalise": over, "least": least}
        for alpha, beta, over, least in product(
            (0.0, 0.5, 1.0), (0.01, 0.1), ("global", "layer"), (1, 0.5, 0.6)
        )
    ],
    "random": [{"seed": seed} for seed in range(36)],
}
"""What a formulation may choose from, with statistics re-estimated and as trained: as many for each."""

LIKE = {"alpha": 0.5, "beta": 0.1, "normalise": "layer"}
"""Both importances alike, each over its layer's mean: the plainest reading of the paper."""


@dataclass(frozen=True, eq=False)
class Ground:
    """A network, a draw of calibration data, and what became of the masks that were tried on them.

    Attributes:
        task: the network and its samples.
        made: the groups and the capacity.
        scores: metric on the held-out samples by mask and whether statistics are re-estimated; each is
            measured once.
    """

    task: Task
    made: Plan
    scores: dict[tuple[bytes, bool], float] = field(default_factory=dict)

    @classmethod
    def of(cls, network: str, *, draw: int, calibration: int) -> Ground:
        """A network of ours and a draw. Raises as `task_of` does."""
        task = problems.task_of(network, calibration=calibration, calibration_seed=draw)
        return cls(task, plan(task, keep=KEEP))

    def mask(self, problem: str, setting: Mapping[str, Any]) -> Bits:
        """The channels (n,) that a formulation keeps; of "random", drawn."""
        if problem == "random":
            return self._drawn(np.random.default_rng(setting["seed"]))
        own = {name: setting[name] for name in ("alpha", "beta") if name in setting}
        shared = {name: setting[name] for name in ("normalise", "least") if name in setting}
        normalise = problems.get(problem).defaults["normalise"]
        here = replace(self.made, **{"normalise": normalise, **shared})
        energy = inspect.unwrap(getattr(formulations, problem))(here, **own)
        instance, free = asked(here, energy.Q, offset=energy.offset)
        x = np.ones(here.groups.total, dtype=np.int8)
        if free.any():
            found = solvers.solve(instance, "swap", restarts=1, seed=0).x
            assert found is not None
            x[free] = found
        return x

    def _drawn(self, rng: np.random.Generator) -> Bits:
        """As many channels as the capacity has, one of each group at least."""
        x = np.zeros(self.made.groups.total, dtype=np.int8)
        for span in self.made.groups.spans():
            x[rng.integers(span.start, span.stop)] = 1
        left = np.flatnonzero(x == 0)
        x[rng.choice(left, int(self.made.budget) - int(x.sum()), replace=False)] = 1
        return x

    @cached_property
    def _trials(self) -> tuple[nn.Module, nn.Module]:
        """Copies to mask: whose statistics stay as trained, and whose are re-estimated."""
        return self.task.copy(), self.task.copy()

    def _masked(self, x: Bits, reestimate: bool) -> nn.Module:
        network = self._trials[reestimate]
        surgery.mask(network, self.made.groups, x, original=self.task.network)
        if reestimate:
            surgery.reestimate(network, self.task.inputs)
        return network

    def held(self, x: Bits, reestimate: bool) -> float:
        """The metric on the held-out samples without the channels that x removes."""
        key = x.tobytes(), reestimate
        if key not in self.scores:
            spec = network_of(self.task.name)
            data = load_dataset(spec.dataset)
            inputs, targets = (np.asarray(one) for one in (self.task.held_inputs, self.task.held_targets))
            held = replace(data, test_inputs=inputs, test_targets=targets)
            self.scores[key] = kind_of(spec).judge(self._masked(x, reestimate), held)
        return self.scores[key]

    def loss(self, x: Bits, reestimate: bool) -> float:
        """The mean loss on the held-out samples, which tells equal metrics apart."""
        network = self._masked(x, reestimate)
        return mean_loss(self.task, network, self.task.held_inputs, self.task.held_targets)

    def reached(self, x: Bits, reestimate: bool, stage: str) -> float:
        """The metric on test data after a stage."""
        assert self.task.judge is not None
        here = replace(self.made, reestimate=reestimate, **STAGES[stage])
        return float(self.task.judge(smaller(here, x)))


@dataclass(frozen=True, eq=False)
class Chosen:
    """What a method came to: a mask, its setting, whether statistics are re-estimated, and trials judged."""

    x: Bits
    setting: Mapping[str, Any]
    reestimate: bool
    judged: int = 0


@dataclass(frozen=True)
class Choice:
    """A formulation under one setting, or under the best of `SETTINGS` by the held-out metric."""

    problem: str
    setting: Mapping[str, Any] | None = None
    reestimate: bool = True

    def made(self, ground: Ground) -> Chosen:
        """What it comes to on a network and a draw."""
        if self.setting is not None:
            return Chosen(ground.mask(self.problem, self.setting), self.setting, self.reestimate)
        apart = {ground.mask(self.problem, one).tobytes(): one for one in reversed(SETTINGS[self.problem])}
        tried = [
            Chosen(np.frombuffer(x, dtype=np.int8), one, reestimate, 2 * len(apart))
            for x, one in apart.items()
            for reestimate in (True, False)
        ]
        best = max(ground.held(one.x, one.reestimate) for one in tried)
        equal = [one for one in tried if ground.held(one.x, one.reestimate) == best]
        return min(equal, key=lambda one: ground.loss(one.x, one.reestimate)) if len(equal) > 1 else equal[0]


TRAINED, CHOSEN = ", as trained", ", chosen"
"""What the name of a method ends in whose statistics stay, or which chose all by the metric."""

_FIXED = {
    "random": Choice("random", {"seed": 0}),
    "l1": Choice("l1", {}),
    "taylor": Choice("taylor", {}),
    "hybrid": Choice("hybrid", {}),
    "plain hybrid": Choice("hybrid", LIKE),
}

METHODS: Mapping[str, Choice] = {
    **_FIXED,
    **{f"{name}{TRAINED}": replace(one, reestimate=False) for name, one in _FIXED.items()},
    **{f"{name}{CHOSEN}": Choice(name) for name in ("random", "l1", "taylor", "hybrid")},
}
"""Who chooses the channels."""

PAIRS = (("hybrid", "taylor"), ("plain hybrid", "taylor"), ("hybrid", "l1"), ("hybrid", "random"))

CLAIMS = (
    *((better, worse, "defaults, statistics re-estimated") for better, worse in PAIRS),
    *((better + TRAINED, worse + TRAINED, "defaults, statistics as trained") for better, worse in PAIRS),
    *(
        (f"hybrid{CHOSEN}", f"{rival}{CHOSEN}", "chosen by the metric")
        for rival in ("taylor", "l1", "random")
    ),
    (f"taylor{CHOSEN}", f"random{CHOSEN}", "chosen by the metric"),
)
"""Whose network is claimed to be above whose, under which reading."""


def measure(network: str, draw: int, calibration: int) -> list[dict[str, Any]]:
    """A row for every method and stage on one draw of calibration data.

    A refit re-estimates statistics, so that methods that leave them as trained have none.

    Raises:
        InputError, MissingDataError: there is no such network, or its weights or data are not here.
    """
    first, rows = Ground.of(network, draw=draw, calibration=calibration), []
    first.mask("hybrid", {})  # measures the statistics and compiles the solver before the clock starts
    for name, method in METHODS.items():
        ground, begun = Ground(first.task, first.made), time.process_time()
        made = method.made(ground)
        spent = time.process_time() - begun
        setting = json.dumps({**made.setting, "reestimate": made.reestimate})
        head = {"network": network, "draw": draw, "method": name, "metric": ground.task.metric}
        row = {**head, "setting": setting, "judged": made.judged, "seconds": spent}
        row["held out"] = ground.held(made.x, made.reestimate)
        for stage, after in STAGES.items():
            if "refit" not in after or not name.endswith(TRAINED):
                again = made.reestimate or "refit" in after
                rows.append({**row, "stage": stage, "value": ground.reached(made.x, again, stage)})
    return rows


def claims(rows: pd.DataFrame) -> pd.DataFrame:
    """A verdict for each claim, network and stage on pairs of equal draws, with its 95 % interval."""
    table = rows.pivot(index=["network", "metric", "stage", "draw"], columns="method", values="value")
    found = []
    for better, worse, reading in CLAIMS:
        known = table.dropna(subset=[better, worse])
        for (network, metric, stage), pairs in known.groupby(level=[0, 1, 2], sort=False):
            names = [name.split(",")[0] for name in (better, worse)]
            sides = pairs[better].to_numpy(), pairs[worse].to_numpy()
            found.append(
                {
                    "claim": " above ".join(names),
                    "reading": reading,
                    "network": network,
                    "stage": stage,
                    "metric": metric,
                    **side_by_side(*sides, sides[0] - sides[1], np.arange(len(pairs))),
                }
            )
    return pd.DataFrame(found)


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a network and method: the mean metric after each stage, and what the choice took."""
    keys = ["network", "metric", "method"]
    table = rows.pivot_table(index=keys, columns="stage", values="value", sort=False)[list(STAGES)]
    once = rows[rows["stage"] == next(iter(STAGES))].groupby(keys, sort=False)
    spent = once[["held out", "judged", "seconds"]].mean()
    return table.join(spent).reset_index()


def run(
    networks: Sequence[str], *, draws: int, calibration: int, jobs: int, out: Path
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Measure, write rows, means and claims as CSV files anew after every draw, and yield the last two.

    Rows of other networks that the folder has are kept.

    Raises:
        InputError, MissingDataError: as `measure`.
    """
    for name in networks:
        found: list[dict[str, Any]] = []
        for first in range(0, draws, jobs):
            cases = [(name, draw, calibration) for draw in range(first, min(first + jobs, draws))]
            found += [row for one in each(measure, cases, jobs=jobs) for row in one]
            _written(name, found, out)
    rows = pd.read_csv(out / "rows.csv")
    yield "means over the draws", means(rows)
    yield "claims, each on pairs of equal draws", claims(rows)


def _written(network: str, found: list[dict[str, Any]], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    file, rows = out / "rows.csv", pd.DataFrame(found)
    if file.is_file():
        before = pd.read_csv(file)
        rows = pd.concat([before[before["network"] != network], rows], ignore_index=True)
    rows.to_csv(file, index=False, float_format="%.6g")
    rows = pd.read_csv(file)
    means(rows).to_csv(out / "means.csv", index=False, float_format="%.4g")
    claims(rows).to_csv(out / "claims.csv", index=False, float_format="%.4g")
