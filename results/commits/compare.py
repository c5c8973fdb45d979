"""Two stores, or two commits in one, judged in pairs: quality, time and counted work each apart.

A pair is the same instance, solver, parameters, seed and budget on both sides. Thresholds and tests are
stated in `scores`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..markdown import markdown_row
from ..scoring import scores
from ..scoring.references import References, load_references
from ..scoring.scored_cells import Wanted, labels, matching
from ..scoring.scores import ENDED_BY_ITSELF
from ..scoring.statistics import holm, mean_interval
from ..storage.budget_columns import budgets
from ..storage.errors import StoreError
from ..storage.store import load
from .at_commits import at_commits

__all__ = ["ALL", "KEY", "Comparison", "Outcome", "Verdict", "compare"]

KEY = ("instance_key", "solver", "parameters", "seed", "budget")
MEASURES = ("quality", "time", "counts")

ALL = "all solvers"
"""Name of the rows over all pairs, which are judged first and apart."""

COLUMNS = (
    "solver",
    "family",
    "measure",
    "verdict",
    "effect",
    "low",
    "high",
    "p",
    "pairs",
    "better",
    "worse",
    "equal",
    "worst_instance",
)


ALIKE = 0.75
"""Share of the solvers whose times rise together by which one suspects the machine."""


class Verdict(StrEnum):
    """What became of a solver in a family."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    UNCLEAR = "unclear"
    """A change of note that the pairs do not suffice to call one."""
    UNPAIRED = "unpaired"


