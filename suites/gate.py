"""Gate: what every commit must keep. Quality is paired by seed, time is a ratio to a calibration kernel.

The suite `gate` has fixed seeds and fixed work, so unchanged code gives unchanged bits and any difference is
the code's. Seconds are divided by those of a kernel that runs between the cells, so that another machine or a
busy one is no slowdown; and what looks slower is measured up to `ATTEMPTS` times, the least time counting.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pandas as pd
from scipy import stats

from ..results import RANKED, Record, Store, StoreError
from ..results import compare as compare_stores
from ..results.compare import Verdict
from ..results.files import write_whole
from ..results.scores import STEPS
from . import harness
from .machine import provenance
from .submission import as_store, write_rows
from .suite import Suite
from .suite import load as load_suite

__all__ = ["Fall", "Judged", "judge", "renew"]

ROWS, TIMES = "rows.jsonl", "times.json"
"""Files of a baseline: its records as text, and the times of each solver and instance in calibrations."""

SLOWER = 1.5
"""Ratio of times that is a regression; a doubled kernel gives more, a busy machine seldom."""

ATTEMPTS = 3
"""Measurements of a slowdown; the least time of each instance counts."""

FLOOR = 0.02
"""Seconds below which a cell's time is no measurement: there the clock shows who else ran, not the kernel."""

LEVEL = 0.01
"""Level of the sign test by which many small losses of quality are one."""

Times = dict[str, dict[str, float]]
"""Calibrations that a cell takes, by solver and instance."""


@dataclass(frozen=True)
class Fall:
    """A solver that got worse in a family: in "quality" (excess lost) or "time" (a ratio)."""

    solver: str
    family: str
    measure: str
    effect: float

    def __str__(self) -> str:
        """One line for a terminal."""
        effect = f"{self.effect:+.3g} of excess" if self.measure == "quality" else f"×{self.effect:.3g}"
        return f"{self.solver} in {self.family}: {self.measure} {effect}"


@dataclass(frozen=True)
class Judged:
    """What a gate found: the falls, the pairs of cells, and cells of the baseline that have no like."""

    falls: tuple[Fall, ...]
    matched: int
    unmatched: int


# ---- judge


def judge(
    baseline: str | Path, store: str | Path, *, solver: str | None = None, progress: harness.Progress
) -> Judged:
    """Run the suite into a new store and judge it against a baseline.

    Raises:
        InputError: the glob matches no solver of the suite.
        StoreError: there is no sound baseline, or the store exists.
    """
    baseline, suite = Path(baseline), _suite(solver)
    before = _read_times(baseline / TIMES)
    times = measure(suite, store, progress)
    with as_store(baseline / ROWS) as base:
        falls, matched, cells = _quality(base, store, suite)
    families = _families(store)
    slower = dict(_slower(before, times, families))
    best = times
    for _ in range(ATTEMPTS - 1):
        if not slower:
            break
        names = {name for name, _ in slower}
        again = replace(suite, solvers=tuple(one for one in suite.solvers if one.name in names))
        best = _least(best, _remeasured(again, store, progress))
        slower = dict(_slower(before, best, families))
    late = [Fall(*key, "time", ratio) for key, ratio in slower.items()]
    return Judged((*falls, *late), matched, cells - matched)


def _suite(solver: str | None) -> Suite:
    return load_suite("gate").narrowed(solver=solver)


def _quality(base: Path, head: str | Path, suite: Suite) -> tuple[list[Fall], int, int]:
    """Solvers whose losses rose, the pairs, and the baseline's cells of the suite's solvers."""
    names = {one.name for one in suite.solvers}
    with Store(base) as old, Store(head) as new:
        sides = [frame[frame["solver"].isin(names)] for frame in (old.frame(), new.frame())]
    found = compare_stores(*sides)
    rows = found.rows[found.rows["measure"] == "quality"].to_dict("records")
    falls = [Fall(row["solver"], row["family"], "quality", row["effect"]) for row in rows if _fell(row)]
    return falls, found.matched, len(sides[0])


def _fell(row: dict[Any, Any]) -> bool:
    """Whether a fall is of note, and large or one-sided.

    `compare` corrects for the number of rows, which at the gate's few pairs would let any small fall pass.
    """
    if row["effect"] < STEPS["quality"]:
        return False
    pairs = row["worse"] + row["better"]
    tested = pairs and stats.binomtest(row["worse"], pairs, alternative="greater").pvalue <= LEVEL
    return bool(tested) or row["verdict"] == Verdict.WORSE


def _slower(before: Times, now: Times, families: dict[str, str]) -> Iterator[tuple[tuple[str, str], float]]:
    """Solver and family with their ratio of times, where it is a regression."""
    for name, instances in before.items():
        logs: dict[str, list[float]] = {}
        for instance in instances.keys() & now.get(name, {}).keys():
            ratio = now[name][instance] / instances[instance]
            logs.setdefault(families[instance], []).append(float(np.log(ratio)))
        for family, ratios in sorted(logs.items()):
            if (ratio := float(np.exp(np.mean(ratios)))) >= SLOWER:
                yield (name, family), ratio


