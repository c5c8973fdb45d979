"""Findings: the claims of the papers, judged on a store with intervals; a claim that fails says so.

Run `python -m qubopress.suites.experiments.pruning_claims STORE...` on stores of the suites `pruning-claims`,
`refinement`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from ...results import StoreError
from ...results.scoring.paired_choices import Claim, Side, judged
from ..terminal.tables import show

__all__ = ["CLAIMS", "main"]

REFINERS = ("bayesian-swap", "protes", "cross-refine", "random-swap", "greedy-swap")
LEARNERS = tuple(name for name in REFINERS if name != "random-swap")

REFINED = (64, 24, 8)
"""Channels that suite `refinement` chooses again."""

TUNED = "after fine-tune"


def _choices(better: str, worse: str) -> list[Claim]:
    """That one formulation is above another, once BatchNorms are re-estimated and once all is fine-tuned.

    "+ refit" behind a name refits its choice; what has a refit of its own is meant without.
    """
    return [
        Claim(" ".join(f"{better} above {worse} {after}".split()), _side(better, after), _side(worse, after))
        for after in ("", TUNED)
    ]


def _side(name: str, after: str) -> Side:
    problem, _, refit = name.partition(" + ")
    return Side(problem, "swap", {"refit": bool(refit)}, after)


def _refined(name: str, rival: str, called: str, most: int) -> Claim:
    """That a refiner of so many channels is above another, or above where all begin."""
    only = {"refine": most}
    return Claim(
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


def main(arguments: list[str] | None = None) -> None:
    """Print what each store says of the claims that it has cells for, and write it as CSV where asked."""
    parser = argparse.ArgumentParser(description="Judge the papers' claims on stores.")
    parser.add_argument("store", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, help="CSV file to write")
    given = parser.parse_args(arguments)
    try:
        tables = [judged(store, CLAIMS) for store in given.store]
    except StoreError as error:
        sys.exit(f"error: {error}")
    table = pd.concat(tables, ignore_index=True)
    show(table, title="claims, each on pairs of equal data, capacity and network")
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
