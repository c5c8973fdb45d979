"""Which commit of a store was the first to get worse: each measured one, judged against one base in turn."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..scoring.scored_cells import Wanted
from ..storage.errors import StoreError
from .asv_export import Commit, commit_of
from .at_commits import at_commits
from .compare import Outcome, compare

__all__ = ["FirstBad", "first_bad"]


@dataclass(frozen=True)
class FirstBad:
    """Where a regression came in.

    Attributes:
        bad: whole hash of the first measured commit that has it.
        good: that of the last one before it, without.
        between: unmeasured commits between the two, any of which may be the culprit as well.
        rows: the regressions at `bad`, as `Comparison.rows` has them.
    """

    bad: str
    good: str
    between: int
    rows: pd.DataFrame


def first_bad(
    base: str,
    head: str,
    *,
    store: str | Path,
    repository: str | Path = ".",
    suite: Wanted = None,
    family: Wanted = None,
) -> FirstBad | None:
    """The first commit after `base`, up to `head`, at which the store shows a regression; None without one.

    Raises:
        StoreError: the store cannot be read, or git does not know a side.
    """
    repository = Path(repository)
    names = {
        found.hash: str(name)
        for name in at_commits(store)["commit"].unique()
        if isinstance(found := commit_of(str(name), repository), Commit)
    }
    start, end = (_known(side, repository) for side in (base, head))
    if start not in names:
        raise StoreError(f"{store} must hold the commit {base} to judge against; measure it there first")
    last = start
    for commit in _after(start, end, repository):
        if commit not in names:
            continue
        judged = compare(names[start], names[commit], store=store, suite=suite, family=family)
        if judged.outcome is Outcome.REGRESSION:
            return FirstBad(commit, last, len(_after(last, commit, repository)) - 1, judged.regressions())
        if judged.outcome is Outcome.CLEAN:
            last = commit
    return None


def _known(side: str, repository: Path) -> str:
    found = commit_of(side, repository)
    if isinstance(found, str):
        raise StoreError(f"{side} must name a commit to bisect between: {found}")
    return found.hash


def _after(start: str, end: str, repository: Path) -> list[str]:
    """Commits after `start` up to `end`, the oldest first."""
    command = ["git", "-C", str(repository), "rev-list", "--reverse", "--topo-order", f"{start}..{end}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - whole hashes
    return done.stdout.split()