class Outcome(IntEnum):
    """The exit code of a comparison."""

    CLEAN = 0
    REGRESSION = 1
    NOTHING_MATCHED = 3


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes:
        base, head: the names of the two sides.
        rows: one row a solver, family and measure: `verdict`, `effect` with its 95 % interval (`low`,
            `high`), `p` (Wilcoxon's, after Holm), the numbers of `pairs`, of `better`, `worse` and `equal`
            ones, and the instance with the largest change for the worse. Quality's effect is the mean
            difference of excess (head − base); time's and counts' is the geometric mean of the ratios (head /
            base). Lower is better everywhere.
        matched: pairs of cells in all.
        references: the registry that both were scored against.
        notes: what so many pairs on such a machine can show, and what they cannot.
    """

    base: str
    head: str
    rows: pd.DataFrame
    matched: int
    references: str
    notes: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Whether anything matched, and whether anything got worse."""
        if not self.matched:
            return Outcome.NOTHING_MATCHED
        return Outcome.REGRESSION if (self.rows["verdict"] == Verdict.WORSE).any() else Outcome.CLEAN

    def regressions(self) -> pd.DataFrame:
        """The rows that got worse."""
        return self.rows[self.rows["verdict"] == Verdict.WORSE]

    def to_markdown(self) -> str:
        """A comment for a pull request: the outcome, what changed, and the rest folded away."""
        lines = [f"### {_code(self.base)} → {_code(self.head)}: {self._summary()}", ""]
        plain = self.rows["verdict"].isin([Verdict.SAME, Verdict.UNPAIRED])
        lines += _markdown_table(self.rows[~plain])
        if plain.any():
            same = _markdown_table(self.rows[plain])
            lines += [
                f"<details><summary>{plain.sum()} unchanged or unpaired</summary>",
                "",
                *same,
                "</details>",
                "",
            ]
        lines += [line for note in self.notes for line in (note, "")]
        return "\n".join([*lines, f"{self.matched} pairs of cells; {self.references}. Lower is better.", ""])

    def _summary(self) -> str:
        if not self.matched:
            return "nothing matched"
        counts = self.rows["verdict"].value_counts()
        told = [f"{counts[verdict]} {verdict}" for verdict in Verdict if verdict in counts]
        return ", ".join(told)


def compare(
    base: str | Path | pd.DataFrame,
    head: str | Path | pd.DataFrame,
    *,
    store: str | Path | None = None,
    suite: Wanted = None,
    family: Wanted = None,
    references: References | None = None,
) -> Comparison:
    """Compare two stores, or with `store` two commits in it (each named by the beginning of its hash).

    A cell stands at the commit that measured it and at those whose runs resumed it (`at_commits`).

    Where a side measured a cell more than once, the last time counts. Quality takes every pair, a cell that
    is not ranked at the baseline's excess; time only pairs measured alone, on the same machine, both ranked;
    counts only pairs that both ended by themselves.

    All pairs together come first, in rows of their own (`solver` "all solvers"): these few are corrected for
    their own number alone, so that they tell of a change that no solver has pairs enough to show.

    Raises:
        StoreError: a store cannot be read or has no cell of a commit.
    """
    registry = references or load_references()
    names = [
        str(side) if not isinstance(side, pd.DataFrame) else name
        for side, name in ((base, "base"), (head, "head"))
    ]
    sides = [_side(side, store) for side in (base, head)]
    both = pd.concat(sides, keys=["base", "head"], names=["side"]).reset_index(level="side")
    both = both.reset_index(drop=True)
    both = both.assign(
        label=labels(both),
        budget=budgets(both),
        reference=scores.reference(both, registry.losses),
        ranked=scores.ranked(both),
    )
    both["excess"] = scores.excess(both)
    both = both[matching(both, suite=suite, family=family)]
    pairs = _pairs(both)
    whole = pd.DataFrame(list(_aggregate(pairs)), columns=list(COLUMNS))
    rows = pd.DataFrame([*_judged(pairs), *_unpaired(both, pairs)], columns=list(COLUMNS))
    same = bool(len(pairs)) and bool((pairs["commit_base"] == pairs["commit_head"]).all())
    parts = [_with_verdicts(part) for part in (whole, rows) if len(part)]
    rows = pd.concat(parts, ignore_index=True) if parts else rows.assign(verdict="")
    told = tuple(_notes(rows, pairs, same_code=same))
    return Comparison(names[0], names[1], rows, len(pairs), str(registry), told)


def _side(side: str | Path | pd.DataFrame, store: str | Path | None) -> pd.DataFrame:
    """The cells of one side."""
    if isinstance(side, pd.DataFrame):
        return side
    if store is None:
        return load(side)
    frame = at_commits(store)
    commits = frame["commit"].unique()
    chosen = [commit for commit in commits if commit == side] or [
        c for c in commits if c.startswith(str(side))
    ]
    if len(chosen) != 1:
        held = ", ".join(sorted(commits)) or "none"
        raise StoreError(
            f"{store} must hold exactly one commit {str(side)!r}, got {len(chosen)}; it holds {held}; "
            "a run at a commit enters what it resumes there too"
        )
    return frame[frame["commit"] == chosen[0]]


def _pairs(both: pd.DataFrame) -> pd.DataFrame:
    """One row a pair: the columns of both cells, with _base and _head appended."""
    last = both.sort_values("finished_at", kind="stable").drop_duplicates(["side", *KEY], keep="last")
    key = [*KEY, "label", "family", "instance"]
    base, head = (last[last["side"] == side] for side in ("base", "head"))
    kept = [
        "loss",
        "excess",
        "seconds",
        "ranked",
        "status",
        "machine",
        "timing_grade",
        "counts",
        "commit",
        "cell",
        "finished_at",
    ]
    return base[[*key, *kept]].merge(head[[*KEY, *kept]], on=list(KEY), suffixes=("_base", "_head"))


def _aggregate(pairs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Quality and time over the pairs of all solvers, where there are more than two."""
    if pairs["label"].nunique() > 2:
        yield from _rows_of(pairs, {"solver": ALL, "family": ""}, counts=False)


def _judged(pairs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A row for each solver, family and measure that has pairs."""
    for (label, family), cells in pairs.groupby(["label", "family"]):
        yield from _rows_of(cells, {"solver": label, "family": family})


def _rows_of(cells: pd.DataFrame, who: dict[str, Any], *, counts: bool = True) -> Iterator[dict[str, Any]]:
    """A row for each measure of these pairs."""
    quality = (cells["excess_head"] - cells["excess_base"]).dropna()
    if len(quality):
        yield who | _row("quality", quality, cells)
    times = _log_ratio(cells.loc[_timed(cells), "seconds_base"], cells.loc[_timed(cells), "seconds_head"])
    if len(times):
        yield who | _row("time", times, cells)
    for name, ratios in _counted(cells) if counts else ():
        yield who | _row(f"counts: {name}", ratios, cells)


def _timed(cells: pd.DataFrame) -> pd.Series[bool]:
    """Pairs whose times may be compared."""
    alone = cells["timing_grade_base"].astype(bool) & cells["timing_grade_head"].astype(bool)
    both = cells["ranked_base"] & cells["ranked_head"]
    return alone & both & (cells["machine_base"] == cells["machine_head"])


def _counted(cells: pd.DataFrame) -> Iterator[tuple[str, pd.Series[float]]]:
    """The log-ratios of each kind of counted work, over the pairs that ended by themselves."""
    ended = cells["status_base"].isin(ENDED_BY_ITSELF) & cells["status_head"].isin(ENDED_BY_ITSELF)
    cells = cells[ended & cells["ranked_base"] & cells["ranked_head"]]
    base, head = (
        pd.DataFrame([json.loads(text) for text in cells[f"counts_{side}"]], cells.index)
        for side in ("base", "head")
    )
    for name in sorted(set(base) & set(head)):
        ratios = _log_ratio(base[name], head[name])
        if len(ratios):
            yield name, ratios


def _log_ratio(base: pd.Series[float], head: pd.Series[float]) -> pd.Series[float]:
    """ln(head / base) where both are positive."""
    usable = (base > 0) & (head > 0)
    return np.log(head[usable].astype(float) / base[usable].astype(float))


def _row(measure: str, change: pd.Series[float], cells: pd.DataFrame) -> dict[str, Any]:
    """Effect, interval, test and counts of one measure; `change` is by pair, positive for the worse."""
    low, high = mean_interval(change, cells.loc[change.index, "instance_key"])
    kind = measure.partition(":")[0]
    tie = scores.TIE if kind == "quality" else 0.0
    natural = np.asarray if kind == "quality" else np.exp
    worst = change.idxmax()
    return {
        "measure": measure,
        "effect": float(natural(change.mean())),
        "low": float(natural(low)),
        "high": float(natural(high)),
        "p": _wilcoxon(change[change.abs() > tie]),
        "pairs": len(change),
        "better": int((change < -tie).sum()),
        "worse": int((change > tie).sum()),
        "equal": int((change.abs() <= tie).sum()),
        "worst_instance": cells.loc[worst, "instance"] if change[worst] > tie else "",
    }


def _wilcoxon(changed: pd.Series[float]) -> float:
    """Two-sided p of the paired signed-rank test; 1 where nothing changed."""
    if changed.empty:
        return 1.0
    method = "exact" if len(changed) <= 25 and changed.abs().is_unique else "asymptotic"
    from scipy import stats  # takes most of a second

    return float(stats.wilcoxon(changed, method=method).pvalue)


def _unpaired(both: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Solvers that have no pair in a family, on either side."""
    matched = set(zip(pairs["label"], pairs["family"], strict=True))
    for label, family in sorted(set(zip(both["label"], both["family"], strict=True)) - matched):
        blank = dict.fromkeys(("effect", "low", "high", "p"), np.nan) | dict.fromkeys(
            ("pairs", "better", "worse", "equal"), 0
        )
        yield {"solver": label, "family": family, "measure": "", **blank, "worst_instance": ""}


def _with_verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """Correct the tests for their number, then judge each row."""
    judged = rows["pairs"] > 0
    adjusted = rows["p"].astype(float).copy()
    adjusted[judged] = holm(adjusted[judged].to_numpy())
    rows = rows.assign(p=adjusted)
    verdicts = [str(_verdict(row)) for row in rows.to_dict("records")]
    rows = rows.assign(verdict=pd.Series(verdicts, rows.index, dtype="str"))
    return rows.sort_values(["family", "solver", "measure"], ignore_index=True)


def least_p(pairs: int) -> float:
    """The smallest two-sided p that the signed-rank test can give for so many pairs."""
    return min(1.0, 2.0 ** (1 - pairs))


def _notes(rows: pd.DataFrame, pairs: pd.DataFrame, same_code: bool) -> Iterator[str]:
    """What limits the verdicts."""
    tested = rows[(rows["pairs"] > 0) & (rows["solver"] != ALL)]
    if one := int(_one_measurement(pairs).sum()):
        yield (
            f"{one} of {len(pairs)} pairs are one measurement on both sides: a run found it finished, as "
            "nothing that computes it had changed."
        )
    yield from _too_few(tested)
    alone = pairs["timing_grade_base"].astype(bool) & pairs["timing_grade_head"].astype(bool)
    if beside := int((~alone).sum()):
        yield f"Times of {beside} of {len(pairs)} pairs are left out: a side was measured beside other work."
    times = tested[tested["measure"] == "time"]
    slower = int((times["effect"] > scores.STEPS["time"]).sum())
    if same_code and slower:
        yield "Both sides are of one commit: look at the machine's load before anything else; measure again."
    elif len(times) > 2 and slower >= ALIKE * len(times):
        yield (
            f"Times of {slower} of {len(times)} solvers rose together: look at the machine's load before the "
            "code, and measure both sides again, in turn."
        )


def _one_measurement(pairs: pd.DataFrame) -> pd.Series[bool]:
    """Pairs of a cell with itself, at two commits."""
    same = pairs["commit_base"] != pairs["commit_head"]
    for name in ("cell", "finished_at", "loss", "seconds"):
        same &= pairs[f"{name}_base"] == pairs[f"{name}_head"]
    return same


def _too_few(tested: pd.DataFrame) -> Iterator[str]:
    """Which unclear rows no test could have called, and how many pairs it takes."""
    count = len(tested)
    if not count:
        return
    weak = tested[[least_p(int(n)) * count > scores.ALPHA for n in tested["pairs"]]]
    weak = weak[weak["verdict"] == Verdict.UNCLEAR]
    if len(weak):
        needed = next(n for n in range(1, 99) if least_p(n) * count <= scores.ALPHA)
        fewest = int(weak["pairs"].min())
        yield (
            f"{len(weak)} unclear rows have too few pairs for a test: {fewest} pairs give at best "
            f"p = {least_p(fewest):.2g}, times {count} tests; from {needed} pairs on a row can be called."
        )


def _verdict(row: dict[Any, Any]) -> Verdict:
    if not row["pairs"]:
        return Verdict.UNPAIRED
    kind = row["measure"].partition(":")[0]
    none, size = (
        (0.0, abs(row["effect"])) if kind == "quality" else (1.0, max(row["effect"], 1 / row["effect"]))
    )
    if size < scores.STEPS[kind]:
        return Verdict.SAME
    direction = Verdict.WORSE if row["effect"] > none else Verdict.BETTER
    agreed = row["better" if direction is Verdict.WORSE else "worse"] == 0
    tested = row["p"] <= scores.ALPHA and (row["low"] > none or row["high"] < none)
    if tested or (agreed and size >= scores.JUMPS[kind]):
        return direction
    return Verdict.UNCLEAR


def _markdown_table(rows: pd.DataFrame) -> list[str]:
    if rows.empty:
        return []
    head = [
        "verdict",
        "solver",
        "family",
        "measure",
        "effect (95 %)",
        "p",
        "pairs",
        "better / worse / equal",
        "worst instance",
    ]
    cells = map(_cells, rows.to_dict("records"))
    return [markdown_row(head), f"|{'---|' * len(head)}", *map(markdown_row, cells), ""]


def _cells(row: dict[Any, Any]) -> list[str]:
    if not row["pairs"]:
        return [row["verdict"], _code(row["solver"]), _code(row["family"]), *[""] * 6]
    sign = "+" if row["measure"] == "quality" else ""
    ends = [f"{row[name]:{sign}.3g}" for name in ("low", "high") if np.isfinite(row[name])]
    effect = f"{row['effect']:{sign}.3g}" + (f" ({' … '.join(ends)})" if ends else "")
    counts = " / ".join(str(row[name]) for name in ("better", "worse", "equal"))
    verdict = f"**{row['verdict']}**" if row["verdict"] == Verdict.WORSE else row["verdict"]
    names = [_code(row["solver"]), _code(row["family"]), _code(row["measure"])]
    unit = "" if row["measure"] == "quality" else _TIMES
    where = _code(row["worst_instance"])
    return [verdict, *names, f"{unit}{effect}", f"{row['p']:.2g}", str(row["pairs"]), counts, where]


_TIMES = "\N{MULTIPLICATION SIGN}"


def _code(text: str) -> str:
    """A stranger's name as Markdown that is nothing but that name."""
    plain = " ".join(str(text).replace("`", "'").replace("|", "¦").split())
    return f"`{plain}`" if plain else ""
