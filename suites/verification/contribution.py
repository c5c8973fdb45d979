"""Published rows: a text form that histories can show, the check of a contribution, and their rejudging.

Rows are published as JSON lines, one instance or record a line, bits included: {"instance": …} or
{"record": …}. A store can be contributed as it is; its records are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ...results import Record, Store
from ...results.commits.asv_export import Commit, commit_of
from ...results.storage.rows import as_store
from ..harness.provenance import COMPUTING, ROOT
from .checked import Checked
from .stored_numbers import claims, judge

__all__ = ["check"]


NEEDED = ("python", "qubopress", *COMPUTING)
"""What the versions of a record must name."""

PATIENCE = timedelta(days=1)
"""How far a clock may be ahead of ours."""


# ---- the text form


# ---- a contribution


def check(path: str | Path, *, plugin_folder: str | Path = "") -> Iterator[Checked]:
    """Every record of a contributed file: its provenance, and its numbers recomputed from its bits.

    Raises:
        StoreError: the file is no store and no rows, or a record in it is none.
    """
    with as_store(path) as store:
        falsehood_of = judge(store, plugin_folder=plugin_folder)
        with Store(store) as records:
            for record in records.records():
                row = f"{record.cell} ({record.solver} on {record.instance}, seed {record.seed})"
                if fault := _unprovenanced(record):
                    yield Checked(row, fault)
                    continue
                falsehood = falsehood_of(record) if claims(record) else None
                if falsehood is not None:
                    yield Checked(row, falsehood.reason, falsehood.elsewhere)
                    continue
                unknown = _unknown_here(record.commit)
                yield Checked(row, unknown, bool(unknown))


def _unprovenanced(record: Record) -> str:
    """What a record does not say of where it comes from."""
    if record.commit.endswith("+"):
        return f"its commit {record.commit} had changes of its own; commit them and run again"
    if not re.fullmatch(r"[0-9a-f]{7,40}|v\d[\w.]*", record.commit):
        return f"its commit must be a hash or a version of ours, got {record.commit!r}"
    if not record.machine.strip():
        return "its machine must be named, got nothing"
    lacking = [name for name in NEEDED if not record.versions.get(name)]
    if lacking:
        return f"its versions must name {', '.join(NEEDED)}; they lack {', '.join(lacking)}"
    if not record.budget.bounded:
        return "it must have had a budget or fixed work, and has neither"
    if datetime.fromisoformat(record.finished_at) > datetime.now(UTC) + PATIENCE:
        return f"it must have finished by now, got {record.finished_at}"
    return ""


def _unknown_here(commit: str) -> str:
    """Why the code behind a record cannot be looked at here; without a checkout nobody asks."""
    if commit.startswith("v") or not (ROOT / ".git").exists():
        return ""
    known = isinstance(commit_of(commit, ROOT), Commit)
    return "" if known else f"its commit {commit} is not in this checkout; fetch it, or ask for it"


# ---- what is published