def _least(one: Times, other: Times) -> Times:
    """The lesser time of each solver and instance; what else ran can only have added to it."""
    return {
        name: {key: min(value, other.get(name, {}).get(key, value)) for key, value in instances.items()}
        for name, instances in one.items()
    }


def _families(store: str | Path) -> dict[str, str]:
    with Store(store) as kept:
        return {info.name: info.family for info in kept.instances()}


# ---- measure


def measure(suite: Suite, store: str | Path, progress: harness.Progress) -> Times:
    """Run a suite into a new store; the times of its cells in calibrations."""
    if Path(store).exists():
        raise StoreError(f"{store} must not exist yet, as a cell found there has no time; name another file")
    calibrated = _Calibrated(progress)
    harness.run(suite, store=store, progress=calibrated)
    return calibrated.times()


def _remeasured(suite: Suite, store: str | Path, progress: harness.Progress) -> Times:
    """The times of some solvers once more, in a store that nobody reads."""
    spare = Path(f"{store}.again")
    try:
        return measure(suite, spare, progress)
    finally:
        spare.unlink(missing_ok=True)


class _Calibrated(harness.Progress):
    """Tells another progress what it is told, and runs the calibration kernel between the cells."""

    def __init__(self, told: harness.Progress) -> None:
        self._told = told
        self._last = 0.0
        self._rows: list[tuple[str, str, float]] = []

    def surveying(self, count: int) -> None:
        self._told.surveying(count)

    def left_out(self, name: str, reason: str) -> None:
        self._told.left_out(name, reason)

    def begin(self, total: int, done: int) -> None:
        calibration_seconds()  # compiles
        self._last = calibration_seconds()
        self._told.begin(total, done)

    def finished(self, record: Record) -> None:
        before, self._last = self._last, calibration_seconds()
        if record.status in RANKED and record.seconds:
            ratio = 2 * record.seconds / (before + self._last)
            self._rows.append((record.solver, record.instance, ratio))
        self._told.finished(record)

    def times(self) -> Times:
        """The median over the seeds of each solver and instance."""
        frame = pd.DataFrame(self._rows, columns=["solver", "instance", "ratio"])
        found: Times = {}
        for (solver, instance), cells in frame.groupby(["solver", "instance"]):
            found.setdefault(str(solver), {})[str(instance)] = float(cells["ratio"].median())
        return found


def calibration_seconds() -> float:
    """Seconds of a fixed number of flips against a matrix of 512 bits, the work that most solvers do."""
    couplings = np.add.outer(np.arange(512.0), np.arange(512.0)) % 7.0 - 3.0
    begun = time.perf_counter()
    _flips(couplings, 40_000)
    return time.perf_counter() - begun


@numba.njit(cache=True, nogil=True)
def _flips(couplings: Any, count: int) -> float:
    """The sum of the fields after so many flips; no solver's code, which would hide its own slowdown."""
    n = len(couplings)
    fields, x = np.zeros(n), np.zeros(n)
    i = 0
    for step in range(count):
        sign = 1.0 - 2.0 * x[i]
        x[i] += sign
        for j in range(n):
            fields[j] += sign * couplings[i, j]
        i = (i * 181 + step) % n
    return float(fields.sum())


# ---- baseline


def renew(baseline: str | Path, store: str | Path, *, progress: harness.Progress) -> int:
    """Make the present code the baseline; give the number of cells.

    Raises:
        StoreError: the store exists, or the baseline cannot be written.
    """
    folder, suite = Path(baseline), _suite(None)
    times = measure(suite, store, progress)
    folder.mkdir(parents=True, exist_ok=True)
    plain = Path(f"{store}.plain")
    try:
        _without_traces(store, plain)
        cells = write_rows(plain, folder / ROWS)
    finally:
        plain.unlink(missing_ok=True)
    write_whole(folder / TIMES, _times_text(times, _long_enough(store)))
    return cells


def _without_traces(store: str | Path, out: Path) -> None:
    """A copy whose records bring their bits alone, which is all that a verdict needs."""
    with Store(store) as full, Store(out, write=True) as light:
        for info in full.instances():
            light.add_instance(info)
        light.add_all(replace(record, trace=()) for record in full.records())


def _long_enough(store: str | Path) -> set[tuple[str, str]]:
    """Solvers and instances whose cells are long enough to be timed."""
    with Store(store) as kept:
        shortest = kept.frame().groupby(["solver", "instance"])["seconds"].min()
    return set(shortest[shortest >= FLOOR].index)


def _times_text(times: Times, timed: set[tuple[str, str]]) -> str:
    kept = {
        name: {key: round(ratio, 3) for key, ratio in one.items() if (name, key) in timed}
        for name, one in times.items()
    }
    content = {
        "machine": provenance().machine,
        "commit": provenance().commit,
        "unit": "calibrations (suites/gate.py)",
        "times": {name: one for name, one in kept.items() if one},
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _read_times(path: Path) -> Times:
    try:
        times = json.loads(path.read_text(encoding="utf-8"))["times"]
        return {str(name): {str(k): float(v) for k, v in one.items()} for name, one in times.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} must be a baseline's times; make one by --renew: {error}") from None
