"""Tuning: search a solver's declared ranges on some instances of a suite, report on the others.

Never tune on what you report on: the instances are split before the first trial, and the table gives both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from ... import solvers
from ...problems import InputError
from ...problems.arrays import count, number
from ...results import Record
from ...results.scoring.scores import ranked
from ...results.scoring.statistics import mean_interval
from ...solvers import Choice, Entry, Parameter, Range
from .. import plugins as plugin_folders
from ..harness.cell import Cell
from ..harness.survey import Survey
from ..spec import InstanceSpec, SolverSpec
from ..suite import Suite, load
from .bench import Bench, scored

if TYPE_CHECKING:
    import optuna

__all__ = ["Tuned", "searched", "split", "tune"]

COLUMNS = ("part", "instances", "cells", "default", "tuned", "difference", "low", "high", "names")

Prepared: TypeAlias = tuple[InstanceSpec, Survey]

DIGITS = 4
"""Significant digits of a real parameter; more would suggest that they matter."""


@dataclass(frozen=True, eq=False)
class Tuned:
    """What a tuning came to.

    Attributes:
        solver: its name.
        parameters: the best ones on the training instances; the default values where nothing was better.
        changed: whether they differ from the defaults.
        table: a row for training and one for held-out instances: mean normalised excess of the defaults and
            of the tuned parameters, tuned less default, its 95 % bootstrap interval, and the instances.
    """

    solver: str
    parameters: dict[str, Any]
    changed: bool
    table: pd.DataFrame

    def toml(self) -> str:
        """The parameters as a table of a suite."""
        lines = [
            f"{key} = {json.dumps(value)}" for key, value in {"name": self.solver, **self.parameters}.items()
        ]
        return "\n".join(["[[solver]]", *lines])


def tune(
    solver: str,
    suite: str | Path | Suite,
    *,
    trials: int = 30,
    seconds: float | None = None,
    seed: int = 0,
    held_out: float = 0.5,
    plugins: str | Path = "",
    told: Callable[[str], None] | None = None,
) -> Tuned:
    """Search the solver's parameters by Optuna's TPE, the defaults being the first trial.

    A trial's cells have the budget in seconds alone: with fixed work, whoever does more of it would win.
    Optuna is told the mean excess against the default's best, which stands still; the best trial is then
    chosen by the excess against the best of all trials.

    Parameters:
        solver: name in the registry.
        suite: instances, seeds and threads of the trials.
        trials: how many, the defaults included.
        seconds: budget of a cell; the suite's where None.
        seed: of the split and of the sampler.
        held_out: share of the instances that no trial sees, in (0, 1); at least one, and not all.
        plugins: folder of Python files with more solvers and problems.
        told: told in a line how it goes.

    Raises:
        InputError: Optuna is not installed, the solver declares no range, the suite has fewer than two
            instances for it, or a number is out of range.
    """
    sampling = _optuna()
    count(trials, name="trials", low=1)
    plugin_folders.load_entry_points()
    plugin_folders.load_folder(str(plugins))
    entry, budgeted = solvers.get(solver), _budgeted(suite, seconds)
    if not searched(entry):
        raise InputError(f"{solver} must declare the range of a parameter to be tuned; it declares none")
    sampler = sampling.samplers.TPESampler(seed=count(seed, name="seed", low=0))
    split(["one", "two"], share=held_out, seed=seed)
    with Bench(plugins) as bench:
        prepared = _prepared(bench, budgeted, solver)
        training, held = (
            [prepared[name] for name in part] for part in split(list(prepared), share=held_out, seed=seed)
        )
        study = _Study(bench, budgeted, entry, training, sampling.create_study(sampler=sampler))
        study.search(trials, told or (lambda text: None))
        best = study.best()
        before, after = (study.measure(one, held) for one in ({}, best))
    rows = [
        _row("training", study.records[""], study.records[label(best)], training),
        _row("held-out", before, after, held),
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return Tuned(solver, study.defaults | best, bool(best), table)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise InputError("tuning must have Optuna, which is missing; pip install 'qubopress[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _budgeted(suite: str | Path | Suite, seconds: float | None) -> Suite:
    chosen = suite if isinstance(suite, Suite) else load(suite)
    narrowed = chosen.narrowed(seconds=seconds)
    return replace(narrowed, budget=replace(narrowed.budget, restarts=None))


def _prepared(bench: Bench, suite: Suite, solver: str) -> dict[str, Prepared]:
    """The suite's instances that the solver takes, by name.

    Raises:
        InputError: there are fewer than two.
    """
    found = bench.survey(suite.instances)
    fit = {}
    for spec in suite.instances:
        survey = found[spec.label]
        if isinstance(survey, Survey) and survey.suits(solver):
            fit[spec.name] = (spec, survey)
    if len(fit) < 2:
        need = "one to train on and one to hold out"
        raise InputError(f"suite {suite.name} must have two instances for {solver}, {need}; got {len(fit)}")
    return fit


def split(names: Sequence[str], *, share: float, seed: int) -> tuple[list[str], list[str]]:
    """Names to train on and about a share of them held out, at least one each, drawn by the seed.

    Raises:
        InputError: a share outside (0, 1), or fewer than two names.
    """
    if not 0 < number(share, name="held-out") < 1:
        raise InputError(f"held-out must lie in (0, 1), got {share:g}")
    if len(names) < 2:
        raise InputError(
            f"there must be two instances, one to train on and one to hold out; got {len(names)}"
        )
    size = min(max(1, round(share * len(names))), len(names) - 1)
    drawn = np.random.default_rng(seed).permutation(sorted(names)).tolist()
    return sorted(drawn[size:]), sorted(drawn[:size])


def searched(entry: Entry) -> dict[str, Parameter]:
    """The parameters that can be searched: those with a range or a choice, and switches."""
    return {
        name: one
        for name, one in entry.parameters.items()
        if isinstance(one.allowed, (Range, Choice)) or one.kind is bool
    }


class _Study:
    """Trials on the training instances: parameters that differ from the defaults, and their records."""

    def __init__(
        self, bench: Bench, suite: Suite, entry: Entry, training: list[Prepared], study: optuna.Study
    ) -> None:
        self._bench, self._suite, self._entry, self._training = bench, suite, entry, training
        self._space, self._study = searched(entry), study
        self.defaults = {name: one.default for name, one in self._space.items()}
        self.tried: dict[str, dict[str, Any]] = {}
        self.records: dict[str, list[Record]] = {}

    def search(self, trials: int, tell: Callable[[str], None]) -> None:
        """Measure the defaults, then what the sampler suggests."""
        start = _lowest(self._try({}), self._training)
        self._study.enqueue_trial(self.defaults)
        for number_of in range(1, trials + 1):
            trial = self._study.ask()
            suggested = {name: _suggest(trial, one) for name, one in self._space.items()}
            chosen = {name: value for name, value in suggested.items() if value != self.defaults[name]}
            value = float(_excess(self._try(chosen), self._training, start).mean())
            self._study.tell(trial, value)
            tell(f"trial {number_of} of {trials}: excess {value:.4g} with {chosen or 'the defaults'}")

    def best(self) -> dict[str, Any]:
        """What differs from the defaults in the trial of the lowest mean excess; nothing if none is lower."""
        everything = [record for records in self.records.values() for record in records]
        lowest = _lowest(everything, self._training)
        means = {key: _excess(one, self._training, lowest).mean() for key, one in self.records.items()}
        # The defaults came first, so they win ties.
        return self.tried[min(means, key=lambda key: float(means[key]))]

    def measure(self, parameters: dict[str, Any], on: list[Prepared]) -> list[Record]:
        """Records of these parameters on each instance and seed."""
        suite, solver = self._suite, SolverSpec.of(self._entry.name, **parameters)
        return self._bench.measure(
            Cell(suite.name, spec, survey, solver, seed, suite.budget)
            for spec, survey in on
            for seed in range(suite.seeds)
        )

    def _try(self, parameters: dict[str, Any]) -> list[Record]:
        """The same on the training instances, measured once."""
        key = label(parameters)
        if key not in self.records:
            self.records[key] = self.measure(parameters, self._training)
            self.tried[key] = parameters
        return self.records[key]


def label(parameters: dict[str, Any]) -> str:
    """Parameters as a key, "" for the defaults."""
    return json.dumps(parameters, sort_keys=True) if parameters else ""


def _suggest(trial: optuna.Trial, one: Parameter) -> Any:
    """A value from the parameter's range, with no more digits than matter."""
    if not isinstance(one.allowed, Range):
        return trial.suggest_categorical(
            one.name, one.allowed.values if isinstance(one.allowed, Choice) else (False, True)
        )
    low, high, log = one.allowed.low, one.allowed.high, one.allowed.log and one.allowed.low > 0
    if one.kind is int:
        return trial.suggest_int(one.name, int(low), int(high), log=log)
    value = trial.suggest_float(one.name, low, high, log=log)
    if value == one.default:
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), low), high)


def _lowest(records: Sequence[Record], on: list[Prepared]) -> dict[str, float]:
    """The lowest loss of each instance by its key, the baseline's where none is lower."""
    frame = scored(records, (survey for _, survey in on))
    known = frame["loss"].where(ranked(frame)).groupby(frame["instance_key"]).min()
    baselines = frame.groupby("instance_key")["baseline_loss"].first()
    return {str(key): float(value) for key, value in np.fmin(known, baselines).items()}


def _excess(records: Sequence[Record], on: list[Prepared], reference: dict[str, float]) -> pd.Series[float]:
    return scored(records, (survey for _, survey in on), reference)["excess"]


def _row(part: str, default: list[Record], tuned: list[Record], on: list[Prepared]) -> tuple[Any, ...]:
    """A row of the table; cells are paired by instance and seed."""
    lowest = _lowest([*default, *tuned], on)
    before, after = (_excess(one, on, lowest) for one in (default, tuned))
    difference = after - before
    low, high = mean_interval(difference, [record.instance for record in default])
    names = "; ".join(spec.name for spec, _ in on)
    return part, len(on), len(default), before.mean(), after.mean(), difference.mean(), low, high, names
