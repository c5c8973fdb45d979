"""Published rows: a text form that histories can show, the check of a contribution, and their rejudging.

Rows are published as JSON lines, one instance or record a line, bits included: {"instance": …} or
{"record": …}. A store can be contributed as it is; its records are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...results import Record, Store
from ...results.commits.asv_export import Commit, commit_of
from ...results.storage.rows import as_store, write_lines
from ..harness.provenance import COMPUTING, ROOT
from .checked import Checked
from .stored_numbers import Judge, judge

__all__ = ["check"]

NEEDED = ("python", "qubopress", *COMPUTING)
"""What the versions of a contributed record must name."""


def check(
    path: str | Path, *, plugin_folder: str | Path = "", publish: Path | None = None
) -> Iterator[Checked]:
    """Every record of a contributed file: its provenance, and its numbers recomputed from its bits.

    Parameters:
        path: a store, or rows as text.
        plugin_folder: of the solvers and problems that it needs.
        publish: file of rows that is written if all hold, with the numbers that were recomputed.

    Raises:
        StoreError: the file is no store and no rows, or a record in it is none.
    """
    held = True
    kept: list[Record] = []
    with as_store(path) as store, Store(store) as records:
        falsehood_of = judge(store, plugin_folder=plugin_folder)
        for record in records.records():
            checked = _checked(record, falsehood_of)
            held = held and not checked.fault
            if publish is not None:
                kept.append(falsehood_of.retold(record))
            yield checked
        if publish is not None and held and kept:
            write_lines(map(falsehood_of.described, records.instances()), kept, publish)


def _checked(record: Record, falsehood_of: Judge) -> Checked:
    row = f"{record.cell} ({record.solver} on {record.instance}, seed {record.seed})"
    if fault := _unprovenanced(record):
        return Checked(row, fault)
    falsehood = falsehood_of(record)
    if falsehood is not None:
        return Checked(row, falsehood.reason, falsehood.elsewhere)
    unknown = _unknown_here(record.commit)
    return Checked(row, unknown, bool(unknown))


def _unprovenanced(record: Record) -> str:
    """What only a contribution must say of where it comes from."""
    if record.commit.endswith("+"):
        return f"its commit {record.commit} had changes of its own; commit them and run again"
    lacking = [name for name in NEEDED if not record.versions.get(name)]
    if lacking:
        return f"its versions must name {', '.join(NEEDED)}; they lack {', '.join(lacking)}"
    return ""


def _unknown_here(commit: str) -> str:
    """Why the code behind a record cannot be looked at here; without a checkout nobody asks."""
    if commit.startswith("v") or not (ROOT / ".git").exists():
        return ""
    known = isinstance(commit_of(commit, ROOT), Commit)
    return "" if known else f"its commit {commit} is not in this checkout; fetch it, or ask for it"
