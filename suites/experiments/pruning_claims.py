"""Findings: the claims of the papers, judged on a store with intervals; a claim that fails says so.

`qubopress experiment pruning-claims STORE...` reads stores of the suites `pruning-claims` and `refinement`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from ...results.scoring.paired_choices import PairedChoice, Side, judged

__all__ = ["CLAIMS", "run"]

REFINERS = ("bayesian-swap", "protes", "cross-refine", "random-swap", "greedy-swap")
LEARNERS = tuple(name for name in REFINERS if name != "random-swap")

REFINED = (64, 24, 8)
"""Channels that suite `refinement` chooses again."""

TUNED = "after fine-tune"


def _choices(better: str, worse: str) -> list[PairedChoice]:
    """That one formulation is above another, once BatchNorms are re-estimated and once all is fine-tuned.

    "+ refit" behind a name refits its choice; what has a refit of its own is meant without.
    """
    return [
        PairedChoice(
            " ".join(f"{better} above {worse} {after}".split()), _side(better, after), _side(worse, after)
        )
        for after in ("", TUNED)
    ]


def _side(name: str, after: str) -> Side:
    problem, _, refit = name.partition(" + ")
    return Side(problem, "swap", {"refit": bool(refit)}, after)


def _refined(name: str, rival: str, called: str, most: int) -> PairedChoice:
    """That a refiner of so many channels is above another, or above where all begin."""
    only = {"refine": most}
    return PairedChoice(
        f"{name} above {called}, {most} refined",
        Side(solver=name, parameters=only),
        Side(solver=rival, parameters=only),
    )


CLAIMS = [
    # Orabi et al. 2026, arXiv:2604.05856
    *_choices("hybrid", "taylor"),
    *_choices("hybrid", "l1"),
    *(_refined(name, "start", "the QUBO alone", most) for most in REFINED for name in REFINERS),
    *(_refined(name, "random-swap", "random swaps", most) for most in REFINED for name in LEARNERS),
    # ours: what the refit does for one choice, then choices under the same refit or none
    *_choices("taylor + refit", "taylor"),
    *_choices("hybrid + refit", "taylor + refit"),
    *_choices("reconstruction + refit", "taylor + refit"),
    *_choices("reconstruction + refit", "hybrid + refit"),
    *_choices("reconstruction + refit", "taylor"),
    *_choices("reconstruction", "taylor"),
    *_choices("joint-fisher", "taylor"),
]


def run(stores: Sequence[Path], *, out: Path | None = None) -> Iterator[tuple[str, pd.DataFrame]]:
    """What each store says of the claims that it has cells for, written as CSV where asked.

    Raises:
        StoreError: a store is missing, foreign or damaged.
    """
    tables = [judged(store, CLAIMS) for store in stores]
    table = pd.concat(tables, ignore_index=True)
    if table.empty:
        return
    if out is not None:
        table.to_csv(out, index=False)
    yield "claims, each on pairs of equal data, capacity and network", table
