"""Gate: what every commit must keep. Quality is paired by seed, time is a ratio to a calibration kernel.

The suite `gate` has fixed seeds and fixed work, so unchanged code gives unchanged bits and any difference is
the code's. Times are processor seconds by `Stopwatch`, judged where the baseline's processor is this one and
else only shown: the ratio to a kernel does not travel between processors. What looks slower is timed again,
the least time counting, so that a busy machine is no slowdown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scipy import stats

from ...results import Store, StoreError
from ...results import compare as compare_stores
from ...results.commits.compare import Verdict
from ...results.scoring.scores import STEPS
from ...results.storage.rows import as_store, light_rows
from ...results.storage.whole_files import write_whole
from ..harness import suite_run
from ..harness.provenance import provenance
from ..suite import Suite
from ..suite import load as load_suite
from .baseline import ROWS, TIMES, Times, read_times
from .stopwatch import Stopwatch, processor

__all__ = ["Fall", "Judged", "judge", "renew"]

SLOWER = 1.4
"""Ratio of times that is a regression; a doubled kernel gives 1.7 and more, a busy machine less."""

ROUNDS, MORE_ROUNDS = 2, 12
"""Timings of every solver, and further ones of those that look slower; the least time counts."""

BASELINE_ROUNDS = 6
"""Timings for a baseline."""

LEVEL = 0.01
"""Level of the sign test by which many small losses of quality are one."""


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
    """What a gate found.

    Attributes:
        falls: solvers that got worse.
        matched, unmatched: pairs of cells, and cells of the baseline that have no like.
        shown: slower solvers that nobody is blamed for, as the baseline's times are another processor's.
        timed_on: that processor, "" where it is this one.
        untimed: instances whose times the baseline lacks.
    """

    falls: tuple[Fall, ...]
    matched: int
    unmatched: int
    shown: tuple[Fall, ...] = ()
    timed_on: str = ""
    untimed: tuple[str, ...] = ()


# ---- judge


def judge(
    baseline: str | Path,
    store: str | Path,
    *,
    solver: Sequence[str] | str | None = None,
    progress: suite_run.Progress,
) -> Judged:
    """Run the suite into a new store and judge it against a baseline.

    Raises:
        InputError: the glob matches no solver of the suite.
        StoreError: there is no sound baseline, or the store exists.
    """
    baseline, suite = Path(baseline), _suite(solver)
    before = read_times(baseline / TIMES)
    _measure(suite, store, progress)
    with as_store(baseline / ROWS) as base:
        falls, matched, cells = _quality(base, store, suite)
    watch = Stopwatch(suite)
    late = tuple(_late(before.times, watch))
    found = Judged(tuple(falls), matched, cells - matched, untimed=_untimed(before.times, watch.times()))
    if before.processor == processor():
        return replace(found, falls=(*falls, *late))
    return replace(found, shown=late, timed_on=before.processor)


def _suite(solver: Sequence[str] | str | None) -> Suite:
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


def _untimed(before: Times, now: Times) -> tuple[str, ...]:
    """Instances on which a solver has a time now and none in the baseline."""
    return tuple(sorted({one for name, times in now.items() for one in times.keys() - before.get(name, {})}))


def _late(before: Times, watch: Stopwatch) -> Iterator[Fall]:
    """Solvers that are slower however often they are timed."""
    for _ in range(ROUNDS):
        watch.round()
    slower = dict(_slower(before, watch))
    for _ in range(MORE_ROUNDS):
        if not slower:
            return
        watch.round({name for name, _ in slower})
        slower = dict(_slower(before, watch))
    yield from (Fall(*key, "time", ratio) for key, ratio in slower.items())


def _slower(before: Times, watch: Stopwatch) -> Iterator[tuple[tuple[str, str], float]]:
    """Solver and family with their ratio of times, where it is a regression.

    It is the ratio of sums over the instances, as small ones tell more of what surrounds a kernel.
    """
    for name, now in watch.times().items():
        known = {instance: ratio for instance, ratio in before.get(name, {}).items() if instance in now}
        for family in sorted({watch.families[instance] for instance in known}):
            own = [instance for instance in known if watch.families[instance] == family]
            ratio = sum(now[one] for one in own) / sum(known[one] for one in own)
            if ratio >= SLOWER:
                yield (name, family), ratio


def _measure(suite: Suite, store: str | Path, progress: suite_run.Progress) -> None:
    """Run a suite into a new store."""
    if Path(store).exists():
        raise StoreError(f"{store} must not exist yet, as what is found there is not measured; name another")
    suite_run.run(suite, store=store, progress=progress)


# ---- baseline


def renew(baseline: str | Path, store: str | Path, *, progress: suite_run.Progress) -> int:
    """Make the present code the baseline; give the number of cells.

    Raises:
        StoreError: the store exists, or the baseline cannot be written.
    """
    folder, suite = Path(baseline), _suite(None)
    _measure(suite, store, progress)
    watch = Stopwatch(suite)
    for _ in range(BASELINE_ROUNDS):
        watch.round()
    folder.mkdir(parents=True, exist_ok=True)
    with Store(store) as kept:
        cells = light_rows(kept.instances(), kept.records(), folder / ROWS)
    write_whole(folder / TIMES, _times_text(watch.times()))
    return cells


def _times_text(times: Times) -> str:
    content = {
        "commit": provenance().commit,
        "processor": processor(),
        "unit": "calibrations (suites/stopwatch.py)",
        "times": {
            name: {key: float(f"{ratio:.4g}") for key, ratio in one.items()} for name, one in times.items()
        },
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"
